"""Regular expressions of the linear-time engine (RE2), small enough to be searched for in any text."""

from __future__ import annotations

from typing import Any

import re2

from integrations.language.budget import spend

# How many instructions a compiled expression may have: the slowest search takes this many steps a character.
MAX_SIZE = 2000
# What an expression costs when a document is compiled.
_COMPILING = 40


class Pattern:
    """A compiled regular expression; `.` also matches a line break if `dot_all`. Raises re2.error."""

    def __init__(self, source: str, *, dot_all: bool = False) -> None:
        spend(_COMPILING)
        options = re2.Options()
        options.log_errors = False
        options.dot_nl = dot_all
        small = re2.Options()
        small.log_errors = False
        small.dot_nl = dot_all
        small.max_mem = 256 * 1024  # refuses early what would take long to compile
        if re2.compile(source, small).programsize > MAX_SIZE:
            raise re2.error("it is too large")
        self._compiled = re2.compile(source, options)
        self._cost = self._compiled.programsize

    @property
    def groups(self) -> int:
        """The number of groups."""
        return int(self._compiled.groups)

    def search(self, text: str) -> Any:
        """The first match in a text, or None."""
        spend(1 + (len(text) * self._cost >> 8))
        return self._compiled.search(text)

    def fullmatch(self, text: str) -> Any:
        """The match of the whole text, or None."""
        spend(1 + (len(text) * self._cost >> 8))
        return self._compiled.fullmatch(text)
