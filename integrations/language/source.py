"""Where things stand in the text of a JSON document."""

from __future__ import annotations

import re

from integrations.language.errors import child

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
