"""What one would write instead: the glue, and Django with a Celery task for each message."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.contestants.base import NUMBER, contact
from benchmarks.contestants.storage import InPostgreSQL, WithRedis
from benchmarks.load import post
from benchmarks.provider_process import ProviderProcess

CELERY = (sys.executable, "-m", "celery", "-A")


class Yardstick(InPostgreSQL):
    """A program for one provider and one organization; it asks nobody who they are."""

    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        super().__init__(folder, provider, key)
        self.environment["PROVIDER_URL"] = provider.url

    def submission(self, number: int, *, report: bool = False) -> bytes:
        body = {"sender": NUMBER, "to": contact(number), "content": str(number)}
        return post("/messages", json.dumps(body).encode())

    def webhook(self, number: int) -> bytes:
        params = {"from": contact(number), "to": NUMBER, "content": f"in {number}"}
        return post("/webhook", json.dumps({"method": "message", "params": params}).encode())

    def report(self, number: int) -> bytes:
        body = {"method": "delivered", "params": {"messageid": f"id-{number}"}}
        return post("/webhook", json.dumps(body).encode())


class Glue(Yardstick):
    def prepare(self) -> None:
        from benchmarks.yardsticks import glue

        super().prepare()
        glue.prepare(self.database)

    def start(self) -> None:
        self.serve_wsgi("benchmarks.yardsticks.glue:application")


class Naive(WithRedis, Yardstick):
    most_when_slow = 200

    def prepare(self) -> None:
        super().prepare()
        self.environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.yardsticks.settings"
        self.complete(sys.executable, "-m", "django", "migrate", "--run-syncdb", "-v0")

    def start(self) -> None:
        super().start()
        self.serve_wsgi("benchmarks.yardsticks.naive:application")
        self.run(*CELERY, "benchmarks.yardsticks.naive:app", "worker", "--concurrency", "2")


class Tuned(WithRedis, Yardstick):
    def prepare(self) -> None:
        super().prepare()
        self.environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.yardsticks.tuned_settings"
        self.complete(sys.executable, "-m", "django", "migrate", "--run-syncdb", "-v0")

    def start(self) -> None:
        super().start()
        # Each thread has a connection to the database, of which PostgreSQL gives a hundred.
        self.serve_wsgi("benchmarks.yardsticks.tuned:application", threads=16)
        for _ in range(2):
            # Measured: threads are as fast as prefork with a quick provider, and faster with a slow one.
            self.run(
                *CELERY, "benchmarks.yardsticks.tuned:app", "worker", "--pool", "threads",
                "--concurrency", "16", "--without-heartbeat", "--without-gossip", "--without-mingle",
            )  # fmt: skip
