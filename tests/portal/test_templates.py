"""Templates as files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

OPEN = re.compile(r"\{\{ (?!.*\}\})|\{% (?!.*%\})|\{# (?!.*#\})")
ROOT = Path(__file__).parents[2]
TEMPLATES = [
    file
    for app in ("portal", "integrations", "messaging")
    for file in (ROOT / app).rglob("templates/**/*.html")
]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_tag_goes_over_several_lines(file: Path) -> None:
    """Django shows such a tag as it is written."""
    assert [line for line in file.read_text().splitlines() if OPEN.search(line)] == []
