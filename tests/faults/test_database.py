"""PostgreSQL out of reach for some seconds: nothing is lost or half stored, and all goes on by itself."""

from __future__ import annotations

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
from tests.installation import Separate
from tests.processes import wait_for

pytestmark = pytest.mark.services
MakesSeparate = Callable[..., AbstractContextManager[Separate]]
AWAY_SECONDS = 3


class Service:
    """Posts webhooks again and again until they are accepted; notes every other answer."""

    def __init__(self, patchbay: Separate) -> None:
        self._patchbay = patchbay
        self.refusals: Counter[int] = Counter()

    def tell(self, document: dict[str, Any]) -> None:
        attempt = 1
        while (status := self._post(document | {"attempt": attempt})) != 200:
            self.refusals[status] += 1
            attempt += 1
            time.sleep(0.1)

    def _post(self, document: dict[str, Any]) -> int:
        return self._patchbay.webhook(document, service="own", seconds=2)


@pytest.mark.parametrize("how", ["refuse", "blackhole"])
def test_the_database_is_out_of_reach_for_some_seconds(how: str, separate: MakesSeparate) -> None:
    held = Gate()
    with ExitStack() as stack:
        holding, working = Provider(held), Provider(well)
        stack.callback(holding.stop)
        stack.callback(working.stop)
        stack.callback(held.opened.set)
        patchbay = stack.enter_context(separate(PATCHBAY_LEASE_SECONDS="60"))
        patchbay.redis.start()
        patchbay.fill(
            {"name": "acme", "url": f"{holding.origin}/", "document": own("held", timeout=50), "count": 5},
            {
                "name": "globex",
                "url": f"{working.origin}/",
                "document": own("own"),
                "count": 20,
                "due": [1000],
            },
        )
        web, worker = patchbay.web(), patchbay.worker()
        web.wait_until_ready(patchbay.url)
        wait_for(lambda: len(holding.received) == 5, 60, lambda: patchbay.output)
        service = Service(patchbay)
        threads = stack.enter_context(ThreadPoolExecutor(4))
        to_globex = [message(index, to="+61855555502") for index in range(40)]
        for document in to_globex[:10]:
            service.tell(document)
        assert service.refusals == {}

        getattr(patchbay.network, how)()
        began = time.monotonic()
        held.opened.set()  # five answers come while nobody can record them
        patchbay.query("UPDATE messaging_message SET next_attempt_at = now() WHERE queue_state = 0")
        told = [threads.submit(service.tell, document) for document in to_globex[10:]]
        wait_for(lambda: service.refusals.total() > 3, 30, lambda: patchbay.output)
        if how == "refuse":
            assert requests.get(f"{patchbay.url}/readyz", timeout=5).status_code == 503
        wait_for(lambda: time.monotonic() - began > AWAY_SECONDS, AWAY_SECONDS + 1)
        assert patchbay.one("SELECT count(*) FROM messaging_webhookrequest") == 10
        patchbay.network.restore()

        for done in told:
            done.result(30)
        assert set(service.refusals) <= ({500, 503} if how == "refuse" else {0, 500, 503})
        patchbay.settled()
        wait_for(lambda: len(patchbay.texts_in()) == 40, 30, lambda: patchbay.output)
        assert sorted(patchbay.texts_in()) == sorted(f"in {index}" for index in range(40))
        assert patchbay.statuses() == {"sent"}
        for provider, name, count in ((holding, "acme", 5), (working, "globex", 20)):
            arrived = Counter(request.text for request in provider.received)
            assert arrived == Counter(f"{name} {index}" for index in range(count))
        orphans = "SELECT count(*) FROM messaging_webhookevent WHERE state <> 'done'"
        assert patchbay.one(orphans) == 0
        assert (worker.popen.poll(), web.popen.poll()) == (None, None)
        assert (worker.stop(), web.stop()) == (0, 0)


def test_patchbay_starts_while_the_database_is_away(separate: MakesSeparate) -> None:
    with ExitStack() as stack:
        working = Provider(well)
        stack.callback(working.stop)
        patchbay = stack.enter_context(separate())
        patchbay.redis.start()
        patchbay.fill({"name": "acme", "url": f"{working.origin}/", "document": own("own"), "count": 3})
        patchbay.network.refuse()
        web, worker = patchbay.web(), patchbay.worker()
        wait_for(lambda: patchbay.webhook(message(0), service="own") >= 500, 60, lambda: patchbay.output)
        wait_for(lambda: "The sweep could not read the database" in worker.output, 60)
        patchbay.network.restore()
        patchbay.settled()
        assert patchbay.webhook(message(0), service="own") == 200
        wait_for(lambda: patchbay.texts_in() == ["in 0"], 30, lambda: patchbay.output)
        assert len(working.received) == 3
        assert (worker.stop(), web.stop()) == (0, 0)


def test_an_idle_worker_goes_on_after_the_server_has_closed_its_connections(separate: MakesSeparate) -> None:
    """As after a restart of PostgreSQL, with nothing in flight: each thread of the worker has one."""
    with separate() as patchbay, ExitStack() as stack:
        working = Provider(well)
        stack.callback(working.stop)
        patchbay.redis.start()
        rounds = 12  # more than the worker has threads
        patchbay.fill(
            {
                "name": "acme",
                "url": f"{working.origin}/",
                "document": own("own"),
                "count": rounds,
                "due": [9999] * rounds,
            }
        )
        worker = patchbay.worker()
        sent = "SELECT count(*) FROM messaging_message WHERE queue_state = 2"
        for number in range(rounds):
            patchbay.query(
                "UPDATE messaging_message SET next_attempt_at = now() WHERE text = %s", f"acme {number}"
            )
            wait_for(lambda: patchbay.one(sent) > number, 60, lambda: worker.output)  # noqa: B023
            patchbay.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert worker.stop() == 0
        assert max(Counter(request.text for request in working.received).values()) == 1
