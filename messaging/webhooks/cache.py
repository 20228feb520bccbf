"""What was found of whose a webhook is, for two seconds (settings.WEBHOOK_CACHE_SECONDS).

It is asked for with each request, and people seldom change it: a change may take that long to be seen here.
What was not found is asked for again each time, and so are message ids.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, TypeVar

from cachetools import TTLCache
from django.conf import settings

SIZE = 20_000

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class Cache:
    """What was found in the last seconds, by what was asked and for which key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: TTLCache[Any, Any] = TTLCache(SIZE, settings.WEBHOOK_CACHE_SECONDS)

    def get(self, key: Hashable, load: Callable[[], Found | None]) -> Found | None:
        """What is cached under the key, else what `load` finds; None is not cached."""
        return self.get_many([key], lambda _: {} if (found := load()) is None else {key: found}).get(key)

    def get_many(
        self, keys: Collection[Key], load: Callable[[list[Key]], Mapping[Key, Found]]
    ) -> dict[Key, Found]:
        """What is found under the keys; `load` is called with those that are not cached, if any."""
        with self._lock:
            known = {key: found for key in keys if (found := self._found.get(key)) is not None}
        if missing := [key for key in keys if key not in known]:
            loaded = load(missing)
            with self._lock:
                self._found.update(loaded)
            known |= loaded
        return known
