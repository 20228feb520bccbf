"""Redis stopped, halted, flushed, restarted, or never there: it only wakes, so nothing stops for good."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from integrations.sandbox import Sandbox
from tests.faults.services import message, own
from tests.installation import Separate, send, sign_in, texts
from tests.processes import wait_for

pytestmark = pytest.mark.services
MakesSeparate = Callable[..., AbstractContextManager[Separate]]


def test_messages_go_out_and_webhooks_come_in_whatever_redis_does(
    separate: MakesSeparate, sandbox: Sandbox, settings: Any
) -> None:
    """Without it the sessions, the pages and the webhooks work on, and the sweep does what nobody wakes."""
    with separate() as patchbay:
        broker = patchbay.redis
        patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": 3})
        sandbox.webhook_url = f"{patchbay.url}/services/generic/a{patchbay.account}"
        settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, patchbay.url]
        web, worker = patchbay.web(), patchbay.worker()
        web.wait_until_ready(patchbay.url)

        written = {"acme 0", "acme 1", "acme 2"}
        wait_for(lambda: set(texts(sandbox)) == written, 60, lambda: patchbay.output)
        alice = sign_in(patchbay.url, "alice@acme.example")
        thread = f"/inbox/{patchbay.one('SELECT min(id) FROM messaging_conversation')}/"

        def both_ways(when: str) -> None:
            assert send(alice, patchbay.url, thread, text=f"out {when}").status_code == 200
            assert sandbox.text("+61412000000", "+61855555501", f"in {when}") == 200
            written.add(f"out {when}")
            wait_for(lambda: set(texts(sandbox)) == written, 30, lambda: patchbay.output)
            wait_for(lambda: patchbay.texts_in()[-1:] == [f"in {when}"], 30, lambda: patchbay.output)

        both_ways("before it was started")
        broker.start()
        both_ways("after it was started")
        redis.Redis.from_url(broker.url).flushall()
        both_ways("after it was flushed")
        broker.process.halt()
        both_ways("while it was halted")
        broker.process.popen.send_signal(signal.SIGCONT)
        both_ways("after it went on")
        broker.stop()
        both_ways("after it was killed")
        broker.start()
        both_ways("after it was restarted")
        assert max(Counter(texts(sandbox)).values()) == 1
        assert len(patchbay.texts_in()) == 7
        wait_for(lambda: patchbay.statuses() == {"delivered"}, 30, lambda: patchbay.output)
        assert (worker.stop(), web.stop()) == (0, 0)


def test_the_operator_is_told_while_it_is_away(separate: MakesSeparate, tmp_path: Path) -> None:
    """By /readyz, and by the metric for which `PatchbayBrokerDown` asks."""
    settings = {"PATCHBAY_METRICS_TOKEN": "a-token", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with separate(**settings) as patchbay:
        broker = patchbay.redis
        broker.start()
        web = patchbay.web()
        web.wait_until_ready(patchbay.url)

        def told() -> tuple[int, str, str, bool]:
            ready = requests.get(f"{patchbay.url}/readyz", timeout=30)
            metrics = requests.get(
                f"{patchbay.url}/metrics", headers={"Authorization": "Bearer a-token"}, timeout=30
            ).text
            said = ready.json()
            return ready.status_code, said["status"], said["broker"], "patchbay_broker_up 1.0" in metrics

        assert told() == (200, "ok", "ok", True)
        broker.process.halt()
        assert told() == (200, "degraded", "does not respond: TimeoutError", False)
        broker.process.popen.send_signal(signal.SIGCONT)
        assert told() == (200, "ok", "ok", True)
        broker.stop()
        assert told() == (200, "degraded", "does not respond: ConnectionError", False)
        broker.start()
        assert told() == (200, "ok", "ok", True)
        assert web.stop() == 0


def test_flushed_in_the_middle_of_a_crowd(separate: MakesSeparate, sandbox: Sandbox) -> None:
    sandbox.reports = False
    sandbox.answer_with(*["slow"] * 100, seconds=0.05)
    with separate(PATCHBAY_SEND_SLOTS="4") as patchbay:
        patchbay.redis.start()
        patchbay.fill(
            {"name": "acme", "url": sandbox.api_url, "count": 100, "document": None},
            {"name": "globex", "url": sandbox.api_url, "document": own("own")},
        )
        web, worker = patchbay.web(), patchbay.worker()
        web.wait_until_ready(patchbay.url)
        server = redis.Redis.from_url(patchbay.redis.url)
        for index in range(40):
            assert patchbay.webhook(message(index, to="+61855555502"), service="own") == 200
            server.flushall()
        patchbay.settled()
        wait_for(lambda: len(patchbay.texts_in()) == 40, 30, lambda: patchbay.output)
        assert Counter(texts(sandbox)) == Counter(f"acme {index}" for index in range(100))
        assert sorted(patchbay.texts_in()) == sorted(f"in {index}" for index in range(40))
        assert worker.stop() == 0
