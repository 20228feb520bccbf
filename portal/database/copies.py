"""Copies of the whole database in a folder: made while it is used, and put in the place of an empty one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from portal.database import sql

_FILE = "patchbay.sqlite3"
_TABLES = "tables.json"
_MIGRATIONS = "django_migrations"

Migrations = Sequence[tuple[str, str]]


def kind() -> str:
    """The kind of database; a copy fits into another database of the same kind."""
    return "PostgreSQL" if sql.is_postgres() else "SQLite"


def tables() -> list[str]:
    """The tables of the database; none if there is no database, which is not made by asking."""
    if not sql.is_postgres() and not Path(connection.settings_dict["NAME"]).exists():
        return []
    return list(connection.introspection.table_names())


def migrations() -> list[tuple[str, str]]:
    """The migrations that the database has gone through."""
    return sorted(MigrationRecorder(connection).applied_migrations())


def unknown(applied: Migrations) -> list[tuple[str, str]]:
    """Those migrations that this version of Patchbay does not have."""
    return [item for item in applied if item not in MigrationLoader(None).disk_migrations]


def write(folder: Path) -> None:
    """Copies the database as it is at one moment, however long that takes, while others use it.

    Raises OSError or DatabaseError.
    """
    folder.mkdir(mode=0o700)
    if not sql.is_postgres():
        with connection.cursor() as cursor:
            # Unlike a copy of the pages, this has nothing of rows that were deleted.
            cursor.execute("VACUUM INTO %s", [str(folder / _FILE)])
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _be_patient(cursor)
        columns_of = {name: _columns(cursor, name) for name in _tables()}
        (folder / _TABLES).write_text(json.dumps(columns_of))
        for name, columns in columns_of.items():
            with (
                (folder / name).open("wb") as file,
                cursor.copy(f"COPY {_listed(name, columns)} TO STDOUT") as copy,
            ):
                for data in copy:
                    file.write(data)


@contextmanager
def restoring(folder: Path, applied: Migrations) -> Iterator[None]:
    """Puts a copy in the place of the database, of which nothing is kept; the block uses it already.

    The database has it when the block has ended without an exception, and nobody else sees it before.
    `applied` are the migrations of the copy. Raises OSError, KeyError or DatabaseError if it is no such copy.
    """
    replacing = _replacing_rows if sql.is_postgres() else _replacing_file
    with replacing(folder, applied):
        yield
    ContentType.objects.clear_cache()


@contextmanager
def _replacing_file(folder: Path, applied: Migrations) -> Iterator[None]:
    place, copy = Path(connection.settings_dict["NAME"]), folder / _FILE
    connection.close()
    connection.settings_dict["NAME"] = str(copy)
    try:
        yield
    finally:
        connection.close()  # which writes its journal into the file
        connection.settings_dict["NAME"] = str(place)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    for journal in ("-wal", "-shm"):
        place.with_name(place.name + journal).unlink(missing_ok=True)
    copy.replace(place)


@contextmanager
def _replacing_rows(folder: Path, applied: Migrations) -> Iterator[None]:
    columns_of = json.loads((folder / _TABLES).read_text())
    with connection.cursor() as cursor:
        if made := [_quoted(name) for name in (*_tables(), _MIGRATIONS)]:
            cursor.execute(f"DROP TABLE IF EXISTS {', '.join(made)} CASCADE")
    executor = MigrationExecutor(connection)
    state = executor.migrate(_last(executor.loader.graph, set(applied)))
    with transaction.atomic(), connection.cursor() as cursor:
        _be_patient(cursor)
        known = {name: _columns(cursor, name) for name in _tables()}
        cursor.execute(f"TRUNCATE {', '.join(map(_quoted, known))}")  # what the migrations have filled in
        for name, columns in columns_of.items():
            if set(columns) - set(known[name]):
                raise KeyError(name)
            with (
                (folder / name).open("rb") as file,
                cursor.copy(f"COPY {_listed(name, columns)} FROM STDIN") as copy,
            ):
                while data := file.read(1 << 20):
                    copy.write(data)
        models = [model for model in state.apps.get_models(include_auto_created=True) if model._meta.managed]
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
        yield


def _last(graph: MigrationGraph, applied: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those migrations that no other of them depends on; each brings those before it along."""
    return [
        item
        for item in applied & set(graph.nodes)
        if applied.isdisjoint(child.key for child in graph.node_map[item].children)
    ]


def _be_patient(cursor: Any) -> None:
    """A transaction that copies for hours waits for a disk now and then, and is not halted."""
    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def _tables() -> list[str]:
    """Django's tables, without the list of migrations, which the migrations write themselves."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(names) - {_MIGRATIONS})


def _columns(cursor: Any, table: str) -> list[str]:
    """The columns that can be written: generated ones generate themselves."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() "
        "AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
        [table],
    )
    return [name for (name,) in cursor.fetchall()]


def _listed(table: str, columns: Sequence[str]) -> str:
    return f"{_quoted(table)} ({', '.join(map(_quoted, columns))})"


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
