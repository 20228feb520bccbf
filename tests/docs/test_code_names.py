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
