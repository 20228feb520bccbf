"""The keys are rotated step by step, as docs/how-to/rotate-the-keys.md says, while messages go in and out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from cryptography.fernet import Fernet

from integrations.sandbox import Sandbox
from tests.faults.services import message
from tests.installation import Embedded, Installation, Separate, texts
from tests.processes import Process, wait_for

MESSAGES = 400


class Traffic:
    """A service that posts webhooks one after the other, each until it is taken."""

    def __init__(self, patchbay: Installation) -> None:
        self.taken = 0
        self._patchbay, self._stopped = patchbay, threading.Event()
        self._thread = threading.Thread(target=self._post, daemon=True)

    def _post(self) -> None:
        while not self._stopped.wait(0.01):
            if self._patchbay.webhook(message(self.taken)) == 200:
                self.taken += 1

    def more(self, count: int = 20) -> None:
        """Waits until so many more are taken."""
        until = self.taken + count
        wait_for(lambda: self.taken >= until, 60, lambda: self._patchbay.output)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        self._thread.start()
        yield
        self._stopped.set()
        self._thread.join()


Restart = Callable[[list[str], Callable[[], None]], None]


def rotate(patchbay: Installation, restart: Restart, *, at_once: bool) -> str:
    """Goes through the steps, and returns what was said.

    `restart` starts processes with a list of keys in place of those before, and may call what it is given while
    both run.
    """
    old, new = patchbay.environment["PATCHBAY_ENCRYPTION_KEYS"], Fernet.generate_key().decode()
    traffic = Traffic(patchbay)
    with traffic.flowing():
        restart([old], traffic.more)
        traffic.more()
        if not at_once:
            restart([old, new], traffic.more)
            traffic.more()
        restart([new, old], traffic.more)
        traffic.more()
        for command in ("rotate_keys", "check_keys"):
            process = patchbay.run("manage.py", command, PATCHBAY_ENCRYPTION_KEYS=f"{new},{old}")
            assert process.popen.wait(60) == 0, patchbay.output
        traffic.more()
        restart([new], traffic.more)
        traffic.more()
    patchbay.environment["PATCHBAY_ENCRYPTION_KEYS"] = new
    patchbay.settled()
    wait_for(lambda: len(patchbay.texts_in()) == traffic.taken, 30, lambda: patchbay.output)
    assert sorted(patchbay.texts_in()) == sorted(f"in {index}" for index in range(traffic.taken))
    check = patchbay.run("manage.py", "check_keys")
    assert check.popen.wait(60) == 0, patchbay.output
    for secret in (old, new):
        assert secret not in patchbay.log.read_text()
    return patchbay.log.read_text()


def went_well(patchbay: Installation, sandbox: Sandbox, said: str) -> None:
    assert patchbay.statuses() == {"sent"}
    assert sorted(texts(sandbox)) == sorted(f"acme {index}" for index in range(MESSAGES))
    assert "decrypt" not in said and "Traceback" not in said, said
    assert "old: 0 rows\n  It may be removed from the list." in said


def started(patchbay: Installation) -> list[int]:
    """How many web and worker processes have come up so far."""
    return [patchbay.log.read_text().count(word) for word in ("Started worker-", "celery@")]


def prepare(patchbay: Installation, sandbox: Sandbox) -> None:
    sandbox.reports = False
    # Some messages are due at each moment of the rotation.
    due = [seconds / 10 for seconds in range(200)]
    patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": MESSAGES, "due": due})


def test_the_keys_of_one_process(
    embedded: Callable[..., AbstractContextManager[Embedded]], sandbox: Sandbox
) -> None:
    with embedded() as patchbay:
        prepare(patchbay, sandbox)

        def restart(listed: list[str], _both: Callable[[], None]) -> None:
            for process in patchbay.processes:
                process.stop()
            patchbay.environment["PATCHBAY_ENCRYPTION_KEYS"] = ",".join(listed)
            patchbay.serve().wait_until_ready(patchbay.url)

        went_well(patchbay, sandbox, rotate(patchbay, restart, at_once=True))


@pytest.mark.services
def test_the_keys_of_several_processes_one_after_the_other(
    separate: Callable[..., AbstractContextManager[Separate]], sandbox: Sandbox
) -> None:
    """At each step processes with the list before and processes with the list after it run side by side."""
    with separate() as patchbay:
        patchbay.redis.start()
        prepare(patchbay, sandbox)
        running: list[Process] = []

        def restart(listed: list[str], both: Callable[[], None]) -> None:
            patchbay.environment["PATCHBAY_ENCRYPTION_KEYS"] = ",".join(listed)
            before = started(patchbay) if running else [0, 0]
            new = [patchbay.web(), patchbay.worker()]
            wait_for(lambda: all(map(int.__lt__, before, started(patchbay))), 60, lambda: patchbay.output)
            if running:
                both()  # what the web process of one has taken, the worker of the other files
            for process in running:
                process.stop()
            running[:] = new

        went_well(patchbay, sandbox, rotate(patchbay, restart, at_once=False))
