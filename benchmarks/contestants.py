"""Those who are compared: Patchbay in its two forms, and two yardsticks, each as real processes."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psutil
import psycopg
from cryptography.fernet import Fernet

from benchmarks.load import post
from tests.processes import Process, free_port, wait_for

CONTACTS = 1000


class Contestant:
    """Something that sends and receives messages; `database` and `provider` are URLs."""

    name = ""
    path, hook = "/messages", "/webhook"

    def __init__(self, folder: Path, database: str, redis: str, provider: str) -> None:
        self.folder, self.database, self.provider = folder, database, provider
        self.port = free_port()
        self.log = folder / "log"
        self.environment = {"DATABASE_URL": database, "REDIS_URL": redis, "PROVIDER_URL": provider}
        self.processes: list[Process] = []

    def prepare(self) -> None:
        """Makes the tables, and all that is in them from the beginning."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts the processes."""
        raise NotImplementedError

    def submission(self, number: int) -> bytes:
        """The request of a user who sends the text `number`."""
        body = {"from": "+61855555501", "to": f"+61412{number % CONTACTS:06d}", "content": str(number)}
        return post(self.path, json.dumps(body).encode(), "application/json")

    def webhook(self, number: int) -> bytes:
        """The request of the provider that brings the text `number`."""
        sender = f"+61412{number % CONTACTS:06d}"
        params = {"from": sender, "to": "+61855555501", "content": f"in {number}"}
        body = {"method": "message", "params": params}
        return post(self.hook, json.dumps(body).encode(), "application/json")

    def filed(self) -> int:
        """How many texts of the provider's arrived."""
        return self.query("SELECT count(*) FROM message WHERE direction = 'in'")

    def query(self, statement: str) -> int:
        """One number from the database."""
        with psycopg.connect(self.database) as connection:
            row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
        return int(row[0]) if row else 0

    def transactions(self) -> int:
        """Commits so far; PostgreSQL counts them with a second's delay."""
        return self.query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")

    def analyze(self) -> None:
        """Has the database look at how full its tables are."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("ANALYZE")

    def run(self, *command: str, environment: dict[str, str] | None = None) -> Process:
        """Starts one of its processes."""
        started = Process([sys.executable, *command], {**self.environment, **(environment or {})}, self.log)
        self.processes.append(started)
        return started

    def serve(self, application: str, interface: str = "wsgi") -> None:
        """Starts the web server that Patchbay's container uses, as it uses it."""
        threads = ["--blocking-threads", "32"] if interface == "wsgi" else []
        self.run(
            "-m", "granian", "--interface", interface, "--port", str(self.port), "--workers", "2",
            *threads, application,
        )  # fmt: skip
        wait_for(self._listens, 30, lambda: self.log.read_text())

    def _listens(self) -> bool:
        connections = (found for item in self._tree() for found in item.net_connections())
        return any(found.status == "LISTEN" and found.laddr.port == self.port for found in connections)

    def queue(self, numbers: range) -> bool:
        """Has these texts wait while nobody sends, then lets them go; False where there is no queue."""
        return False

    def stop(self) -> None:
        """Ends its processes."""
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()

    def _tree(self) -> list[psutil.Process]:
        found = []
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.popen.pid)
                found += [parent, *parent.children(recursive=True)]
        return found

    def cpu(self) -> float:
        """CPU seconds that its processes have used; the database's are not among them."""
        return sum(item.cpu_times().user + item.cpu_times().system for item in self._tree())

    def memory(self) -> float:
        """MiB of its processes: memory of their own and their share of what they have in common."""
        return float(sum(item.memory_full_info().pss for item in self._tree())) / 2**20


class Glue(Contestant):
    name = "glue: Flask + requests + INSERT"

    def prepare(self) -> None:
        from benchmarks.yardsticks import glue

        glue.prepare(self.database)

    def start(self) -> None:
        self.serve("benchmarks.yardsticks.glue:application")


