"""Workers that come and go: what one leaves another takes, once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from integrations.sandbox import Sandbox
from messaging.statuses import Status
from tests.faults.provider import Gate, Provider, well
from tests.faults.services import message, own
from tests.installation import Embedded, Separate, texts
from tests.processes import free_port, wait_for

MakesEmbedded = Callable[..., AbstractContextManager[Embedded]]
MakesSeparate = Callable[..., AbstractContextManager[Separate]]
SENT, UNKNOWN = Status.SENT, Status.UNKNOWN


@pytest.mark.services
def test_one_of_three_workers_is_killed_and_two_sweep_at_once(separate: MakesSeparate) -> None:
    """Both find the same leases to be over; what may be repeated is, once, and the rest is left in doubt."""
    gates = {"once": Gate(), "idempotent": Gate()}
    providers = {name: Provider(gate) for name, gate in gates.items()}
    with ExitStack() as stack:
        for name in gates:
            stack.callback(providers[name].stop)
            stack.callback(gates[name].opened.set)
        patchbay = stack.enter_context(separate(PATCHBAY_LEASE_SECONDS="15"))
        patchbay.redis.start()
        patchbay.fill(
            *(
                {
                    "name": name,
                    "document": own(name, timeout=60, idempotent=name == "idempotent"),
                    "url": f"{provider.origin}/",
                    "count": 10,
                }
                for name, provider in providers.items()
            )
        )
        first = patchbay.worker()
        wait_for(lambda: all(len(item.received) == 10 for item in providers.values()), 60)
        others = [patchbay.worker(), patchbay.worker()]
        wait_for(lambda: patchbay.output.count("celery@") == 3, 60, lambda: patchbay.output)
        assert patchbay.one("SELECT count(*) FROM messaging_message WHERE queue_state = 1") == 20
        first.kill()
        for gate in gates.values():
            gate.opened.set()
        patchbay.settled()
        expected = {f"once {index}": (UNKNOWN, 1) for index in range(10)}
        expected |= {f"idempotent {index}": (SENT, 2) for index in range(10)}
        assert patchbay.messages() == expected
        for name, times in (("once", 1), ("idempotent", 2)):
            arrived = Counter(request.text for request in providers[name].received)
            assert arrived == {f"{name} {index}": times for index in range(10)}
        assert [worker.stop() for worker in others] == [0, 0]


@pytest.mark.services
def test_three_workers_at_once_send_each_message_once(separate: MakesSeparate) -> None:
    provider = Provider(well)
    with ExitStack() as stack:
        stack.callback(provider.stop)
        patchbay = stack.enter_context(separate(PATCHBAY_SEND_SLOTS="8"))
        patchbay.redis.start()
        patchbay.fill(
            {
                "name": "acme",
                "url": f"{provider.origin}/",
                "document": own("own"),
                "count": 400,
                "due": [9999],
            }
        )
        for _ in range(3):
            patchbay.worker()
        wait_for(lambda: patchbay.output.count("celery@") == 3, 60, lambda: patchbay.output)
        patchbay.query("UPDATE messaging_message SET next_attempt_at = now()")
        patchbay.settled()
        assert set(patchbay.messages().values()) == {(SENT, 1)}
        assert Counter(request.text for request in provider.received) == Counter(patchbay.messages().keys())


@pytest.mark.services
def test_a_rolling_restart_under_load_loses_and_doubles_nothing(
    separate: MakesSeparate, sandbox: Sandbox
) -> None:
    """New ones start, old ones get SIGTERM, twice, while messages go out and webhooks come in."""
    sandbox.reports = False
    sandbox.answer_with(*["slow"] * 1000, seconds=0.2)
    with separate(PATCHBAY_SEND_SLOTS="4") as patchbay, ThreadPoolExecutor(3) as threads:
        patchbay.redis.start()
        patchbay.fill(
            {"name": "acme", "url": sandbox.api_url, "count": 1000, "due": [9999]},
            {"name": "globex", "url": sandbox.api_url, "document": own("own")},
        )
        port = free_port()
        web, worker = patchbay.web(port), patchbay.worker()
        urls = [f"http://localhost:{port}"]
        web.wait_until_ready(urls[-1])
        told: list[int] = []
        over = threading.Event()

        def tell(first: int) -> None:
            """A webhook until it is accepted, and a message that becomes due, again and again."""
            for index in range(first, 1000, 3):
                while patchbay.webhook(message(index, "+61855555502"), service="own", url=urls[-1]) != 200:
                    pass
                due = "UPDATE messaging_message SET next_attempt_at = now() WHERE text = %s"
                patchbay.query(due, f"acme {index}")
                told.append(index)
                if over.wait(0.1):
                    return

        tellers = [threads.submit(tell, first) for first in range(3)]
        for _ in range(2):
            before = len(sandbox.received)
            wait_for(lambda before=before: len(sandbox.received) > before + 10, 60, lambda: patchbay.output)
            port = free_port()
            old = web, worker
            web, worker = patchbay.web(port), patchbay.worker()
            web.wait_until_ready(f"http://localhost:{port}")
            urls.append(f"http://localhost:{port}")
            assert [process.stop() for process in old] == [0, 0]
        over.set()
        for teller in tellers:
            teller.result(30)
        sent = f"SELECT count(*) FROM messaging_message WHERE status = {SENT:d}"
        wait_for(lambda: patchbay.one(sent) == len(told), 60, lambda: patchbay.output)
        wait_for(lambda: len(patchbay.texts_in()) == len(told), 30, lambda: patchbay.output)
        assert sorted(patchbay.texts_in()) == sorted(f"in {index}" for index in told)
        assert Counter(texts(sandbox)) == Counter(f"acme {index}" for index in told)


@pytest.mark.services
@pytest.mark.parametrize(
    "table", [b'"messaging_message"', b"messaging_deliveryattempt"], ids=["files", "records"]
)
def test_a_worker_that_is_halted_in_a_transaction_holds_up_no_other(
    table: bytes, separate: MakesSeparate, sandbox: Sandbox
) -> None:
    """While it files, or records what it sent: PostgreSQL takes back what it holds."""
    with separate() as patchbay:
        patchbay.redis.start()
        patchbay.fill(
            {"name": "acme", "url": sandbox.api_url, "count": 6, "due": [0, 9999, 9999, 9999, 9999, 9999]}
        )
        patchbay.web().wait_until_ready(patchbay.url)
        assert patchbay.webhook(message(0)) == 200
        patchbay.network.fail_before(b"INSERT INTO " + table, b"COMMIT")
        halted = patchbay.worker()
        assert patchbay.network.tripped.wait(60), patchbay.output
        halted.halt()
        patchbay.worker()
        patchbay.query("UPDATE messaging_message SET next_attempt_at = now() WHERE queue_state = 0")
        sent = f"SELECT count(*) FROM messaging_message WHERE status = {SENT:d} AND text <> 'acme 0'"
        wait_for(lambda: patchbay.one(sent) == 5, 60, lambda: patchbay.output)
        wait_for(lambda: patchbay.texts_in() == ["in 0"], 60, lambda: patchbay.output)
        assert max(Counter(texts(sandbox)).values()) == 1


def stopped(patchbay: Any, process: Any) -> float:
    """SIGTERM; the seconds until it has ended, in good order."""
    began = time.monotonic()
    assert process.stop(40) == 0, patchbay.output
    return time.monotonic() - began


@pytest.fixture(params=["embedded", pytest.param("separate", marks=pytest.mark.services)])
def starts(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes an installation, and what starts its sending process."""
    make = request.getfixturevalue(request.param)

    def start(stack: ExitStack, **environment: str) -> tuple[Any, Callable[[], Any]]:
        patchbay = stack.enter_context(make(**environment))
        if request.param == "embedded":
            return patchbay, patchbay.serve
        patchbay.redis.start()
        return patchbay, patchbay.worker

    return start


