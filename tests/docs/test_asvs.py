"""The table of OWASP ASVS is complete, and what it names is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.processes import ROOT

PAGE = (ROOT / "docs/explanation/asvs.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in re.findall(r"^\| (\d+\.\d+\.\d+ \|.*)\|$", PAGE, re.MULTILINE)
]
# How many requirements of the levels 1 and 2 each section of version 5.0.0 has; they come before those of level 3.
SECTIONS = """
    1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2
    4.1:3 4.2:1 4.3:2 4.4:4 5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4
    7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3 9.2:4
    10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1
    12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7
    16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2
"""
VERDICTS = ("met", "partly", "not met", "does not apply")


def test_every_requirement_stands_there_once_and_in_order() -> None:
    assert [row[0] for row in ROWS] == [
        f"{section}.{number}"
        for section, count in re.findall(r"(\S+):(\d+)", SECTIONS)
        for number in range(1, int(count) + 1)
    ]
    assert len(ROWS) == 253


def test_the_sum_is_that_of_the_rows() -> None:
    count = Counter(row[2] for row in ROWS)
    assert set(count) == set(VERDICTS)
    met, partly, missing, other = (count[verdict] for verdict in VERDICTS)
    said = f"Of 253 requirements {met} are met, {partly} partly, {missing} are not met, and {other} do not apply."
    assert said in PAGE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_a_row_names_is_there(row: list[str]) -> None:
    number, requirement, verdict, where, tests = row
    assert requirement and where
    is_about_documents = re.match(r"\d+\.1\.", number) and "](" in where
    assert bool(tests) or verdict in ("not met", "does not apply") or is_about_documents
    for name in re.findall(r"`(PATCHBAY_\w+|EMAIL_\w+)`", where):
        assert f"`{name}`" in (ROOT / "docs/reference/settings.md").read_text(), name
    for file, name in re.findall(r"`([\w/.]+)::(\w+)`", tests):
        assert name in named_in(ROOT / "tests" / file), (file, name)


def named_in(file: Path) -> set[str]:
    """The names of the tests in a file."""
    if not file.exists():
        return set()
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
