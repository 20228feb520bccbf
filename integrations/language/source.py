"""Positions of values and keys in the text of a JSON document."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from integrations.language.errors import MAX_PROBLEMS, Problem, child

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s,:\[\]{}"]+')
_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.")
_STRING_END = re.compile(r'(?:[^"\\]|\\.)*+')


class Place:
    """Where a value and its key begin in a text; for a string, its first character. -1: nowhere."""

    __slots__ = ("inner", "key", "value")

    def __init__(self) -> None:
        self.value = self.key = -1
        self.inner: dict[str, Place] = {}


class Places:
    """The places of all keys and values, as a tree like the document: pointers of all would be too long.

    `repeated` are keys that occur twice in their object, up to 50.
    """

    def __init__(self, source: str, root: Place, repeated: list[str]) -> None:
        self.source, self.root, self.repeated = source, root, repeated
        self._escapes: dict[int, tuple[list[int], list[int]]] = {}

    def at(self, pointer: str) -> tuple[Place, bool]:
        """The place of a JSON Pointer, or of the nearest value around it, and whether it is the very one."""
        place = self.root
        for step in pointer.split("/")[1:]:
            inner = place.inner.get(step.replace("~1", "/").replace("~0", "~"))
            if inner is None:
                return place, False
            place = inner
        return place, True

    def inside(self, start: int, characters: int) -> int:
        """The offset of the nth character of the string that begins at `start`; an escape counts as one."""
        if start not in self._escapes:
            self._escapes[start] = _escapes(self.source, start)
        reached, longer = self._escapes[start]
        number = bisect.bisect_left(reached, characters)
        return start + characters + (longer[number - 1] if number else 0)


def _escapes(source: str, start: int) -> tuple[list[int], list[int]]:
    """For each escape of a string, its number as a character, and how many more the escapes so far take."""
    end = _STRING_END.match(source, start)
    reached, longer, more = [], [], 0
    for escape in _ESCAPE.finditer(source, start, end.end() if end else len(source)):
        reached.append(escape.start() - start - more)
        more += len(escape[0]) - 1
        longer.append(more)
    return reached, longer


def line_and_column(source: str, offset: int) -> tuple[int, int]:
    """The line and column of a character, both from 1."""
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


def places(source: str) -> Places:
    """The places of the keys and values in a valid JSON text, in one pass."""
    root = Place()
    repeated: list[str] = []
    # The open containers, each with its name and what comes next: an index, or a key (None: it is expected).
    open_: list[tuple[Place, str, str | int | None]] = []
    for token in _TOKEN.finditer(source):
        word = token[0]
        if word in "]}":
            open_.pop()
            continue
        container, name, step = open_[-1] if open_ else (Place(), "", 0)
        if step is None:
            key = json.loads(word) if "\\" in word else word[1:-1]
            open_[-1] = (container, name, key)
            if key in container.inner and len(repeated) < MAX_PROBLEMS:
                repeated.append("".join(child("", each) for _, each, _ in open_[1:]) + child("", key))
            place = container.inner[key] = container.inner.get(key) or Place()
            place.key = token.start() + 1
            continue
        if isinstance(step, str):
            place = container.inner[step]
        else:
            place = container.inner[str(step)] = Place() if open_ else root
        place.value = token.start() + (word[0] == '"')
        if open_:
            open_[-1] = (container, name, step + 1 if isinstance(step, int) else None)
        if word in "{[":
            place.inner = {}
            open_.append((place, str(step), None if word == "{" else 0))
    return Places(source, root, repeated)


def placed(
    problems: Iterable[Problem],
    source: str,
    known: Places | None = None,
    at: Callable[[int], tuple[int, int]] | None = None,
) -> list[Problem]:
    """The problems with line and column in the text; one without a position of its own gets its parent's.

    `at` gives line and column of a character, if not those of the text itself.
    """
    known = known or places(source)
    found = []
    for problem in problems:
        place, itself = known.at(problem.pointer)
        start = place.key if itself and problem.at_key and place.key >= 0 else place.value
        characters = (problem.column or 1) - 1 if itself else 0
        offset = known.inside(start, characters) if characters else start
        line, column = at(offset) if at else line_and_column(source, offset)
        found.append(replace(problem, line=line, column=column))
    return found
