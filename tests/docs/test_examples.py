"""Every example of the documentation is tried, with exact results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.examples import KINDS, Example, check, examples, run
from tests.processes import ROOT

PAGES = [
    ROOT / "docs/reference/template-language.md",
    ROOT / "docs/how-to/describe-a-provider.md",
    ROOT / "docs/how-to/import-from-another-system.md",
]


def _tried() -> list[tuple[Example, Example | None]]:
    found = []
    for page in PAGES:
        document = None
        for example in examples(page):
            if example.words in ("template", "part"):
                document = example
            if example.language == "json" and not example.words.startswith("file="):
                found.append((example, document))
    return found


@pytest.mark.parametrize(("example", "document"), _tried(), ids=lambda item: item.place if item else "-")
def test_example(example: Example, document: Example | None) -> None:
    assert example.words in KINDS, "An example says how it is tried."
    check(example, document)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = list(examples(page))
    assert any(example.language == "console" for example in blocks)
    run(blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_is_left_out(page: Path) -> None:
    """Prose about grammar and tables of text are not JSON; what is JSON says how it is tried."""
    text = page.read_text()
    assert text.count("```") == 2 * len(list(examples(page)))
    assert {example.language for example in examples(page)} <= {"json", "console", "text"}
