"""The bell of dispatching and filing: they are woken for each message, and a task's way is too long for that.

With Redis it is a list, at which threads of the workers wait; without, a queue of this process. However often
it was rung before somebody looks, one look is enough.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from queue import Empty, Full, Queue
from typing import Protocol

from django.conf import settings
from redis import Redis

# Somebody who waits looks after so many seconds whether to wait any longer.
WAIT_SECONDS = 20
_QUICK = 0.2
_MOST = 100


class Bell(Protocol):
    """Rung by whoever has stored something to do, heard by one of those who wait."""

    def ring(self) -> None:
        """Raises RedisError."""

    def heard(self) -> bool:
        """Waits for it, but not for ever. Raises RedisError."""


@cache
def of(task: str) -> Bell:
    """The bell of "dispatch" or "file"."""
    return _Distant(task) if settings.REDIS_URL else _Near()


class _Distant:
    """A list in Redis: each ring is an element, and who hears one takes them all."""

    def __init__(self, task: str) -> None:
        self._key = f"patchbay:bell:{task}"
        self._ringing = Redis.from_url(
            settings.REDIS_URL, socket_timeout=_QUICK, socket_connect_timeout=_QUICK
        )
        self._waiting = Redis.from_url(
            settings.REDIS_URL, socket_timeout=WAIT_SECONDS + 5, socket_connect_timeout=_QUICK
        )

    def ring(self) -> None:
        if int(self._ringing.lpush(self._key, 1)) > _MOST:
            self._ringing.ltrim(self._key, 0, 0)  # nobody has heard it for long

    def heard(self) -> bool:
        if self._waiting.brpop([self._key], timeout=WAIT_SECONDS) is None:
            return False
        self._waiting.delete(self._key)
        return True


class _Near:
    """One ring of this process."""

    def __init__(self) -> None:
        self._rung: Queue[None] = Queue(1)

    def ring(self) -> None:
        with suppress(Full):  # it was rung, and nobody has heard it yet
            self._rung.put_nowait(None)

    def heard(self) -> bool:
        try:
            self._rung.get(timeout=WAIT_SECONDS)
        except Empty:
            return False
        return True
