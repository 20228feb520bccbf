"""How filters are declared: a pure function, its rule in one sentence, and an example that is its test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Literal

from integrations.language.budget import TooMuchWork, spend
from integrations.language.values import ANY, Value, text, work_of

Kind = Literal["text", "bytes", "value", "unset"]
Argument = Literal["", "table", "regex", "charset", "strptime", "strftime"]
MAX_CHARACTERS = 4 * 1024 * 1024
# What a filter may raise; it means that the result is unset.
FAILURES = (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, OSError)


@dataclass(frozen=True)
class Filter:
    """A filter of the language, total and bounded: if it fails, its result is unset.

    `kind` is `text` (reads text, and lists element by element), `bytes` (the same, but bytes stay bytes),
    `value` (reads any value) or `unset` (is also called for unset). `least` and `most` are the numbers of
    arguments. `example` holds value, arguments and result. `default` names the variable that replaces a
    missing argument; `argument` says that the first one names a table or a character set, or is a regular
    expression, or that all are formats of dates or time zones.
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

    @property
    def usage(self) -> str:
        """The filter with the names of its arguments, such as `slice:start[:end]`."""
        usage = self.name
        for number, parameter in enumerate(list(signature(self.function).parameters.values())[1:], 1):
            if parameter.kind is parameter.VAR_POSITIONAL:
                usage += f":{parameter.name}…"
            else:
                usage += f":{parameter.name}" if number <= self.least else f"[:{parameter.name}]"
        return usage

    def __call__(self, value: Value, *arguments: Value) -> Value:
        """The filtered value; unset if the value is unset or the filter fails."""
        if value is ANY or ANY in arguments:
            return ANY
        if value is None and self.kind != "unset":
            return None
        try:
            if self.kind in ("value", "unset"):
                return self._applied(value, arguments)
            if isinstance(value, list):
                return [self._applied(self._read(item), arguments) for item in value]
            return self._applied(self._read(value), arguments)
        except TooMuchWork:
            raise
        except Exception:  # FAILURES, as far as anybody knows; a webhook must not end at what nobody knew
            return None

    def _read(self, value: Value) -> str | bytes:
        return value if self.kind == "bytes" and isinstance(value, bytes) else text(value)

    def _applied(self, value: Value, arguments: tuple[Value, ...]) -> Value:
        spend(work_of(value))
        result = self.function(value, *arguments)
        spend(work_of(result))
        return result


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
