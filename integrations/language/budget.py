"""How much work a document, a request or a message may cause.

Work is counted, not timed, so that the same input gives the same result on any machine. A unit takes about a
microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class TooMuchWork(Exception):
    """The budget is spent. No ValueError: a filter that fails is unset, but this ends the whole."""


class _Budget:
    __slots__ = ("left",)

    def __init__(self, units: int) -> None:
        self.left = units


_current: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextmanager
def budget(units: int) -> Iterator[None]:
    """Limits the work inside to so many units; what spends more raises TooMuchWork."""
    token = _current.set(_Budget(units))
    try:
        yield
    finally:
        _current.reset(token)


def spend(units: int) -> None:
    """Counts work that is to be done; without a budget, nothing is limited."""
    current = _current.get()
    if current is not None:
        current.left -= units
        if current.left < 0:
            raise TooMuchWork
