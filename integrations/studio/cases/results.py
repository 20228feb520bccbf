"""The results of a template's cases: those that its authors keep, and those of a built-in one's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from integrations import cases, catalog
from integrations.language.document import Template as Compiled
from integrations.language.values import Value, load, text
from integrations.models import Template, TemplateCase, TemplateRevision
from integrations.models.templates import compiled_revision


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


@dataclass(frozen=True)
class Score:
    """How many of a template's cases pass."""

    passed: int = 0
    count: int = 0


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


def cases_of(template: Template) -> list[tuple[str, Value, TemplateCase | None]]:
    """The cases with their names; those of a built-in template's folder have no row."""
    return [(name, _loaded(source), row) for name, source, row in sources(template)]


def score(template: Template, revision: TemplateRevision) -> Score:
    """How many cases pass with a revision; they run once in a process, until they or the document change."""
    return _score(revision.source, tuple(source for _name, source, _row in sources(template)))


@lru_cache(maxsize=1024)
def _score(document: str, sources: tuple[str, ...]) -> Score:
    compiled = compiled_revision(document)
    passed = sum(not cases.run(compiled, _loaded(source)) for source in sources)
    return Score(passed, len(sources))


def sources(template: Template) -> list[tuple[str, str, TemplateCase | None]]:
    """The name and the text of each case, and its row if it has one."""
    kept: list[tuple[str, str, TemplateCase | None]] = [
        (row.name, row.source, row) for row in template.cases.all()
    ]
    if template.account_id is None:
        kept += [(name, source, None) for name, source in _of_catalog(template.service_id)]
    return kept


@lru_cache(maxsize=256)
def _of_catalog(service_id: str) -> tuple[tuple[str, str], ...]:
    """The cases in a folder of the catalogue, which change only with the program."""
    found = []
    for file in sorted((catalog.FOLDER / service_id / "cases").glob("*.json")):
        read: Any = json.loads(file.read_text())
        for index, case in enumerate(read if isinstance(read, list) else [read], 1):
            name = case.get("name") or f"{file.stem} {index}"
            found.append((name, json.dumps(case, indent=2, ensure_ascii=False)))
    return tuple(found)


def _loaded(source: str) -> Value:
    try:
        return load(source)
    except (ValueError, RecursionError):
        return {}
