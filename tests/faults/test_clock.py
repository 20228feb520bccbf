"""A clock that jumps: claims, leases, retries and expiry go by the database's time."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from messaging.statuses import Status
from tests.faults.provider import Gate, Provider, once, well
from tests.faults.services import own
from tests.installation import Separate
from tests.processes import wait_for

pytestmark = pytest.mark.services
TWO_DAYS = 2 * 86400  # beyond a message's expiry


@pytest.mark.parametrize("seconds", [TWO_DAYS, -TWO_DAYS])
def test_the_clocks_of_workers_jump_while_they_send(
    seconds: int, separate: Callable[..., AbstractContextManager[Separate]]
) -> None:
    """One holds requests in flight, and neither thinks that their lease is over, or a message expired."""
    gate = Gate()
    providers = {"held": Provider(gate), "well": Provider(well), "busy": Provider(once("503 Busy"))}
    with ExitStack() as stack:
        for provider in providers.values():
            stack.callback(provider.stop)
        stack.callback(gate.opened.set)
        patchbay = stack.enter_context(separate(PATCHBAY_LEASE_SECONDS="90"))
        patchbay.redis.start()
        patchbay.fill(
            *(
                {
                    "name": name,
                    "document": own(name, timeout=60),
                    "url": f"{provider.origin}/",
                    "count": 3,
                    "due": [0 if name == "held" else 9999],
                }
                for name, provider in providers.items()
            )
        )
        through = ["-m", "tests.faults.jumping", str(seconds)]
        first = patchbay.worker(*through)
        wait_for(lambda: len(providers["held"].received) == 3, 60, lambda: patchbay.output)
        workers = [first, patchbay.worker(*through)]
        wait_for(lambda: patchbay.output.count("celery@") == 2, 60, lambda: patchbay.output)
        for worker in workers:
            worker.popen.send_signal(signal.SIGUSR2)
        wait_for(lambda: patchbay.output.count("The clock is") == 2, 60, lambda: patchbay.output)

        patchbay.query("UPDATE messaging_message SET next_attempt_at = now() WHERE queue_state = 0")
        open_ones = "SELECT count(*) FROM messaging_message WHERE queue_state < 2 AND text NOT LIKE 'held%'"
        wait_for(lambda: not patchbay.one(open_ones), 30, lambda: patchbay.output)
        assert patchbay.one("SELECT count(*) FROM messaging_message WHERE queue_state = 1") == 3
        gate.opened.set()
        patchbay.settled()
        attempts = {
            name: Counter(request.text for request in item.received) for name, item in providers.items()
        }
        assert attempts["held"] == {f"held {index}": 1 for index in range(3)}
        assert attempts["well"] == {f"well {index}": 1 for index in range(3)}
        assert attempts["busy"].total() == 4
        assert {status for status, _ in patchbay.messages().values()} == {Status.SENT}
        assert [worker.stop() for worker in workers] == [0, 0]
