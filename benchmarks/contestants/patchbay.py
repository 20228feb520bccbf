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
from benchmarks.contestants.base import CONTACTS, NUMBER, contact
from benchmarks.contestants.storage import InDatabase, InPostgreSQL, InSQLite, WithRedis
from benchmarks.provider_process import ProviderProcess
from tests.processes import ROOT, Process, wait_for

DELIVERED = 50  # messaging.statuses.Status
MODULE = (sys.executable, "-m")


class Patchbay(InDatabase):
    """The Patchbay of the checkout `tree`, started and filled by that checkout's own code."""

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
        # Numbers, each with the token of a user who may send from it; they take turns.
        self.senders: list[tuple[str, str]] = []
        self.environment |= {
            "PATCHBAY_SECRET_KEY": uuid4().hex * 2,
            "PATCHBAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "PATCHBAY_PUBLIC_URL": f"http://localhost:{self.port}",
            "PATCHBAY_ALLOWED_ORIGINS": provider.origin,
            "PATCHBAY_DATA": str(folder / "data"),
            "PATCHBAY_LOG_LEVEL": "WARNING",
            # One user sends as much as a whole company: the limits against mass sending are off.
            "PATCHBAY_USER_PER_MINUTE": "0",
            "PATCHBAY_USER_PER_HOUR": "0",
            "PATCHBAY_NUMBER_PER_MINUTE": "0",
            "PATCHBAY_ORGANIZATION_PER_HOUR": "0",
            "PATCHBAY_API_PER_MINUTE": "100000000",  # counted, but never reached
        }

    def run(self, *command: str) -> Process:
        return super().run("env", "-C", str(self.tree), *command)

    def prepare(self) -> None:
        """Installs it, with an organization whose user knows many contacts."""
        super().prepare()
        (self.folder / "data").mkdir()
        self.complete(sys.executable, "manage.py", "install", "-v0")
        printed = self.complete(*MODULE, "benchmarks.people", self.provider.url, str(CONTACTS))
        people = json.loads(printed.strip().splitlines()[-1])
        self.account, self.senders = people["account"], [(NUMBER, people["token"])]

    def submission(self, number: int, *, report: bool = False) -> bytes:
        sender, token = self.senders[number % len(self.senders)]
        body = {"from": sender, "to": contact(number), "text": str(number)}
        return load.post("/api/v1/messages", json.dumps(body).encode(), f"Authorization: Bearer {token}")

    def batch(self, numbers: range) -> bytes | None:
        # Successive batches have different recipients, since a conversation has one message in flight.
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
        self.complete(*MODULE, "benchmarks.backlog", str(numbers.start), str(len(numbers)))
        self.send_again()
        return True

    def stop_sending(self) -> None:
        """Stops the processes that send."""
        raise NotImplementedError

    def send_again(self) -> None:
        """Starts them again."""
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
    """With a million messages of ten thousand organizations, of which `senders` send and receive in turn.

    The database is filled once; each turn begins with a copy.
    """

    def __init__(self, folder: Path, provider: ProviderProcess, key: str, senders: int) -> None:
        super().__init__(folder, provider, key)
        self._count = senders

    def prepare(self) -> None:
        super().prepare()
        super().start()
        try:
            self._exchange(10**9)
        finally:
            self.stop()
        senders = self.folder / "senders.json"
        self.complete(*MODULE, "benchmarks.large", str(senders), seconds=1200)
        self.senders = json.loads(senders.read_text())[: self._count]
        self.save()

    def _exchange(self, number: int) -> None:
        """Sends one message, reports it and receives one: the samples that all others are copies of."""
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
