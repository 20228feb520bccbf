"""A document under another id and name keeps its comments and its layout."""

from __future__ import annotations

import json

import pytest

from integrations import catalog
from integrations.language.document import compile_document
from integrations.language.errors import DocumentError
from integrations.language.renaming import renamed

REST = '"Webhook": {"event_type": "ignore"}'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"id": "one", "name": "One", %s}', '{"id": "two", "name": "Two \\"2\\"", %s}'),
        ('// Ours\n{"name": "One", /* id */ "id": "one", %s,}', '// Ours\n{"name": "Two \\"2\\"", /* id */ "id": "two", %s,}'),
        ('{"id": 42, "name": "O\\"ne", %s}', '{"id": "two", "name": "Two \\"2\\"", %s}'),
        ('{“id”: “one”, “name”: “One”, %s}', '{“id”: “two”, “name”: “Two \\"2\\"”, %s}'),
        ('"id": "one",\n"name": "One",\n%s', '"id": "two",\n"name": "Two \\"2\\"",\n%s'),
    ],
)  # fmt: skip
def test_only_id_and_name_change(source: str, expected: str) -> None:
    found = renamed(source % REST, "two", 'Two "2"')
    assert found == expected % REST
    compiled = compile_document(found)
    assert (compiled.id, compiled.name) == ("two", 'Two "2"')


def test_what_is_missing_is_added() -> None:
    found = renamed(f"{{/* nameless */ {REST}}}", "two", "Two")
    assert json.loads(found) == {"id": "two", "name": "Two", "Webhook": {"event_type": "ignore"}}


@pytest.mark.parametrize("slug", catalog.slugs())
def test_entries_of_the_catalogue_keep_their_lines(slug: str) -> None:
    source = catalog.source(slug)
    lines = list(zip(source.splitlines(), renamed(source, "two", "Two").splitlines(), strict=True))
    changed = [(before, after) for before, after in lines if before != after]
    assert [after for _, after in changed] == ['  "id": "two",', '  "name": "Two",']


@pytest.mark.parametrize(("source", "service_id"), [("no json", "two"), (f"{{{REST}}}", "t w o")])
def test_what_is_no_document_is_refused(source: str, service_id: str) -> None:
    with pytest.raises(DocumentError):
        renamed(source, service_id, "Two")
