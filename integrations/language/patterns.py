"""Regular expressions of the linear-time engine (RE2), small enough to be searched for in any text."""

from __future__ import annotations

import re
from typing import Any

import re2

from integrations.language.budget import spend
from integrations.language.values import well_formed

# How many instructions a compiled expression may have: the slowest search takes this many steps a character.
MAX_SIZE = 10_000
# What an expression costs when a document is compiled, and what each class of Unicode and each repetition
# does before it is known how large the expression is.
_COMPILING = 40
_LARGE = re.compile(r"\\[pP]|\{\d")
_EXPANDING = 10


class Pattern:
    """A compiled regular expression; `.` also matches a line break if `dot_all`. Raises re2.error."""

    def __init__(self, source: str, *, dot_all: bool = False) -> None:
        spend(_COMPILING + _EXPANDING * len(_LARGE.findall(source)))
        # What takes long to compile is refused early; a search is faster with more memory.
        self._cost = re2.compile(source, _options(dot_all, 256 * 1024)).programsize
        spend(self._cost // 20)
        if self._cost > MAX_SIZE:
            raise re2.error("it is too large")
        self._compiled = re2.compile(source, _options(dot_all, 8 * 1024 * 1024))

    @property
    def groups(self) -> int:
        """The number of groups."""
        return int(self._compiled.groups)

    def search(self, text: str) -> Any:
        """The first match in a text, or None."""
        spend(1 + (len(text) * self._cost >> 8))
        return self._compiled.search(well_formed(text))

    def fullmatch(self, text: str) -> Any:
        """The match of the whole text, or None."""
        spend(1 + (len(text) * self._cost >> 8))
        return self._compiled.fullmatch(well_formed(text))


def _options(dot_all: bool, memory: int) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = dot_all
    options.max_mem = memory
    return options
