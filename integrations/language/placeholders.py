"""The grammar of `$placeholders$`: name, filters and arguments, as written in a text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from integrations.language.values import Value, is_string

STEP = r"[^\W\d](?:[\w -]{0,98}[\w-])?"
_NAME = rf"{STEP}(?:\.{STEP}|\[\d{{1,4}}\])*"
_ARGUMENT = rf"'(?:[^']|'')*+'|-?\d+(?:\.\d+)?|{_NAME}"
_FILTER = rf"[A-Za-z0-9_]+(?::(?:{_ARGUMENT}))*+"
_PLACEHOLDER = re.compile(rf"\$(?P<name>{_NAME})(?P<optional>\??)(?P<filters>(?:\|{_FILTER})*+)\$")
_EACH_FILTER = re.compile(rf"\|([A-Za-z0-9_]+)((?::(?:{_ARGUMENT}))*+)")
_EACH_ARGUMENT = re.compile(rf":({_ARGUMENT})")
_EACH_STEP = re.compile(rf"({STEP})|\[(\d+)\]")


@dataclass(frozen=True)
class Call:
    """A filter and its arguments as written; `column` is the position of its name in the text, from 1."""

    name: str
    arguments: tuple[str, ...]
    column: int


@dataclass(frozen=True)
class Placeholder:
    """A placeholder as written; `column` is the position of its `$` in the text, from 1."""

    steps: tuple[str | int, ...]
    optional: bool
    filters: tuple[Call, ...]
    source: str
    column: int

    @property
    def root(self) -> str:
        """The name before the first dot or bracket."""
        return str(self.steps[0])

    @property
    def roots(self) -> list[str]:
        """The roots of all names in it, those of arguments, too."""
        arguments = (item for call in self.filters for item in call.arguments if is_name(item))
        return [self.root, *(str(steps_of(item)[0]) for item in arguments)]


def parse(source: str) -> list[str | Placeholder]:
    """The literals and placeholders of a text, in order; `$$` is a dollar sign, and so is a single `$`."""
    parts: list[str | Placeholder] = []
    literal, position = "", 0
    while (dollar := source.find("$", position)) >= 0:
        literal += source[position:dollar]
        if found := _PLACEHOLDER.match(source, dollar):
            if literal:
                parts.append(literal)
            literal, position = "", found.end()
            parts.append(_placeholder(found, dollar + 1))
        else:
            literal += "$"
            position = dollar + (2 if source.startswith("$$", dollar) else 1)
    literal += source[position:]
    return [*parts, literal] if literal else parts


def only(source: Value) -> Placeholder | None:
    """The placeholder that makes up the whole text, or None."""
    found = _PLACEHOLDER.match(source) if is_string(source) else None
    return _placeholder(found, 1) if found and found.end() == len(source) else None


def _placeholder(found: re.Match[str], column: int) -> Placeholder:
    start = found.start("filters") + 1
    filters = tuple(
        Call(each[1], tuple(_EACH_ARGUMENT.findall(each[2])), start + each.start(1))
        for each in _EACH_FILTER.finditer(found["filters"])
    )
    return Placeholder(steps_of(found["name"]), bool(found["optional"]), filters, found[0], column)


def steps_of(name: str) -> tuple[str | int, ...]:
    """The keys and indexes of a dotted name."""
    return tuple(step if step else int(index) for step, index in _EACH_STEP.findall(name))


def is_name(argument: str) -> bool:
    """Whether an argument is a bare name, not a quoted literal or a number."""
    return argument[0] != "'" and argument[0] not in "-0123456789"
