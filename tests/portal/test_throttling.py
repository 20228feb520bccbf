"""The limit of requests is counted whatever becomes of the cache, and for the right address."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from portal import throttling
from portal.models import PersonalToken, User

MOMENT = "2026-11-24 09:30:20.900000+00:00"


def test_it_counts_in_the_process_while_redis_is_away(settings: Any) -> None:
    away = {"BACKEND": "portal.cache.FallbackRedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away, "broker": away}
    with time_machine.travel(MOMENT, tick=False) as clock:
        assert [throttling.count("user-1", 2) for _ in range(4)] == [None, None, 40, 40]
        assert throttling.count("user-2", 2) is None
        clock.shift(40)
        assert throttling.count("user-1", 2) is None


@pytest.mark.parametrize(("proxies", "statuses"), [(0, [429, 429, 429]), (1, [429, 429, 401])])
def test_the_address_is_the_one_that_the_proxy_saw(
    settings: Any, db: None, proxies: int, statuses: list[int]
) -> None:
    settings.TRUSTED_PROXIES = proxies
    found = []
    with time_machine.travel(MOMENT, tick=False):
        for number in range(30):
            headers = {"Authorization": "Bearer pb_x", "X-Forwarded-For": f"203.0.113.{number}, 192.0.2.7"}
            assert Client().get("/api/v1/numbers", headers=headers).status_code == 401
        for forwarded in ("192.0.2.7", "203.0.113.5, 192.0.2.7", "192.0.2.7, 192.0.2.8"):
            headers = {"Authorization": "Bearer pb_x", "X-Forwarded-For": forwarded}
            found.append(Client().get("/api/v1/numbers", headers=headers).status_code)
    assert found == statuses


def test_right_credentials_are_not_counted(db: None, alice: User) -> None:
    """They cost one query to find, and the one increment of the user's own limit."""
    token = PersonalToken.objects.issue(alice, "One")
    headers = {"Authorization": f"Bearer {token}"}
    Client().get("/api/v1/numbers", headers=headers)
    with patch.object(cache, "incr", wraps=cache.incr) as counted:
        assert Client().get("/api/v1/numbers", headers=headers).status_code == 200
    assert [call.args[0].split(":")[:2] for call in counted.call_args_list] == [["count", "api"]]
    with patch.object(cache, "get", side_effect=AssertionError):
        assert Client().get("/api/v1/numbers", headers=headers).status_code == 200
