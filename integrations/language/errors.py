"""What can be wrong with a template, or with a value on its way into a request."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

# A person reads a list of so many words.
FEW = 12


@dataclass(frozen=True)
class Problem:
    """One thing to repair in a template, where it stands (JSON Pointer, RFC 6901) and what to try.

    With `line`, `column` counts in that line; without, inside the string at `pointer`. Both from 1.
    With `at_key` it is the key there that is wrong, not the value.
    """

    pointer: str
    reason: str
    suggestion: str = ""
    line: int | None = None
    column: int | None = None
    severity: Literal["error", "warning"] = "error"
    at_key: bool = False

    def __str__(self) -> str:
        if self.line is not None:
            place = f"line {self.line}, column {self.column}"
            place = f"{self.pointer} ({place})" if self.pointer else place
        elif self.column is not None:
            place = f"{self.pointer or 'document'}, character {self.column}"
        else:
            place = self.pointer or "document"
        return f"{place}: {self.reason}" + (f" {self.suggestion}" if self.suggestion else "")


class DocumentError(ValueError):
    """The document cannot be used; `problems` holds everything found in it, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class RenderError(ValueError):
    """A value cannot go into the request; `pointer` is the place in the template that wanted it."""

    def __init__(self, reason: str, pointer: str = "") -> None:
        self.reason, self.pointer = reason, pointer
        super().__init__(f"{pointer}: {reason}" if pointer else reason)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion of the known word nearest to this one; where none is near, all of them if they are few."""
    choices = {choice.casefold(): choice for choice in known if choice}
    near = difflib.get_close_matches(word.casefold(), choices, n=1)
    if near:
        return f"Did you mean {choices[near[0]]!r}?"
    return f"Known here: {', '.join(choices.values())}." if 0 < len(choices) <= FEW else ""


def child(pointer: str, step: str | int) -> str:
    """The JSON Pointer of a key or index below another pointer."""
    return f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"


# What Python's reader says (the part that all its versions have in common), and what it means to a person.
_JSON = {
    "Expecting ',' delimiter": "a comma is missing before this, or a closing bracket.",
    "Expecting ':' delimiter": "a colon is missing before this.",
    "Expecting property name": "a key in double quotes is expected here; is there a comma too many?",
    "Illegal trailing comma": "this comma is one too many.",
    "Expecting value": "a value is expected here; is there a comma too many, or a quote missing?",
    "Unterminated string": "the text that begins here has no closing quote.",
    "Invalid control character": "a text goes on over the end of its line.",
    "Invalid \\escape": "a backslash in a text is written twice.",
    "Invalid \\uXXXX": "four hexadecimal digits follow \\u.",
    "Extra data": "something follows behind the end.",
}


def json_problem(error: json.JSONDecodeError) -> Problem:
    """What is wrong with a text that should be JSON, and where."""
    reason = next((words for start, words in _JSON.items() if error.msg.startswith(start)), f"{error.msg}.")
    return Problem("", f"This is not JSON: {reason}", "", error.lineno, error.colno)
