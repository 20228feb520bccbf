"""The limit of requests is counted whatever becomes of the cache, and for the right address."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.test import Client

from portal import throttling

MOMENT = "2026-11-24 09:30:20.900000+00:00"


def test_it_counts_in_the_process_while_redis_is_away(settings: Any) -> None:
    away = {"BACKEND": "portal.cache.FallbackRedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away, "broker": away}
    settings.API_PER_MINUTE = 2
    with time_machine.travel(MOMENT, tick=False) as clock:
        assert [throttling.count("user-1") for _ in range(4)] == [None, None, 40, 40]
        assert throttling.count("user-2") is None
        clock.shift(40)
        assert throttling.count("user-1") is None


@pytest.mark.parametrize(("proxies", "statuses"), [(0, [401, 429, 429]), (1, [401, 429, 401])])
def test_the_address_is_the_one_that_the_proxy_saw(
    settings: Any, db: None, proxies: int, statuses: list[int]
) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    settings.API_PER_MINUTE = 1
    found = []
    with time_machine.travel(MOMENT, tick=False):
        for forwarded in ("192.0.2.7", "203.0.113.5, 192.0.2.7", "192.0.2.7, 192.0.2.8"):
            headers = {"Authorization": "Bearer pb_x", "X-Forwarded-For": forwarded}
            found.append(Client().get("/api/v1/numbers", headers=headers).status_code)
    assert found == statuses
