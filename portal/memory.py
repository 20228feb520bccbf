"""What a process remembers for two seconds: rows that are asked for all the time and people seldom change."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Generic, TypeVar

from django.db import models, transaction
from django.db.models.signals import post_delete, post_save
from django.utils.asyncio import async_unsafe

SECONDS = 2.0
RENEW_SECONDS = 1.0

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")

_turns = itertools.count(1)
_turn = 0  # what was read in another turn is forgotten


def forget() -> None:
    """Makes this process ask the database again, for everything."""
    global _turn
    _turn = next(_turns)


def forget_with(*watched: type[models.Model]) -> None:
    """Forgets whenever a row of these models is saved or deleted here, by signals.

    `QuerySet.update` sends none: whoever changes such rows with it calls `forget`.
    """
    for model in watched:
        for signal in (post_save, post_delete):
            signal.connect(_changed, sender=model, dispatch_uid="portal.memory")


@async_unsafe
def _may_block() -> None:
    """Raises SynchronousOnlyOperation on an event loop, as the database does."""


def _changed(**_: Any) -> None:
    forget()
    # What another thread reads before the commit is still the old.
    transaction.on_commit(forget)


class _Entry(Generic[Found]):
    """What was found, in which turn, and until when it holds."""

    __slots__ = ("found", "renewal", "turn", "until")

    def __init__(self, found: Found, now: float, turn: int) -> None:
        self.found, self.turn = found, turn
        self.renewal, self.until = now + RENEW_SECONDS, now + SECONDS


class Memory(Generic[Key, Found]):
    """What was found lately by its keys, at most `most`; what was not found is asked for each time.

    What is asked for all the time is loaded again by one thread before it is too old, and the others need
    not wait; what is too old is loaded by one, and the others wait for it. Else all of them would load it at
    the same moment, which under load takes so long that it is too old again.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._known: dict[Key, _Entry[Found]] = {}
        self._loading = threading.Lock()

    def get(self, key: Key, load: Callable[[], Found | None]) -> Found | None:
        """What is remembered under the key, else what `load` finds; None is not remembered."""

        def found(_: Collection[Key]) -> dict[Key, Found]:
            value = load()
            return {} if value is None else {key: value}

        return self.many([key], found).get(key)

    def many(
        self, keys: Collection[Key], load: Callable[[Collection[Key]], Mapping[Key, Found]]
    ) -> dict[Key, Found]:
        """What is found under the keys; `load` is called once, if at all, with those that are not known."""
        known, missing, old = self._look(keys)
        if missing:
            _may_block()
            with self._loading:
                more, missing, _old = self._look(missing)  # while this one waited, another may have loaded
                known |= more
                if missing:
                    known |= self._load(missing, load)
        if old:
            loaded = self._load(old, load)
            known = {key: found for key, found in known.items() if key not in old} | dict(loaded)
        return known

    def _look(self, keys: Collection[Key]) -> tuple[dict[Key, Found], list[Key], list[Key]]:
        """What is known, what is not, and what this thread alone should load again."""
        now, known, missing, old = time.monotonic(), {}, [], []
        for key in keys:
            entry = self._known.get(key)
            if entry is None or entry.until <= now or entry.turn != _turn:
                missing.append(key)
                continue
            known[key] = entry.found
            if entry.renewal <= now:
                _may_block()
                entry.renewal = entry.until
                old.append(key)
        return known, missing, old

    def _load(
        self, keys: Collection[Key], load: Callable[[Collection[Key]], Mapping[Key, Found]]
    ) -> Mapping[Key, Found]:
        now, turn = time.monotonic(), _turn
        loaded = load(keys)
        if len(self._known) + len(loaded) > self._most:
            self._known.clear()
        for key in keys:
            if key in loaded:
                self._known[key] = _Entry(loaded[key], now, turn)
            else:
                self._known.pop(key, None)
        return loaded
