"""Writes the tables in the reference of the template language, and the JSON Schema, from the declarations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from integrations.language import (
    auth,
    document,
    limits,
    methods,
    names,
    oauth,
    properties,
    receiving,
    response_rules,
    webhook_events,
)
from integrations.language.api_methods import METHODS, ApiMethod
from integrations.language.filters import FILTERS
from integrations.language.json_schema import schema
from integrations.language.names import SENDING
from integrations.language.registry import Filter
from integrations.language.values import Number, Table, dump

FILTERS_PAGE = Path("docs/reference/filters.md")
LANGUAGE_PAGE = Path("docs/reference/template-language.md")
SCHEMA_PAGE = Path("docs/reference/template.schema.json")
MARKS = "<!-- {}: python manage.py document_language -->\n", "<!-- end of {} -->\n"
KEY, VARIABLE = "| key | meaning |\n|---|---|\n", "| variable | value |\n|---|---|\n"
# The tables of the reference with a row for each word, by the name in their marks.
TABLES = {
    "keys of a document": (KEY, document.KEYS),
    "limits": (KEY, limits.LIMITS),
    "keys of a property": (KEY, properties.KEYS),
    "types of properties": ("| type | value |\n|---|---|\n", properties.TYPES),
    "JWT": (KEY, auth.FIELDS["JWT"]),
    "OAuth2": (KEY, {key: oauth.KEYS[key] for key in oauth.KEYS if key not in oauth.COMMON}),
    "keys of a method": (KEY, methods.KEYS),
    "variables of requests": (VARIABLE, names.REQUEST_VARIABLES),
    "split": (KEY, methods.SPLIT),
    "ReceiveMessages": (KEY, receiving.RECEIVING_KEYS),
    "results": ("| result | meaning |\n|---|---|\n", response_rules.RESULTS),
    "keys of an event": (KEY, webhook_events.KEYS),
    "variables of events": (VARIABLE, names.BOUND_VARIABLES),
    "statuses": ("| status | meaning |\n|---|---|\n", webhook_events.STATUSES),
}
METHODS_HEAD = (
    "| method | what it does | called when | one request per file | variables |\n|---|---|---|---|---|\n"
)
HEAD = """# Filters

A filter follows a bar in a placeholder: `$to|digits$`. Several filters are applied from left to right:
`$text|trim|slice:0:160$`. An argument is a quoted text (in which `''` is a quote), a number, or a variable,
as in `$content|hmac_sha256:API key$`. Arguments in brackets are optional.

- *Unset stays unset*, except for `or`, `map`, `length` and `list`.
- *Filters never fail*: if the value is not valid, such as a text that is not a date, the result is unset.
- Filters for texts are applied to each element of a list, and read any other value as text.

This page is generated from the code by `python manage.py document_language`.
"""
TABLE = "| filter | result | example value | example filter | example result |\n|---|---|---|---|---|\n"
GROUPS = {
    "Phone numbers": "digits plus international e164 national",
    "Texts": "upper lower trim slice replace remove_prefix match length",
    "Numbers": "fixed base",
    "Lists and objects": "list first split join sorted where where_not pluck numbered without",
    "Fallbacks and tables": "or null_if map",
    "Dates": "iso epoch strptime date timestamp",
    "Encodings": (
        "json unjson query quote unquote escape unescape base64 base64url unbase64 base64_maybe hex unhex "
        "encode decode"
    ),
    "The alphabet of SMS": "gsm7 is_gsm7 gsm7_decode",
    "Files": "filename content_type data_uri",
    "Digests and signatures": "md5 sha1 sha256 sha512 hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512",
}


def pages() -> dict[Path, str]:
    """The files with generated text, by their path. Raises KeyError if something has no place in them."""
    return {FILTERS_PAGE: _filters(), LANGUAGE_PAGE: _language(), SCHEMA_PAGE: _schema()}


def _schema() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _language() -> str:
    """The reference, with new tables, each between its two marks."""
    page = (settings.BASE_DIR / LANGUAGE_PAGE).read_text()
    tables = {"API methods": METHODS_HEAD + "".join(map(_method_row, METHODS.values()))}
    for name, (head, declared) in TABLES.items():
        tables[name] = head + "".join(f"| `{word}` | {_cell(line)} |\n" for word, line in declared.items())
    for name, table in tables.items():
        start, end = (mark.format(name) for mark in MARKS)
        before, found, rest = page.partition(start)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise KeyError(f"{LANGUAGE_PAGE} has no place for the table {name!r}.")
        page = f"{before}{start}\n{table}\n{end}{after}"
    return page


def _method_row(method: ApiMethod) -> str:
    files = "no"
    if method.per_file:
        files = "yes, unless it [reads them all](#files)" if method.sends_message else "yes"
    names = ", ".join(f"`{name}`" for name in sorted(method.variables))
    variables = "[all](#variables)" if method.variables == SENDING else names
    return f"| `{method.name}` | {method.purpose} | {method.called_when} | {files} | {variables} |\n"


def _filters() -> str:
    parts = [HEAD]
    left = dict(FILTERS)
    for title, listed in GROUPS.items():
        parts += [f"\n## {title}\n\n", TABLE, *(_row(left.pop(name)) for name in listed.split())]
    if left:
        raise KeyError(f"GROUPS lacks {', '.join(left)}.")
    return "".join(parts)


def _row(item: Filter) -> str:
    value, arguments, result = item.example
    call = item.name + "".join(":" + _argument(argument) for argument in arguments)
    cells = [f"`{_cell(part)}`" for part in (item.usage, _shown(value), call, _shown(result))]
    return f"| {cells[0]} | {_cell(item.doc)} | {cells[1]} | {cells[2]} | {cells[3]} |\n"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return repr(value) if isinstance(value, bytes) else dump(value)


def _argument(argument: Any) -> str:
    """The argument as templates write it: a number, a quoted text, or the name of a table."""
    if isinstance(argument, Table):
        return "'table'"
    if isinstance(argument, str) and not isinstance(argument, Number):
        return "'" + argument.replace("'", "''") + "'"
    return _shown(argument)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


class Command(BaseCommand):
    help = "Updates the tables and the JSON Schema in docs/reference from their declarations."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        for path, text in pages().items():
            (settings.BASE_DIR / path).write_text(text)
