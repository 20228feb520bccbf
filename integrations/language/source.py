"""Where things stand in the text of a JSON document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from integrations.language.errors import Problem, child

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s,:\[\]{}"]+')


def line_and_column(source: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character."""
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


def positions(source: str) -> dict[str, int]:
    """The offset of each value of a valid JSON text by JSON Pointer; of a string, its first character."""
    found: dict[str, int] = {}
    # For each open container its pointer, and the key or index that comes next (None: a key is awaited).
    open_: list[tuple[str, str | int | None]] = []
    for token in _TOKEN.finditer(source):
        word = token[0]
        if word in "]}":
            open_.pop()
            continue
        pointer, step = open_[-1] if open_ else ("", 0)
        if step is None:
            open_[-1] = (pointer, re.sub(r"\\(.)", r"\1", word[1:-1]))
            continue
        place = child(pointer, step) if open_ else ""
        found[place] = token.start() + (word[0] == '"')
        if open_:
            open_[-1] = (pointer, step + 1 if isinstance(step, int) else None)
        if word == "{":
            open_.append((place, None))
        elif word == "[":
            open_.append((place, 0))
    return found


def placed(
    problems: Iterable[Problem], source: str, offsets: Mapping[str, int] | None = None
) -> list[Problem]:
    """The problems with line and column in the text; what has no place of its own gets that of its parent."""
    offsets = positions(source) if offsets is None else offsets
    found = []
    for problem in problems:
        pointer = problem.pointer
        while pointer and pointer not in offsets:
            pointer = pointer.rpartition("/")[0]
        inside = (problem.column or 1) - 1 if pointer == problem.pointer else 0
        line, column = line_and_column(source, offsets[pointer] + inside)
        found.append(replace(problem, line=line, column=column))
    return found
