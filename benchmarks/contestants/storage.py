"""Where contestants keep their messages, and how these are counted."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import psycopg

from benchmarks import servers
from benchmarks.contestants.base import Contestant
from benchmarks.provider_process import ProviderProcess


class InDatabase(Contestant):
    """Counts rows with an id above the one that was the last at the mark."""

    last = "SELECT coalesce(max(id), 0) FROM message"
    came_in = "SELECT count(*) FROM message WHERE id > {} AND direction = 'in'"
    went_out = "SELECT count(*) FROM message WHERE id > {} AND direction = 'out' AND status = 'delivered'"
    _mark = 0

    def mark(self) -> None:
        self._mark = self.query(self.last)

    def filed(self) -> int:
        return self.query(self.came_in.format(self._mark))

    def delivered(self) -> int:
        return self.query(self.went_out.format(self._mark))

    def query(self, statement: str) -> int:
        """One number from the database."""
        raise NotImplementedError

    def save(self) -> None:
        """Saves the database for `restore`; no process may be using it."""
        raise NotImplementedError

    def restore(self) -> None:
        """Resets the database to what was saved; no process may be using it."""
        raise NotImplementedError


class InPostgreSQL(InDatabase):
    """In a PostgreSQL database of its own."""

    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        super().__init__(folder, provider, key)
        self._name = f"patchbay_bench_{key}"
        self.database = servers.url_of(self._name)
        self.environment["DATABASE_URL"] = self.database
        self._observer: psycopg.Connection | None = None

    def prepare(self) -> None:
        servers.new_database(self._name)

    def stop(self) -> None:
        self._disconnect()
        super().stop()

    def remove(self) -> None:
        for name in (self._name, self._saved):
            servers.drop_database(name)

    def query(self, statement: str) -> int:
        row = self._connection().execute(statement.encode()).fetchone()
        return int(row[0]) if row else 0

    def transactions(self) -> int:
        """Commits so far; PostgreSQL counts them with a second's delay."""
        return self.query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")

    def analyze(self) -> None:
        self._connection().execute("ANALYZE")

    def save(self) -> None:
        self._disconnect()
        servers.new_database(self._saved, self._name)

    def restore(self) -> None:
        self._disconnect()
        servers.new_database(self._name, self._saved)

    @property
    def _saved(self) -> str:
        return f"{self._name}_saved"

    def _connection(self) -> psycopg.Connection:
        if self._observer is None:
            self._observer = psycopg.connect(self.database, autocommit=True)
        return self._observer

    def _disconnect(self) -> None:
        if self._observer is not None:
            self._observer.close()
            self._observer = None


class InSQLite(InDatabase):
    """In a file of its data folder."""

    @property
    def file(self) -> Path:
        return self.folder / "data" / "patchbay.sqlite3"

    def query(self, statement: str) -> int:
        connection = sqlite3.connect(self.file)
        try:
            return int(connection.execute(statement).fetchone()[0])
        finally:
            connection.close()

    def save(self) -> None:
        self.query("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(self.file, self._saved)

    def restore(self) -> None:
        for ending in ("-wal", "-shm"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        shutil.copyfile(self._saved, self.file)

    @property
    def _saved(self) -> Path:
        return self.folder / "saved.sqlite3"


class WithRedis(Contestant):
    """With a Redis of its own, empty at each start and not part of what is measured."""

    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        super().__init__(folder, provider, key)
        self._redis = servers.Redis(folder)
        self.environment["REDIS_URL"] = self._redis.url

    def start(self) -> None:
        self._redis.start()

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            self._redis.stop()
