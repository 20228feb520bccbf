"""The results of a template's cases: those that its authors keep, and those of a built-in one's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integrations import cases, catalog
from integrations.language.document import Template as Compiled
from integrations.language.values import Value, load, text
from integrations.models import Template, TemplateCase


@dataclass(frozen=True)
class StudioResult:
    """How a case went; `row` is None for those of the catalogue, which cannot be changed here."""

    name: str
    kind: str
    difference: str
    row: TemplateCase | None = None

    @property
    def passed(self) -> bool:
        """Whether the result is what the case expects."""
        return not self.difference

    @property
    def lines(self) -> list[str]:
        """The difference, line by line."""
        return self.difference.splitlines()


def run(template: Template, compiled: Compiled) -> list[StudioResult]:
    """The results of all cases of a template with a document."""
    found = []
    for name, case, row in cases_of(template):
        difference = cases.run(compiled, case)
        kind = text(case.get("kind")) if isinstance(case, Mapping) else ""
        found.append(StudioResult(name, kind, difference, row))
    return found


def contents_of(template: Template) -> list[Mapping[str, Value]]:
    """All cases of a template, without those that are no objects."""
    return [case for _name, case, _row in cases_of(template) if isinstance(case, Mapping)]


def difference(compiled: Compiled, source: str) -> str:
    """How the result of a case differs from what it expects; "" if it does not."""
    return cases.run(compiled, _loaded(source))


def cases_of(template: Template) -> Iterator[tuple[str, Value, TemplateCase | None]]:
    """The cases with their names; those of a built-in template's folder have no row."""
    for row in template.cases.all():
        yield row.name, _loaded(row.source), row
    folder = catalog.FOLDER / template.service_id
    if template.account_id is None and folder.is_dir():
        for file in sorted((folder / "cases").glob("*.json")):
            found: Any = load(file.read_text())
            for index, case in enumerate(found if isinstance(found, list) else [found], 1):
                yield text(case.get("name")) or f"{file.stem} {index}", case, None


def _loaded(source: str) -> Value:
    try:
        return load(source)
    except (json.JSONDecodeError, RecursionError):
        return {}
