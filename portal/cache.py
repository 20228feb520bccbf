"""Caches in Redis: one for wake-ups, and one for the pages that keeps working without Redis."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

_INCREMENT = """if redis.call("EXISTS", KEYS[1]) == 0 then return nil end
return redis.call("INCRBY", KEYS[1], ARGV[1])"""


class _Client(RedisCacheClient):
    def get_client(self, key: object = None, *, write: bool = False) -> Any:
        return self._single_client

    @cached_property  # not `_client`, which Django's own class sets to a class
    def _single_client(self) -> Any:
        return super().get_client(write=True)

    def incr(self, key: object, delta: int) -> int:
        """Raises ValueError for a missing key. One round trip: Django asks first whether the key exists."""
        number: int | None = self._single_client.eval(_INCREMENT, 1, key, delta)
        if number is None:
            raise ValueError(f"Key {key!r} not found.")
        return number


class PersistentRedisCache(RedisCache):
    """Redis at one address, with one client; Django creates one per call, which takes as long as the call."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _Client


class FallbackRedisCache(PersistentRedisCache):
    """Redis or, while it is unreachable, this process's memory; limits then count per process."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._local = LocMemCache("redis-fallback", params)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._fall_back(super().add, self._local.add, *args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> Any:
        return self._fall_back(super().incr, self._local.incr, *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._fall_back(super().get, self._local.get, *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self._fall_back(super().set, self._local.set, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self._fall_back(super().delete, self._local.delete, *args, **kwargs)

    def _fall_back(
        self, remote: Callable[..., Any], local: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        try:
            return remote(*args, **kwargs)
        except RedisError:
            return local(*args, **kwargs)