def test_sigterm_waits_for_a_slow_service(starts: Callable[..., Any]) -> None:
    gate = Gate()
    provider = Provider(gate)
    with ExitStack() as stack, ThreadPoolExecutor(1) as threads:
        stack.callback(provider.stop)
        stack.callback(gate.opened.set)
        patchbay, start = starts(stack, PATCHBAY_SEND_SLOTS="4", PATCHBAY_STOP_SECONDS="30")
        patchbay.fill(
            {"name": "acme", "document": own("own", timeout=60), "url": f"{provider.origin}/", "count": 9}
        )
        old = start()
        wait_for(lambda: len(provider.received) == 4 - 1, 60, lambda: patchbay.output)
        ends = threads.submit(stopped, patchbay, old)
        wait_for(lambda: "Stopping" in patchbay.output or "Warm shutdown" in patchbay.output, 20)
        gate.opened.set()
        ends.result(60)
        assert set(patchbay.messages().values()) <= {(Status.QUEUED, 0), (SENT, 1)}
        assert list(patchbay.messages().values()).count((SENT, 1)) >= 3
        start()
        patchbay.settled()
        assert set(patchbay.messages().values()) == {(SENT, 1)}
        assert Counter(request.text for request in provider.received) == Counter(patchbay.messages().keys())


def test_sigterm_cuts_a_service_that_never_answers(starts: Callable[..., Any]) -> None:
    """What was written is in doubt; what waited goes out by the next process."""
    gate = Gate()
    provider = Provider(gate)
    with ExitStack() as stack:
        stack.callback(provider.stop)
        stack.callback(gate.opened.set)
        patchbay, start = starts(stack, PATCHBAY_SEND_SLOTS="4", PATCHBAY_STOP_SECONDS="1")
        patchbay.fill(
            {"name": "acme", "document": own("own", timeout=60), "url": f"{provider.origin}/", "count": 9}
        )
        old = start()
        wait_for(lambda: len(provider.received) == 4 - 1, 60, lambda: patchbay.output)
        assert stopped(patchbay, old) < 15
        assert sorted(patchbay.messages().values()) == [(Status.QUEUED, 0)] * 6 + [(UNKNOWN, 1)] * 3
        gate.opened.set()
        start()
        patchbay.settled()
        assert sorted(patchbay.messages().values()) == [(UNKNOWN, 1)] * 3 + [(SENT, 1)] * 6
        assert Counter(request.text for request in provider.received) == Counter(patchbay.messages().keys())
