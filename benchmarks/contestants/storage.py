"""Where contestants keep their messages, and how what they have stored is counted."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import psycopg

from benchmarks import servers
from benchmarks.contestants.base import Contestant
from benchmarks.provider_process import ProviderProcess


class InDatabase(Contestant):
    """Its queries count what `filed` and `delivered` say, from the id that was the last at the mark."""

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

    def keep(self) -> None:
        """Keeps the database as it is for `restore`. Its processes are down."""
        raise NotImplementedError

    def restore(self) -> None:
        """Makes the database what it was when it was kept. Its processes are down."""
        raise NotImplementedError


class InPostgreSQL(InDatabase):
    """In a PostgreSQL database of its own."""

    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        super().__init__(folder, provider, key)
        self._name = f"patchbay_bench_{key}"
        self.database = servers.new_database(self._name)
        self.environment["DATABASE_URL"] = self.database
        self._watching: psycopg.Connection | None = None

    def stop(self) -> None:
        super().stop()
        self._watch_no_more()

    def remove(self) -> None:
        for name in (self._name, self._kept):
            servers.drop_database(name)

    def query(self, statement: str) -> int:
        row = self._connection().execute(statement.encode()).fetchone()
        return int(row[0]) if row else 0

    def transactions(self) -> int:
        """Commits so far; PostgreSQL counts them with a second's delay."""
        return self.query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")

    def analyze(self) -> None:
        self._connection().execute("ANALYZE")

    def keep(self) -> None:
        self._watch_no_more()
        servers.new_database(self._kept, self._name)

    def restore(self) -> None:
        self._watch_no_more()
        servers.new_database(self._name, self._kept)

    @property
    def _kept(self) -> str:
        return f"{self._name}_kept"

    def _connection(self) -> psycopg.Connection:
        if self._watching is None:
            self._watching = psycopg.connect(self.database, autocommit=True)
        return self._watching

    def _watch_no_more(self) -> None:
        if self._watching is not None:
            self._watching.close()
            self._watching = None


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

    def keep(self) -> None:
        self.query("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(self.file, self._kept)

    def restore(self) -> None:
        for ending in ("-wal", "-shm"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        shutil.copyfile(self._kept, self.file)

    @property
    def _kept(self) -> Path:
        return self.folder / "kept.sqlite3"


class WithRedis(Contestant):
    """With a Redis of its own, empty at each start; what that one uses is not counted."""

    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        super().__init__(folder, provider, key)
        self._redis = servers.Redis(folder)
        self.environment["REDIS_URL"] = self._redis.url

    def start(self) -> None:
        self._redis.start()

    def stop(self) -> None:
        super().stop()
        self._redis.stop()
