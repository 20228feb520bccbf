"""Nothing is left out: what the language knows stands in its reference, and the index lists every page."""

from __future__ import annotations

import re

import pytest

from integrations import case_schema
from integrations.language import (
    api_methods,
    auth,
    document,
    limits,
    methods,
    names,
    oauth,
    properties,
    receiving,
    sections,
    signatures,
    verify,
    webhook_events,
)
from integrations.language.conditions import OPERATORS
from integrations.language.response_rules import RESULTS
from tests.processes import ROOT

PAGE = (ROOT / "docs/reference/template-language.md").read_text()
WORDS = {
    "document": document.KEYS,
    "limits": limits.Limits.__dataclass_fields__,
    "methods": [*api_methods.METHODS, *methods.KEYS, *receiving.RECEIVING_KEYS],
    "kept from call to call": names.KEPT,
    "variables": names.SENDING,
    "answers": [*names.RESPONSE, *RESULTS],
    "webhook": [
        *webhook_events.KEYS,
        *webhook_events.TYPES,
        *webhook_events.STATUSES,
        *names.BOUND,
        *names.EXCHANGE,
    ],
    "verify": [
        *verify.SCHEMES,
        *(key for needed, more, _ in verify.SCHEMES.values() for key in needed + more),
    ],
    "signatures": [*signatures.ALGORITHMS, *signatures.ENCODINGS, *verify.NAMES - {"now"}],
    "auth": [
        *auth.FIELDS,
        *oauth.KEYS,
        *oauth.FLOWS,
        *(key for keys in auth.FIELDS.values() for key in keys),
    ],
    "properties": [*properties.TYPES, "name", "required", "secret", "default", "choices", "help"],
    "conditions": OPERATORS,
    "media types": sections.MEDIA_TYPES,
    "cases": [
        *case_schema.SCHEMAS,
        *case_schema.COMMON,
        *case_schema.SCHEMAS["send"],
        *case_schema.SCHEMAS["receive"],
    ],
    "requests of cases": [
        *case_schema.REQUEST,
        *case_schema.FAULTS,
        *case_schema.FILE,
        "ip",
        "unmatched",
        "events",
    ],
}


def _is_named(word: str) -> bool:
    """Whether the page writes the word in code: alone, in a list of words, quoted, or between dollars."""
    return re.search(rf"[`\s\"$.,({{\[]{re.escape(word)}[`\s\"$?|.,:;\])}}]", PAGE) is not None


@pytest.mark.parametrize("topic", WORDS)
def test_every_word_of_the_language_stands_in_the_reference(topic: str) -> None:
    assert [word for word in WORDS[topic] if not _is_named(word)] == []


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text()
    listed = set(re.findall(r"\]\(([^)#]+)\)", index))
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/*/*.md")}
    assert {page for page in pages if not page.startswith("decisions/")} | {"decisions/"} == listed


def test_every_decision_has_a_status_and_is_listed() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    rows = []
    for number, page in enumerate(pages, 1):
        head, status = re.findall(r"\A# (.+)\n\nStatus: (.+)", page.read_text())[0]
        assert head.startswith(f"{number}. ") and page.name.startswith(f"{number:04}-")
        later = re.match(r"superseded by \[([0-9]+)\. ", status)
        assert later or status.startswith("accepted"), page.name
        title = head.partition(". ")[2]
        rows.append(f"| {number} | [{title}]({page.name}) | {f'superseded by {later[1]}' if later else ''} |")
    assert (ROOT / "docs/decisions/README.md").read_text().splitlines()[-len(rows) :] == rows
