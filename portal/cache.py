"""The cache of the pages: Redis, without which they go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError


class CarefreeRedisCache(RedisCache):
    """Redis; while it is away, the memory of the process, where limits of sign-in count for it alone."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("redis-is-away", params)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().add, self._own.add, *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().get, self._own.get, *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().set, self._own.set, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().delete, self._own.delete, *args, **kwargs)

    def _either(self, there: Callable[..., Any], here: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return there(*args, **kwargs)
        except RedisError:
            return here(*args, **kwargs)
