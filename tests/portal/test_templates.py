"""Templates as files."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = [
    file
    for app in ("portal", "integrations", "messaging")
    for file in (ROOT / app).rglob("templates/**/*.html")
]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_tag_goes_over_several_lines(file: Path) -> None:
    """Django shows such a tag as it is written."""
    lines = file.read_text().splitlines()
    cut = [line for line in lines for opening in ("{{ ", "{% ", "{# ") if _is_open(line, opening)]
    assert cut == []


def _is_open(line: str, opening: str) -> bool:
    last = line.rpartition(opening)
    return bool(last[1]) and {"{{ ": "}}", "{% ": "%}", "{# ": "#}"}[opening] not in last[2]
