"""What is told to the person who wrote a message."""

from __future__ import annotations

from collections.abc import Callable


class Refused(Exception):
    """Why a message was not taken, in a sentence for the person who wrote it.

    A function is asked for the sentence by whoever reads it: in their language and time zone, whichever
    thread has found the reason.
    """

    def __init__(self, words: str | Callable[[], str]) -> None:
        super().__init__(words)
        self._words = words

    def __str__(self) -> str:
        return self._words if isinstance(self._words, str) else self._words()


class LimitReached(Refused):
    """A limit against mass sending: the same message may be taken later."""
