"""Patchbay in its two forms, from this checkout or another one, with empty tables or with large ones."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from uuid import uuid4

from cryptography.fernet import Fernet

from benchmarks import load
from benchmarks.contestants import commands
from benchmarks.contestants.base import NUMBER, contact
from benchmarks.contestants.storage import InDatabase, InPostgreSQL, InSQLite, WithRedis
from benchmarks.provider_process import ProviderProcess
from tests.processes import ROOT, Process, wait_for

DELIVERED = 50  # messaging.statuses.Status
MODULE = (sys.executable, "-m")


class Patchbay(InDatabase):
    """A Patchbay of the checkout `tree`, whose own code says how it is started and filled."""

    last = "SELECT coalesce(max(id), 0) FROM messaging_message"
    came_in = "SELECT count(*) FROM messaging_message WHERE id > {} AND direction = 'in'"
    went_out = (
        "SELECT count(*) FROM messaging_message "
        f"WHERE id > {{}} AND direction = 'out' AND status = {DELIVERED}"
    )

    def __init__(self, folder: Path, provider: ProviderProcess, key: str, tree: Path = ROOT) -> None:
        super().__init__(folder, provider, key)
        self.tree = tree
        self.account = ""
        # Numbers, and tokens of users who may send from them; each sends in turn.
        self.senders: list[tuple[str, str]] = []
        self.environment |= {
            "PATCHBAY_SECRET_KEY": uuid4().hex * 2,
            "PATCHBAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "PATCHBAY_PUBLIC_URL": f"http://localhost:{self.port}",
            "PATCHBAY_ALLOWED_ORIGINS": provider.origin,
            "PATCHBAY_DATA": str(folder / "data"),
            "PATCHBAY_LOG_LEVEL": "WARNING",
            # One user writes as much as a whole company: the limits against mass sending are off.
            "PATCHBAY_USER_PER_MINUTE": "0",
            "PATCHBAY_USER_PER_HOUR": "0",
            "PATCHBAY_NUMBER_PER_MINUTE": "0",
            "PATCHBAY_ORGANIZATION_PER_HOUR": "0",
        }

    def run(self, *command: str) -> Process:
        return super().run("env", "-C", str(self.tree), *command)

    def prepare(self) -> None:
        """An installation with people in it."""
        (self.folder / "data").mkdir()
        self.complete(sys.executable, "manage.py", "install", "-v0")
        people = json.loads(self.last_line("benchmarks.people", self.provider.url, "1000"))
        self.account, self.senders = people["account"], [(NUMBER, people["token"])]

    def last_line(self, module: str, *arguments: str, seconds: float = 60) -> str:
        """What a module of the checkout prints at last, run in its environment."""
        return self.complete(*MODULE, module, *arguments, seconds=seconds).strip().splitlines()[-1]

    def submission(self, number: int, *, report: bool = False) -> bytes:
        sender, token = self.senders[number % len(self.senders)]
        body = {"from": sender, "to": contact(number), "text": str(number)}
        return load.post("/api/v1/messages", json.dumps(body).encode(), f"Authorization: Bearer {token}")

    def batch(self, numbers: range) -> bytes | None:
        # One after the other, batches have ever different recipients: of one there is but one in flight.
        which = numbers.start // len(numbers)
        sender, token = self.senders[which % len(self.senders)]
        messages = [
            {"from": sender, "to": contact(which + 10 * place), "text": str(number)}
            for place, number in enumerate(numbers)
        ]
        body = json.dumps({"messages": messages}).encode()
        return load.post("/api/v1/messages/batch", body, f"Authorization: Bearer {token}")

    def webhook(self, number: int) -> bytes:
        receiver, _ = self.senders[number % len(self.senders)]
        return self._hook("message", {"from": contact(number), "to": receiver, "content": f"in {number}"})

    def report(self, number: int) -> bytes:
        return self._hook("delivered", {"messageid": f"id-{number}"})

    def _hook(self, method: str, params: dict[str, str]) -> bytes:
        body = json.dumps({"method": method, "params": params}).encode()
        return load.post(f"/services/generic/a{self.account}", body)

    def queue(self, numbers: range) -> bool:
        self.stop_sending()
        self.last_line("benchmarks.backlog", str(numbers.start), str(len(numbers)))
        self.send_again()
        return True

    def stop_sending(self) -> None:
        """Ends what sends."""
        raise NotImplementedError

    def send_again(self) -> None:
        """Starts it again."""
        raise NotImplementedError


class Separate(Patchbay, WithRedis, InPostgreSQL):
    """Web server and workers on PostgreSQL and Redis."""

    def prepare(self) -> None:
        WithRedis.start(self)
        try:
            super().prepare()
        finally:
            self.stop()

    def start(self) -> None:
        super().start()
        self.run(*commands.web(self.tree, self.port))
        self.wait_until_listening(self.port)
        self.send_again()

    def stop_sending(self) -> None:
        for worker in self._workers:
            worker.stop()
            self.processes.remove(worker)

    def send_again(self) -> None:
        self._workers = [self.run(*commands.worker(self.tree)) for _ in range(2)]


class Embedded(Patchbay, InSQLite):
    """One process on SQLite."""

    def start(self) -> None:
        self.send_again()

    def stop_sending(self) -> None:
        self.stop()

    def send_again(self) -> None:
        process = self.run(*commands.serve(self.tree, self.port))
        process.wait_until_ready(f"http://localhost:{self.port}")


class Large(Patchbay):
    """With a million messages of ten thousand organizations, a thousand of which send and receive in turn.

    Each turn begins with the database as it was filled at first.
    """

    def prepare(self) -> None:
        super().prepare()
        super().start()
        try:
            self._exchange(10**9)
        finally:
            self.stop()
        self.senders = json.loads(self.last_line("benchmarks.large", seconds=1200))
        self.keep()

    def _exchange(self, number: int) -> None:
        """One message out, its report, and one message in: all that is stored later looks like these."""
        self.mark()
        self._ask(self.submission(number))
        self.provider.wait_for(range(number, number + 1))
        self._ask(self.report(number))
        wait_for(self.delivered, 20, lambda: "The report was not recorded.")
        self._ask(self.webhook(number))
        wait_for(self.filed, 20, lambda: "The webhook was not filed.")

    def _ask(self, request: bytes) -> None:
        asyncio.run(load.burst(self.port, [request], 1))

    def start(self) -> None:
        self.restore()
        super().start()


class LargeSeparate(Large, Separate):
    """Web server and workers, large tables."""


class LargeEmbedded(Large, Embedded):
    """One process, large tables."""
