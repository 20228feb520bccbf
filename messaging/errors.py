"""What is told to the person who wrote a message."""

from __future__ import annotations

from collections.abc import Callable


class Refused(Exception):
    """Why a message was not taken, in a sentence for the person who wrote it.

    A function is asked for the sentence by whoever reads it: in their language and time zone, whichever
    thread has found the reason. `member` is the part of the message that is meant, if there is one: from, to
    or text.
    """

    def __init__(self, words: str | Callable[[], str], member: str = "") -> None:
        super().__init__(words)
        self._words = words
        self.member = member

    def __str__(self) -> str:
        return self._words if isinstance(self._words, str) else self._words()


class LimitReached(Refused):
    """A limit against mass sending: the same message may be taken later."""
