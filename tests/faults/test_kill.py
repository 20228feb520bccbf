"""kill -9 at each step: nothing is lost, nothing goes out or is filed twice, few stay in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from integrations.sandbox import Sandbox
from messaging.statuses import Status
from tests.faults.provider import Gate, Provider, well
from tests.faults.services import message, own
from tests.installation import Embedded, Installation, Separate, texts
from tests.processes import free_port, wait_for

MakesEmbedded = Callable[..., AbstractContextManager[Embedded]]
MakesSeparate = Callable[..., AbstractContextManager[Separate]]
SENT, UNKNOWN = Status.SENT, Status.UNKNOWN
MESSAGES, SLOTS = 100, 8


@pytest.mark.parametrize("after", [0, 40])
def test_kill_9_under_load(after: int, embedded: MakesEmbedded, sandbox: Sandbox) -> None:
    sandbox.reports = False
    sandbox.answer_with(*["slow"] * MESSAGES, seconds=0.1)
    with embedded(PATCHBAY_SEND_SLOTS=str(SLOTS)) as patchbay:
        patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": MESSAGES})
        serving = patchbay.serve()
        wait_for(lambda: len(sandbox.received) > after, 60, lambda: patchbay.output)
        serving.kill()
        assert len(sandbox.received) < MESSAGES
        serving = patchbay.serve()
        patchbay.settled()
        assert serving.stop() == 0

        status = {text: rank for text, (rank, _) in patchbay.messages().items()}
        arrived = Counter(texts(sandbox))
        assert set(status) == {f"acme {index}" for index in range(MESSAGES)}
        assert {text: times for text, times in arrived.items() if times > 1} == {}
        assert set(status.values()) <= {SENT, UNKNOWN}
        assert {text for text, rank in status.items() if rank == SENT} <= set(arrived)
        assert list(status.values()).count(UNKNOWN) <= SLOTS


class Steps:
    """Messages at each step of their way out, twice: the service may suppress repeats, or not."""

    def __init__(self) -> None:
        self.gates = {"written": Gate(), "answered": Gate()}
        self.providers = {
            f"{step}-{kind}": Provider(self.gates.get(step, well), deaf=step == "claimed")
            for step in ("claimed", "written", "answered")
            for kind in ("once", "idempotent")
        }

    def reach(self, patchbay: Installation) -> None:
        """Fills the installation."""
        patchbay.fill(
            *(
                {
                    "name": name,
                    "document": own(f"own-{name}", timeout=30, idempotent=name.endswith("idempotent")),
                    "url": f"{provider.origin}/",
                    "count": 2,
                }
                for name, provider in self.providers.items()
            )
        )

    def reached(self, patchbay: Installation) -> bool:
        """Whether each message is where it should be when the process dies."""
        claimed = patchbay.one("SELECT count(*) FROM messaging_message WHERE queue_state = 1")
        return claimed == 12 and self.read == 8

    @property
    def read(self) -> int:
        """How many requests have come."""
        return sum(len(provider.received) for provider in self.providers.values())

    def answer(self) -> None:
        """Has the services answer that do so before the process dies."""
        self.gates["answered"].opened.set()
        wait_for(lambda: self.gates["answered"].answered == 4)

    def recover(self) -> None:
        """From now on all services work."""
        for name, provider in self.providers.items():
            if name.startswith("claimed"):
                provider.hear()
        self.gates["written"].opened.set()

    def stop(self) -> None:
        for gate in self.gates.values():
            gate.opened.set()
        for provider in self.providers.values():
            provider.stop()


def killed_embedded(patchbay: Embedded, steps: Steps) -> None:
    """While the process is halted the answers come, which it never sees."""
    serving = patchbay.serve()
    wait_for(lambda: steps.reached(patchbay), 60, lambda: patchbay.output)
    serving.halt()
    steps.answer()
    serving.kill()
    steps.recover()
    patchbay.serve()


def killed_separate(patchbay: Separate, steps: Steps) -> None:
    """The answers come while the database does not, so that nothing of them is recorded."""
    patchbay.redis.start()
    worker = patchbay.worker()
    wait_for(lambda: steps.reached(patchbay), 60, lambda: patchbay.output)
    patchbay.network.blackhole()
    steps.answer()
    worker.kill()
    patchbay.network.cut()
    patchbay.network.restore()
    steps.recover()
    patchbay.worker()


@pytest.fixture(scope="module", params=["embedded", pytest.param("separate", marks=pytest.mark.services)])
def aftermath(request: pytest.FixtureRequest) -> Iterator[tuple[Steps, dict[str, tuple[int, int]]]]:
    """The process was killed with messages at all steps, and another has taken over."""
    make = request.getfixturevalue(request.param)
    steps = Steps()
    with ExitStack() as stack:
        stack.callback(steps.stop)
        patchbay = stack.enter_context(make(PATCHBAY_LEASE_SECONDS="8"))
        steps.reach(patchbay)
        (killed_embedded if request.param == "embedded" else killed_separate)(patchbay, steps)
        patchbay.settled()
        yield steps, patchbay.messages()


@pytest.mark.parametrize(
    ("name", "outcome", "requests"),
    [
        ("claimed-once", (UNKNOWN, 1), 0),
        ("claimed-idempotent", (SENT, 2), 1),
        ("written-once", (UNKNOWN, 1), 1),
        ("written-idempotent", (SENT, 2), 2),
        ("answered-once", (UNKNOWN, 1), 1),
        ("answered-idempotent", (SENT, 2), 2),
    ],
)
def test_kill_9_at_a_step(
    name: str, outcome: tuple[int, int], requests: int, aftermath: tuple[Steps, dict[str, tuple[int, int]]]
) -> None:
    steps, messages = aftermath
    arrived = Counter(request.text for request in steps.providers[name].received)
    for text in (f"{name} 0", f"{name} 1"):
        assert messages[text] == outcome
        assert arrived[text] == requests


@pytest.mark.services
def test_the_web_server_is_killed_at_the_commit_of_a_webhook(separate: MakesSeparate) -> None:
    """Before it nothing is kept; after it the repeat, at another server, is one, with an id or without."""
    with separate() as patchbay, ThreadPoolExecutor() as threads:
        patchbay.redis.start()
        patchbay.fill(
            {"name": "acme", "url": "http://127.0.0.1:9/", "document": own("own")},
            {"name": "globex", "url": "http://127.0.0.1:9/"},
        )
        ports = [free_port() for _ in range(4)]
        servers = {f"http://localhost:{port}": patchbay.web(port) for port in ports}
        for url, server in servers.items():
            server.wait_until_ready(url)
        (first, *others), network = servers, patchbay.network
        to_globex = message(2, to="+61855555502")
        for url, fail, service, said, verdicts in (
            (others[0], network.fail_before, "own", message(0), ["accepted"]),
            (others[1], network.fail_after, "own", message(1), ["accepted", "duplicate"]),
            (others[2], network.fail_after, "generic", to_globex, ["accepted", "duplicate"]),
        ):
            before = len(patchbay.verdicts())
            fail(b'INSERT INTO "messaging_webhookrequest"', b"COMMIT")
            answer = threads.submit(patchbay.webhook, said, service=service, url=url)
            assert network.tripped.wait(20), patchbay.output
            servers[url].kill()
            assert answer.result() == 0
            assert patchbay.verdicts()[before:] == verdicts[:-1]
            # With an id it is known though the bytes differ.
            again = said | {"attempt": 2} if service == "own" else said
            assert patchbay.webhook(again, service=service, url=first) == 200
            assert patchbay.verdicts()[before:] == verdicts
        patchbay.worker()
        wait_for(lambda: patchbay.texts_in() == ["in 0", "in 1", "in 2"], 60, lambda: patchbay.output)
        assert patchbay.one("SELECT count(*) FROM messaging_webhookevent WHERE state <> 'done'") == 0


@pytest.mark.services
def test_the_worker_is_killed_at_the_commit_of_filing(separate: MakesSeparate) -> None:
    with separate() as patchbay:
        patchbay.redis.start()
        patchbay.fill({"name": "acme", "url": "http://127.0.0.1:9/"})
        patchbay.web().wait_until_ready(patchbay.url)
        for fail, more in ((patchbay.network.fail_before, 5), (patchbay.network.fail_after, 10)):
            for index in range(more - 5, more):
                assert patchbay.webhook(message(index)) == 200
            fail(b'INSERT INTO "messaging_message"', b"COMMIT")
            worker = patchbay.worker()
            assert patchbay.network.tripped.wait(60), patchbay.output
            worker.kill()
            assert len(patchbay.texts_in()) == (0 if more == 5 else 10)
        patchbay.worker()
        every = "SELECT count(*) FROM messaging_webhookevent WHERE state = 'done'"
        wait_for(lambda: patchbay.one(every) == 10, 60, lambda: patchbay.output)
        assert patchbay.texts_in() == [f"in {index}" for index in range(10)]


def told(patchbay: Embedded, document: dict[str, Any]) -> int:
    """How often a service has to say something until it is accepted."""
    times = 1
    while patchbay.webhook(document | {"attempt": times}, service="own", seconds=5) != 200:
        times += 1
        assert times < 10_000, patchbay.output
    return times


def test_kill_9_while_webhooks_come(embedded: MakesEmbedded) -> None:
    with embedded() as patchbay, ThreadPoolExecutor(4) as threads:
        patchbay.fill({"name": "acme", "url": "http://127.0.0.1:9/", "document": own("own")})
        serving = patchbay.serve()
        serving.wait_until_ready(patchbay.url)
        answers = [threads.submit(told, patchbay, message(index)) for index in range(100)]
        wait_for(lambda: patchbay.one("SELECT count(*) FROM messaging_webhookrequest") > 20)
        serving.kill()
        patchbay.serve()
        assert max(answer.result() for answer in answers) > 1
        every = sorted(f"in {index}" for index in range(100))
        wait_for(lambda: sorted(patchbay.texts_in()) == every, 60, lambda: patchbay.output)
