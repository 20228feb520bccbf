"""The servers that contestants need: databases in a PostgreSQL that is given, and a Redis of their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.processes import Process, free_port, wait_for

REDIS = shutil.which("redis-server")


def postgresql() -> str:
    """The URL of the PostgreSQL that may be used, or an empty text."""
    return os.environ.get("PATCHBAY_TEST_DATABASE_URL", "")


def missing() -> str:
    """What keeps contestants from using PostgreSQL and Redis; empty: nothing."""
    if not postgresql():
        return "PATCHBAY_TEST_DATABASE_URL is not set"
    return "" if REDIS else "redis-server is not installed"


def url_of(database: str) -> str:
    """The URL of a database of this PostgreSQL."""
    return urlunsplit(urlsplit(postgresql())._replace(path=f"/{database}"))


def new_database(name: str, template: str = "template0") -> None:
    """Makes a database, a copy of another; one of that name is dropped."""
    drop_database(name)
    with psycopg.connect(postgresql(), autocommit=True) as connection:
        # Since version 15 PostgreSQL writes all of a copy to its log, unless it is told that files will do.
        by_file = sql.SQL(" STRATEGY FILE_COPY" if connection.info.server_version >= 150000 else "")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}{}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template), by_file))


def drop_database(name: str) -> None:
    """Drops the database, if it is there, whoever uses it."""
    with psycopg.connect(postgresql(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def postgresql_version() -> str:
    """Like `PostgreSQL 15.4`, or an empty text."""
    if not postgresql():
        return ""
    with psycopg.connect(postgresql()) as connection:
        return "PostgreSQL {}.{}".format(*divmod(connection.info.server_version, 10000))


class Redis:
    """An empty Redis that keeps nothing, as in docker-compose.yml."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._log = folder / "redis.log"
        self._process: Process | None = None

    def start(self) -> None:
        assert REDIS, "redis-server is not installed."
        command = [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._log.unlink(missing_ok=True)
        self._process = process = Process(command, {}, self._log)
        wait_for(lambda: "Ready to accept connections" in process.output, 20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