class Naive(Contestant):
    name = "naive: Django + DRF + a Celery task each"

    def prepare(self) -> None:
        self.run("-m", "benchmarks.yardsticks.naive").finish()

    def start(self) -> None:
        self.serve("benchmarks.yardsticks.naive:application")
        self.run("-m", "celery", "-A", "benchmarks.yardsticks.naive:app", "worker", "--concurrency", "2")


class Patchbay(Contestant):
    name = "Patchbay, PostgreSQL + Redis"

    def prepare(self) -> None:
        """An installation with people in it."""
        self.environment |= {
            "PATCHBAY_SECRET_KEY": uuid4().hex * 2,
            "PATCHBAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "PATCHBAY_PUBLIC_URL": f"http://localhost:{self.port}",
            "PATCHBAY_ALLOWED_ORIGINS": urlunsplit(urlsplit(self.provider)._replace(path="")),
            "PATCHBAY_DATA": str(self.folder / "data"),
            "PATCHBAY_LOG_LEVEL": "WARNING",
            # One user writes as much as a whole company: the limits are off.
            "PATCHBAY_USER_PER_MINUTE": "0",
            "PATCHBAY_USER_PER_HOUR": "0",
            "PATCHBAY_NUMBER_PER_MINUTE": "0",
            "PATCHBAY_ORGANIZATION_PER_HOUR": "0",
            "PATCHBAY_API_PER_MINUTE": "0",
        }
        (self.folder / "data").mkdir()
        self.run("manage.py", "install", "-v0").finish()
        people = self.run("-m", "benchmarks.people", self.provider, str(CONTACTS)).finish()
        self.processes.clear()
        self.people: dict[str, str] = json.loads(people.strip().splitlines()[-1])
        self.hook = f"/services/generic/a{self.people['account']}"

    def start(self) -> None:
        self.serve("portal.wsgi:application")
        self.workers = self.work()

    def work(self) -> list[Process]:
        """Starts the workers as the containers do."""
        return [
            self.run(
                "-m", "celery", "-A", "portal", "worker", "--pool", "threads",
                "--without-heartbeat", "--without-gossip", "--without-mingle",
            )
            for _ in range(2)
        ]  # fmt: skip

    def queue(self, numbers: range) -> bool:
        for worker in self.workers:
            worker.stop()
            self.processes.remove(worker)
        queued = self.run("-m", "benchmarks.backlog", str(numbers.start), str(len(numbers)))
        queued.finish()
        self.processes.remove(queued)
        self.workers = self.work()
        return True

    def submission(self, number: int) -> bytes:
        body = {"from": "+61855555501", "to": f"+61412{number % CONTACTS:06d}", "text": str(number)}
        token = f"Authorization: Bearer {self.people['token']}"
        return post("/api/v1/messages", json.dumps(body).encode(), "application/json", [token])

    def filed(self) -> int:
        return self.query("SELECT count(*) FROM messaging_message WHERE direction = 'in'")


class Embedded(Patchbay):
    name = "Patchbay, one process on SQLite"

    def prepare(self) -> None:
        self.environment = {
            key: value
            for key, value in self.environment.items()
            if not key.endswith(("DATABASE_URL", "REDIS_URL"))
        }
        super().prepare()

    def start(self) -> None:
        self.run("manage.py", "serve", "--port", str(self.port)).wait_until_ready(
            f"http://localhost:{self.port}"
        )

    def queue(self, numbers: range) -> bool:
        return False

    def query(self, statement: str) -> int:
        with sqlite3.connect(self.folder / "data" / "patchbay.sqlite3") as connection:
            return int(connection.execute(statement).fetchone()[0])

    def transactions(self) -> int:
        return 0

    def analyze(self) -> None:
        pass


ALL: dict[str, type[Contestant]] = {
    "patchbay": Patchbay,
    "embedded": Embedded,
    "glue": Glue,
    "naive": Naive,
}


def new_database(server: str, name: str) -> str:
    """The URL of a fresh database on a server; one of that name is dropped."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def servers() -> tuple[str, str]:
    """PostgreSQL and Redis that may be used, or empty texts."""
    return os.environ.get("PATCHBAY_TEST_DATABASE_URL", ""), os.environ.get("PATCHBAY_TEST_REDIS_URL", "")
