"""Errors in a template, and in the values that go into its requests."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

# The longest list of words that a suggestion shows.
FEW = 12
# Suggestions are looked for among so many words of so many characters.
MAX_WORDS, MAX_WORD = 500, 60
MAX_PROBLEMS, MAX_REASON = 50, 500


@dataclass(frozen=True)
class Problem:
    """Something to fix in a template: its place (JSON Pointer, RFC 6901), the reason, and what to try.

    With `line`, `column` is a column of that line; without, it is a position in the string at `pointer`. Both
    count from 1. With `at_key`, the key at that place is wrong, not the value. `document` is what was read
    instead of a text that is not JSON.
    """

    pointer: str
    reason: str
    suggestion: str = ""
    line: int | None = None
    column: int | None = None
    severity: Literal["error", "warning"] = "error"
    at_key: bool = False
    document: str = ""

    def __str__(self) -> str:
        if self.line is not None:
            place = f"line {self.line}, column {self.column}"
            place = f"{self.pointer} ({place})" if self.pointer else place
        elif self.column is not None:
            place = f"{self.pointer or 'document'}, character {self.column}"
        else:
            place = self.pointer or "document"
        return f"{place}: {self.reason}" + (f" {self.suggestion}" if self.suggestion else "")


class EnoughProblems(Exception):
    """As many errors as anybody wants to read at once have been found."""


class Problems(list[Problem]):
    """What was found in a document: each problem once, up to 50 errors and 50 warnings.

    `append` leaves out further warnings, and raises EnoughProblems for the 50th error.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def append(self, problem: Problem) -> None:
        if self._counts[problem.severity] >= MAX_PROBLEMS or problem in self:
            return
        super().append(problem)
        self._counts[problem.severity] += 1
        if self._counts["error"] >= MAX_PROBLEMS:
            raise EnoughProblems


class DocumentError(ValueError):
    """The document cannot be used; `problems` holds all that was found, up to 50, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class RenderError(ValueError):
    """A value cannot be put into the request; `pointer` is the place in the template that asks for it."""

    def __init__(self, reason: str, pointer: str = "") -> None:
        self.reason, self.pointer = reason, pointer
        super().__init__(f"{pointer}: {reason}" if pointer else reason)


# What turns a word into its opposite, at its beginning or at that of a part.
_NEGATION = re.compile(r"(?:^|[_ -])(?:[Uu]n|[Nn]o[nt]|[Dd]is)|(?<=[a-z])(?:Un|No[nt]|Dis)")
ALIKE = 0.7


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggests the known word that is closest; if none is close, all of them if they are few.

    A word that may be its opposite is not close: `undelivered` is not `delivered`.
    """
    few = itertools.islice(known, MAX_WORDS)
    choices = {choice.casefold(): choice for choice in few if 0 < len(choice) <= MAX_WORD}
    near = difflib.get_close_matches(word.casefold(), choices, n=3) if len(word) <= MAX_WORD else []
    for found in near:
        if _is_like(word, choices[found]):
            return f"Did you mean {choices[found]!r}?"
    return f"Expected one of: {', '.join(choices.values())}." if 0 < len(choices) <= FEW else ""


def _is_like(word: str, known: str) -> bool:
    if bool(_NEGATION.search(word)) is not bool(_NEGATION.search(known)):
        return False
    one, other = word.casefold(), known.casefold()
    if one.startswith(f"{other}_") or one.endswith(f"_{other}") or other.endswith(f"_{one}"):
        return True
    if len(one) == len(other) and sum(map(str.__ne__, one, other)) == 1:
        return True
    return difflib.SequenceMatcher(None, one, other).ratio() >= ALIKE


def shortened(words: str, most: int = MAX_REASON) -> str:
    """The words, with an ellipsis after as many characters as a reader needs."""
    return words if len(words) <= most else f"{words[:most]}…"


def child(pointer: str, step: str | int) -> str:
    """The JSON Pointer of a key or index under another pointer."""
    return f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"


# How Python's error messages begin (the part that all versions share), and what they mean to a person.
_JSON = {
    "Expecting ',' delimiter": "a comma or a closing bracket is missing before this.",
    "Expecting ':' delimiter": "a colon is missing before this.",
    "Expecting property name": "a key in double quotes is expected here. Is there an extra comma?",
    "Illegal trailing comma": "this comma must be removed.",
    "Expecting value": "a value is expected here. Is there an extra comma, or a missing quote?",
    "Unterminated string": "the string that starts here has no closing quote.",
    "Invalid control character": "a string contains a control character; a line break is written \\n.",
    "Invalid \\escape": "a backslash in a string must be doubled.",
    "Invalid \\uXXXX": "\\u must be followed by four hexadecimal digits.",
    "Extra data": "there is something after the end of the document.",
}


def json_problem(error: json.JSONDecodeError) -> Problem:
    """What is wrong with a text that should be JSON, and where."""
    reason = next((words for start, words in _JSON.items() if error.msg.startswith(start)), f"{error.msg}.")
    return Problem("", f"This is not JSON: {reason}", "", error.lineno, error.colno)
