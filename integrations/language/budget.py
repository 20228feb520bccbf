"""How much work a document, a request or a message may cause.

Work is counted, not timed, so that the same input gives the same result on any machine. A unit takes about a
microsecond.
"""

from __future__ import annotations

from contextvars import ContextVar


class TooMuchWork(Exception):
    """The budget is spent. No ValueError: a filter that fails is unset, but this ends the whole."""


class budget:
    """Limits the work inside to so many units; what spends more raises TooMuchWork."""

    __slots__ = ("_token", "left")

    def __init__(self, units: int) -> None:
        self.left = units

    def __enter__(self) -> None:
        self._token = _current.set(self)

    def __exit__(self, *raised: object) -> None:
        _current.reset(self._token)


_current: ContextVar[budget | None] = ContextVar("budget", default=None)


def spend(units: int) -> None:
    """Counts work that is to be done; without a budget, nothing is limited."""
    current = _current.get()
    if current is not None:
        current.left -= units
        if current.left < 0:
            raise TooMuchWork
