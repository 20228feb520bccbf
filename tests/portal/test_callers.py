"""Whose address counts: only what the trusted proxies wrote, for everything that reads addresses."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from portal import callers

PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("trusted", "forwarded", "found"),
    [
        (0, None, PROXY),
        (0, "203.0.113.5", PROXY),
        (1, None, PROXY),
        (1, "", PROXY),
        (1, "203.0.113.5", "203.0.113.5"),
        (1, "192.0.2.9, 203.0.113.5", "203.0.113.5"),
        (1, "192.0.2.9,203.0.113.5 ", "203.0.113.5"),
        (2, "192.0.2.9, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        (2, "203.0.113.5, 10.0.0.2", "203.0.113.5"),
        # It has not passed through both, so what it says is not known.
        (2, "203.0.113.5", PROXY),
        (1, "203.0.113.5:4711", "203.0.113.5"),
        (1, "2001:db8::5", "2001:db8::5"),
        (1, "2001:0DB8:0:0::5", "2001:db8::5"),
        (1, "[2001:db8::5]", "2001:db8::5"),
        (1, "[2001:db8::5]:4711", "2001:db8::5"),
        (1, "fe80::5%eth0", "fe80::5"),
        (1, "::ffff:203.0.113.5", "203.0.113.5"),
        (1, "[::ffff:203.0.113.5]:4711", "203.0.113.5"),
        (1, "unknown", PROXY),
        (1, "203.0.113.5, ", PROXY),
        (1, "203.0.113.500", PROXY),
        (1, "203.0.113.5\r\nX: y", PROXY),
        (1, "2٠3.0.113.5", PROXY),
        (1, "9" * 10_000, PROXY),
    ],
)
def test_the_address_is_the_one_that_the_trusted_proxies_saw(
    settings: Any, trusted: int, forwarded: str | None, found: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert callers.address_of(RequestFactory().get("/", REMOTE_ADDR=PROXY, **headers)) == found


@pytest.mark.parametrize(
    ("peer", "address", "network"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "", ""),
        ("unix:", "", ""),
    ],
)
def test_limits_count_a_whole_ipv6_site(peer: str, address: str, network: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    assert (callers.address_of(request), callers.network_of(request)) == (address, network)
