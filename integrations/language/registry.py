"""How filters are declared: a pure function, its rule in one sentence, and an example that is its test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from integrations.language.values import ANY, Value, text

Kind = Literal["text", "bytes", "value", "unset"]
Argument = Literal["", "table", "regex", "charset"]
MAX_CHARACTERS = 4 * 1024 * 1024


@dataclass(frozen=True)
class Filter:
    """A filter of the language, total and bounded: if it fails, its result is unset.

    `kind` is `text` (reads text, and lists element by element), `bytes` (the same, but bytes stay bytes),
    `value` (reads any value) or `unset` (is also called for unset). `least` and `most` are the numbers of
    arguments. `example` holds value, arguments and result. `default` names the variable that replaces a
    missing argument; `argument` says that the first one names a table or a character set, or is a regular
    expression.
    """

    name: str
    function: Callable[..., Value]
    least: int
    most: int
    kind: Kind
    doc: str
    example: tuple[Value, tuple[Value, ...], Value]
    default: str = ""
    argument: Argument = ""

    def __call__(self, value: Value, *arguments: Value) -> Value:
        """The filtered value; unset if the value is unset or the filter fails."""
        if value is ANY or ANY in arguments:
            return ANY
        if value is None and self.kind != "unset":
            return None
        try:
            if self.kind in ("value", "unset"):
                return self.function(value, *arguments)
            if isinstance(value, list):
                return [self.function(self._read(item), *arguments) for item in value]
            return self.function(self._read(value), *arguments)
        except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, OSError):
            return None

    def _read(self, value: Value) -> str | bytes:
        return value if self.kind == "bytes" and isinstance(value, bytes) else text(value)


class Registry(dict[str, Filter]):
    """Filters by name; the decorator that `add` returns registers them."""

    def add(
        self,
        name: str,
        example: tuple[Value, tuple[Value, ...], Value],
        *,
        arguments: tuple[int, int] = (0, 0),
        kind: Kind = "text",
        default: str = "",
        argument: Argument = "",
    ) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
        """Registers a function under a name; its docstring is its rule in the reference."""

        def register(function: Callable[..., Value]) -> Callable[..., Value]:
            doc = (function.__doc__ or "").strip()
            self[name] = Filter(name, function, *arguments, kind, doc, example, default, argument)
            return function

        return register


def bounded(characters: int) -> None:
    """Raises ValueError for a result of more than four million characters."""
    if characters > MAX_CHARACTERS:
        raise ValueError("The result is too long.")
