"""Many messages at once, of one organization or through one service, and many copies of one webhook."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
import requests

from tests.faults.provider import Gate, Provider, well
from tests.faults.services import message, own
from tests.installation import Embedded, Separate
from tests.processes import free_port, wait_for

MakesEmbedded = Callable[..., AbstractContextManager[Embedded]]
MakesSeparate = Callable[..., AbstractContextManager[Separate]]


@pytest.fixture(params=["embedded", pytest.param("separate", marks=pytest.mark.services)])
def make(request: pytest.FixtureRequest) -> Any:
    """Makes an installation of one process, or of several."""
    return request.getfixturevalue(request.param)


def sending(patchbay: Any) -> None:
    """Starts what sends."""
    if isinstance(patchbay, Separate):
        patchbay.redis.start()
        patchbay.worker()
    else:
        patchbay.serve()


def test_10_000_messages_of_one_organization_do_not_hold_up_another(make: Any) -> None:
    big, small = Provider(well), Provider(well)
    with ExitStack() as stack:
        stack.callback(big.stop)
        stack.callback(small.stop)
        patchbay = stack.enter_context(make(PATCHBAY_SEND_SLOTS="8"))
        patchbay.fill(
            {"name": "acme", "url": f"{big.origin}/", "document": own("big"), "count": 10_000},
            {
                "name": "globex",
                "url": f"{small.origin}/",
                "document": own("small"),
                "count": 1,
                "due": [9999],
            },
        )
        sending(patchbay)
        wait_for(lambda: len(big.received) > 50, 60, lambda: patchbay.output)
        now = "now()" if isinstance(patchbay, Separate) else "datetime('now')"
        patchbay.query(f"UPDATE messaging_message SET next_attempt_at = {now} WHERE text = 'globex 0'")
        began = time.monotonic()
        wait_for(lambda: small.received, 30, lambda: patchbay.output)
        assert time.monotonic() - began < 5
        assert len(big.received) < 10_000
        assert max(Counter(request.text for request in big.received).values()) == 1


def test_a_service_that_hangs_does_not_hold_up_another(make: Any) -> None:
    gate = Gate()
    hanging, working = Provider(gate), Provider(well)
    with ExitStack() as stack:
        stack.callback(hanging.stop)
        stack.callback(working.stop)
        stack.callback(gate.opened.set)
        patchbay = stack.enter_context(make(PATCHBAY_SEND_SLOTS="8"))
        patchbay.fill(
            {"name": "acme", "url": f"{hanging.origin}/", "document": own("hangs", timeout=60), "count": 50},
            {
                "name": "globex",
                "url": f"{working.origin}/",
                "document": own("works"),
                "count": 20,
                "due": [9999],
            },
        )
        sending(patchbay)
        # Three quarters of the slots, and no more, are for a service that is alone.
        wait_for(lambda: len(hanging.received) == 6, 60, lambda: patchbay.output)
        now = "now()" if isinstance(patchbay, Separate) else "datetime('now')"
        patchbay.query(f"UPDATE messaging_message SET next_attempt_at = {now} WHERE text LIKE 'globex %'")
        began = time.monotonic()
        wait_for(lambda: len(working.received) == 20, 30, lambda: patchbay.output)
        assert time.monotonic() - began < 5
        assert len(hanging.received) == 6


@pytest.mark.services
@pytest.mark.parametrize("service", ["own", "generic"])
def test_50_parallel_copies_at_two_servers_make_one_message(service: str, separate: MakesSeparate) -> None:
    """With an id, or by their bytes; another text at the same time is another message."""
    with separate() as patchbay, ThreadPoolExecutor(50) as threads:
        patchbay.redis.start()
        document = own("own") if service == "own" else None
        patchbay.fill({"name": "acme", "url": "http://127.0.0.1:9/", "document": document})
        ports = [free_port(), free_port()]
        servers = [patchbay.web(port) for port in ports]
        patchbay.worker()
        for port, server in zip(ports, servers, strict=True):
            server.wait_until_ready(f"http://localhost:{port}")

        def post(index: int) -> int:
            said = message(1 if index == 49 else 0)
            if service == "own":
                said["attempt"] = index  # with an id it is known though the bytes differ
            url = f"http://localhost:{ports[index % 2]}"
            return patchbay.webhook(said, service=service, url=url, seconds=30)

        assert set(threads.map(post, range(50))) == {200}
        assert Counter(patchbay.verdicts()) == {"accepted": 2, "duplicate": 48}
        wait_for(lambda: len(patchbay.texts_in()) == 2, 30, lambda: patchbay.output)
        assert sorted(patchbay.texts_in()) == ["in 0", "in 1"]
        assert patchbay.one("SELECT count(*) FROM messaging_webhookevent WHERE state <> 'done'") == 0


def test_slow_callers_hold_nobody_up(make: Any) -> None:
    """More of them than the web server has threads, with webhooks and with forms; none breaks off into a row."""
    with make() as patchbay, ExitStack() as stack:
        patchbay.fill({"name": "acme", "url": "http://127.0.0.1:9/"})
        if isinstance(patchbay, Separate):
            patchbay.redis.start()
        server = patchbay.behind_nginx() if isinstance(patchbay, Separate) else patchbay.serve()
        server.wait_until_ready(patchbay.url)
        for place in range(200):
            slow = stack.enter_context(socket.create_connection(("localhost", patchbay.port)))
            path = f"/services/generic/a{patchbay.account}" if place % 2 else "/account/login/"
            slow.sendall(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                'Content-Length: 100\r\n\r\n{"method": "message"'.encode()
            )
        assert [patchbay.webhook(message(number), seconds=5) for number in range(5)] == [200] * 5
        assert requests.get(f"{patchbay.url}/account/login/", timeout=5).status_code == 200
        stack.close()
        assert patchbay.webhook(message(5), seconds=5) == 200
        assert patchbay.verdicts() == ["accepted"] * 6
        server.stop()
        assert "Traceback" not in patchbay.output
