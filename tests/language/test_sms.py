"""Counting and cutting texts as networks do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from integrations.language.segments import count_segments, is_gsm7, measure, split_text, to_gsm7

FAMILY = "👨‍👩‍👧‍👦"


# The browser counts by the same table: tests/browser/test_segments.py.
CASES = json.loads((Path(__file__).parent / "segments.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["text"]))
def test_segments(case: dict[str, Any]) -> None:
    text = "".join(characters * times for characters, times in case["text"])
    assert count_segments(text) == case["segments"]


@pytest.mark.parametrize(
    ("text", "most", "unit", "parts"),
    [
        ("short", 10, "characters", ["short"]),
        (" kept as it is ", 20, "characters", [" kept as it is "]),
        ("one two three four", 10, "characters", ["one two", "three four"]),
        ("abcdefghijklmnop", 10, "characters", ["abcdefghij", "klmnop"]),
        ("a bcdefghijklmnop", 10, "characters", ["a bcdefghi", "jklmnop"]),
        ("abcdefghij klm", 10, "characters", ["abcdefghij", "klm"]),
        # A space in the last six units is near enough, one before them is not.
        ("abcd efghijklm", 10, "characters", ["abcd", "efghijklm"]),
        ("abc defghijklm", 10, "characters", ["abc defghi", "jklm"]),
        ("жжж жжжжж", 14, "bytes", ["жжж жжж", "жж"]),
        ("жжж жжж", 12, "bytes", ["жжж", "жжж"]),
        ("жжжжж", 4, "bytes", ["жж", "жж", "ж"]),
        (FAMILY * 2, 8, "characters", [FAMILY, FAMILY]),
        ("e\u0301e\u0301e\u0301", 3, "characters", ["e\u0301", "e\u0301", "e\u0301"]),
        ("a" * 161, 1, "segments", ["a" * 160, "a"]),
        ("😀" * 36, 1, "segments", ["😀" * 35, "😀"]),
        ("a" * 307, 2, "segments", ["a" * 306, "a"]),
        ("a\n\n\nb" + "c" * 8, 6, "characters", ["a", "bccccc", "ccc"]),
    ],
)
def test_split(text: str, most: int, unit: str, parts: list[str]) -> None:
    assert split_text(text, most, unit) == parts  # type: ignore[arg-type]


@given(
    st.text(st.characters(codec="utf-8")),
    st.integers(1, 40),
    st.sampled_from(["characters", "bytes", "segments"]),
)
def test_parts_fit_lose_nothing_and_tear_nothing(text, most, unit):
    parts = split_text(text, most, unit)
    assert "".join("".join(parts).split()) == "".join(text.split())
    clusters = regex.findall(r"\X", text)
    if len(parts) > 1 and all(measure(cluster, unit) <= most for cluster in clusters):
        assert all(measure(part, unit) <= most for part in parts)
        starts = {"".join(clusters[:index]) for index in range(len(clusters) + 1)}
        assert any(start.rstrip().endswith(parts[0]) for start in starts)


@given(st.text(st.characters(codec="utf-8")))
def test_the_nearest_characters_are_inside(text):
    assert is_gsm7(to_gsm7(text))


@given(st.text(st.sampled_from("abc€{}ñÑ\n ")))
def test_what_is_inside_stays(text):
    assert to_gsm7(text) == text
