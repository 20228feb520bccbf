"""The provider settings of FusionPBX as rows, from CSV, from SQL (INSERT or COPY), or from JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from integrations.language.values import load
from integrations.studio.importers.report import ImportProblem

_INTO = r'(?:"?\w+"?\.)?"?{table}"?\s*\(([^()]{{0,2000}})\)\s*'
_VALUE = re.compile(r"\s*(?:E?'((?:[^']|'')*+)'(?:::[\w ]+)?|([^,()']*))\s*([,)])")
_LAST = re.compile(r"(?m)^[ \t]*\\\.[ \t]*$")
_UNESCAPED = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
_PREFIX = "provider_setting_"


@dataclass(frozen=True)
class Setting:
    """A row of v_provider_settings; all but values and names of headers is in lower case."""

    category: str
    subcategory: str
    type: str
    name: str
    value: str
    enabled: bool

    @property
    def key(self) -> str:
        """What names the setting for people."""
        return " / ".join(part for part in (self.category, self.subcategory, self.name) if part)


@dataclass
class Provider:
    """A provider with its settings, and the addresses that its webhooks come from."""

    name: str
    settings: list[Setting] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


def providers(text: str) -> list[Provider]:
    """The providers in a text that have settings. Raises ImportProblem."""
    found: dict[str, Provider] = {}
    for row in _rows(text):
        identifier = _text(row.get("provider_uuid")) or _text(row.get("provider_name"))
        provider = found.setdefault(identifier, Provider(identifier))
        if name := _text(row.get("provider_name")):
            provider.name = name
        if address := _text(row.get("provider_address_cidr")):
            provider.addresses.append(address)
        if _text(row.get(f"{_PREFIX}name")):
            provider.settings.append(_setting(row))
    return [provider for provider in found.values() if provider.settings]


def _setting(row: dict[str, Any]) -> Setting:
    def cell(name: str) -> str:
        return _text(row.get(_PREFIX + name))

    subcategory = cell("subcategory").lower()
    return Setting(
        cell("category").lower(),
        subcategory,
        cell("type").lower(),
        cell("name") if subcategory == "header" else cell("name").lower(),
        cell("value"),
        (cell("enabled") or "true").lower() in ("true", "t", "1"),
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _rows(text: str) -> Iterator[dict[str, Any]]:
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _of_json(load(text), {})
        except (ValueError, RecursionError) as error:
            raise ImportProblem(_("The JSON cannot be read: %(problem)s") % {"problem": error}) from None
    elif re.search(r"(?i)\b(?:insert\s+into|copy)\b", text):
        for table in ("v_providers", "v_provider_addresses", "v_provider_settings"):
            yield from _inserted(text, table)
            yield from _copied(text, table)
    else:
        yield from _of_csv(text)


def _of_json(value: Any, around: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows in a tree: lists in a row belong to it."""
    if isinstance(value, list):
        for item in value:
            yield from _of_json(item, around)
    elif isinstance(value, dict):
        own = {key: item for key, item in value.items() if not isinstance(item, dict | list)}
        shared = {key: own[key] for key in ("provider_uuid", "provider_name") if key in own}
        yield {**around, **own}
        for item in value.values():
            if isinstance(item, dict | list):
                yield from _of_json(item, {**around, **shared})


def _inserted(text: str, table: str) -> Iterator[dict[str, Any]]:
    pattern = re.compile(r"(?i)\binsert\s+into\s+" + _INTO.format(table=table) + r"values\s*")
    position = 0
    while statement := pattern.search(text, position):
        columns = _columns(statement[1])
        position = statement.end()
        while position < len(text) and text[position] == "(":
            position += 1
            values: list[str] = []
            while found := _VALUE.match(text, position):
                word = found[2].strip() if found[1] is None else found[1].replace("''", "'")
                values.append("" if found[1] is None and word.upper() == "NULL" else word)
                position = found.end()
                if found[3] == ")":
                    break
            yield dict(zip(columns, values, strict=False))
            after = re.compile(r"\s*,\s*").match(text, position)
            if after is None:
                break
            position = after.end()


def _copied(text: str, table: str) -> Iterator[dict[str, Any]]:
    pattern = re.compile(r"(?i)\bcopy\s+" + _INTO.format(table=table) + r"from\s+stdin[^\n]*\n")
    position = 0
    while statement := pattern.search(text, position):
        columns = _columns(statement[1])
        last = _LAST.search(text, statement.end())
        # What looks like a statement in its rows is none: to read it again and again would take for ever.
        position = last.end() if last else len(text)
        for line in text[statement.end() : last.start() if last else position].split("\n"):
            cells = ["" if cell == "\\N" else _unescaped(cell) for cell in line.split("\t")]
            yield dict(zip(columns, cells, strict=False))


def _unescaped(cell: str) -> str:
    return re.sub(r"\\[tnr\\]", lambda found: _UNESCAPED[found[0]], cell)


def _columns(words: str) -> list[str]:
    return [word.strip().strip('"`').lower() for word in words.split(",")]


def _of_csv(text: str) -> Iterator[dict[str, Any]]:
    lines = text.strip("\n").split("\n")
    start = next((index for index, line in enumerate(lines) if f"{_PREFIX}name" in line.lower()), None)
    if start is None:
        raise ImportProblem(
            _("The table needs its first line, with provider_setting_name and the other names of columns.")
        )
    delimiter = max(",;\t|", key=lines[start].count)
    try:
        table = list(csv.reader(io.StringIO("\n".join(lines[start:])), delimiter=delimiter))
    except csv.Error as error:
        raise ImportProblem(_("The CSV cannot be read: %(problem)s.") % {"problem": error}) from None
    columns = [cell.strip().lower() for cell in table[0]]
    for cells in table[1:]:
        yield dict(zip(columns, cells, strict=False))
