"""Positions of values and keys in the text of a JSON document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from integrations.language.errors import Problem, child

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s,:\[\]{}"]+')
_ESCAPE = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\."
_CHARACTER = re.compile(rf"{_ESCAPE}|.", re.DOTALL)


@dataclass
class Places:
    """Offsets of values and keys by JSON Pointer; for a string, the offset of its first character.

    `repeated` are the keys that occur twice in their object.
    """

    values: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)


def line_and_column(source: str, offset: int) -> tuple[int, int]:
    """The line and column of a character, both from 1."""
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


def inside(source: str, start: int, characters: int) -> int:
    """The offset of the nth character in a JSON string that begins at `start`; an escape counts as one."""
    for _ in range(characters):
        found = _CHARACTER.match(source, start)
        start = found.end() if found else start
    return start


def places(source: str) -> Places:
    """The positions of the keys and values in a valid JSON text."""
    found = Places()
    # For each open container, its pointer and the next key or index (None: a key is expected).
    open_: list[tuple[str, str | int | None]] = []
    for token in _TOKEN.finditer(source):
        word = token[0]
        if word in "]}":
            open_.pop()
            continue
        pointer, step = open_[-1] if open_ else ("", 0)
        if step is None:
            key = json.loads(word) if "\\" in word else word[1:-1]
            open_[-1] = (pointer, key)
            place = child(pointer, key)
            if place in found.keys:
                found.repeated.append(place)
            found.keys[place] = token.start() + 1
            continue
        place = child(pointer, step) if open_ else ""
        found.values[place] = token.start() + (word[0] == '"')
        if open_:
            open_[-1] = (pointer, step + 1 if isinstance(step, int) else None)
        if word == "{":
            open_.append((place, None))
        elif word == "[":
            open_.append((place, 0))
    return found


def placed(problems: Iterable[Problem], source: str, known: Places | None = None) -> list[Problem]:
    """The problems with line and column in the text; one without a position of its own gets its parent's."""
    known = known or places(source)
    found = []
    for problem in problems:
        offsets = known.keys if problem.at_key and problem.pointer in known.keys else known.values
        pointer = problem.pointer
        while pointer and pointer not in offsets:
            pointer = pointer.rpartition("/")[0]
        characters = (problem.column or 1) - 1 if pointer == problem.pointer else 0
        line, column = line_and_column(source, inside(source, offsets[pointer], characters))
        found.append(replace(problem, line=line, column=column))
    return found
