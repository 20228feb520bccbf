"""What the documentation names in the code is there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

from tests.processes import ROOT

ARCHITECTURE = ROOT / "docs/explanation/architecture.md"
GLOSSARY = ROOT / "docs/reference/glossary.md"
PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    if "Status: superseded" not in page.read_text()
]
GUIDES = sorted({*ROOT.glob("docs/how-to/*.md"), *ROOT.glob("docs/tutorial/*.md")})
GUIDES.remove(ROOT / "docs/how-to/run-in-production.md")
# What the interface gets from Django, from unfold, and from templates of the catalogue.
NOT_OURS = {"Save", "Add number", "Add template", "Save and add another", "Add another auto-reply"}
NOT_OURS |= {"Add to Home Screen", "Acme", "Generic HTTP SMS", "Twilio (sandbox)", "API URL", "API key"}
_PATH = re.compile(r"`((?:portal|integrations|messaging|tests|benchmarks|deploy|docs)/[\w./-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_exist(page: Path) -> None:
    assert [path for path in _PATH.findall(page.read_text()) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("heading", ["A webhook comes in", "A message goes out"])
def test_the_walks_lead_through_fewer_than_ten_modules(heading: str) -> None:
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", ARCHITECTURE.read_text(), re.DOTALL | re.MULTILINE)
    steps = re.findall(r"^\| `([\w/]+)\.py` \| `(\w+)` \|", section, re.MULTILINE)
    assert 5 < len(steps) < 10
    for path, name in steps:
        assert hasattr(import_module(path.replace("/", ".")), name), (path, name)


def test_the_glossary_is_in_order_and_names_what_exists() -> None:
    rows = re.findall(r"^\| \*\*(.+)\*\* \| (.+) \| (.*) \|$", GLOSSARY.read_text(), re.MULTILINE)
    terms = [term for term, _meaning, _code in rows]
    assert terms == sorted(terms, key=str.casefold)
    for term, meaning, code in rows:
        assert meaning.endswith("."), term
        for name in re.findall(r"`([^`]+)`", code):
            assert (ROOT / name).exists() or import_string(name), name


@pytest.fixture(scope="module")
def interface() -> str:
    """The source of all that users see."""
    rooms = ("portal", "integrations", "messaging")
    files = [
        path for room in rooms for kind in ("py", "html", "js") for path in ROOT.glob(f"{room}/**/*.{kind}")
    ]
    return "\n".join(path.read_text() for path in files)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_what_the_guides_quote_is_on_the_pages(page: Path, interface: str) -> None:
    """An emphasized phrase that begins with a capital is a button, a link, a label or a title."""
    quoted = re.findall(r"(?<![*\w])\*{1,2}([A-Z][^*:\n]*)\*{1,2}(?!\w)", page.read_text())
    parts = {part.strip().rstrip(".…") for phrase in quoted for part in phrase.split("→")} - NOT_OURS
    words = {part: f"(?i:{re.escape(part[:1])}){re.escape(part[1:])}" for part in parts}
    assert [part for part in sorted(parts) if not re.search(rf"[\"'>]\s*{words[part]}", interface)] == []
