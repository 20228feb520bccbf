"""Copies of one row, by the million: SQL for PostgreSQL and SQLite."""

from __future__ import annotations

from django.core.management.color import no_style
from django.db import connection
from django.db.models import Max, Model


class Multiplier:
    """Adds rows in bulk; foreign keys are not checked, which takes a superuser in PostgreSQL."""

    def __init__(self) -> None:
        self._models: list[type[Model]] = []
        if _is_postgresql():
            _execute("SET session_replication_role = replica; SET synchronous_commit = off; SET jit = off")
        else:
            _execute("PRAGMA foreign_keys = OFF")
            _execute("PRAGMA synchronous = OFF")
            _execute("PRAGMA cache_size = -500000")

    def add(self, count: int, sample: Model, **columns: str) -> int:
        """Adds copies of a row with consecutive ids, and returns the first id.

        `columns` are SQL expressions of `n`, which counts from 0, for what differs.
        """
        model = type(sample)
        first = int(model._default_manager.aggregate(last=Max("pk"))["last"]) + 1
        names = [field.column for field in model._meta.local_concrete_fields]
        unknown = columns.keys() - set(names)
        assert not unknown, f"{model.__name__} has no column {', '.join(unknown)}."
        values = {"id": f"{first} + n", **columns}
        quoted = {name: connection.ops.quote_name(name) for name in names}
        wanted = ", ".join(values.get(name, f"sample.{quoted[name]}") for name in names)
        table = model._meta.db_table
        _execute(f"""
            INSERT INTO {table} ({", ".join(quoted.values())})
            WITH RECURSIVE series (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {count})
            SELECT {wanted} FROM series CROSS JOIN {table} AS sample WHERE sample.id = {sample.pk}
        """)
        self._models.append(model)
        return first

    def finish(self) -> None:
        """Moves sequences past the new ids, and renews the statistics."""
        if _is_postgresql():
            for statement in connection.ops.sequence_reset_sql(no_style(), self._models):
                _execute(statement)
            _execute("VACUUM (ANALYZE)")


def uuid() -> str:
    """A new uuid."""
    return "gen_random_uuid()" if _is_postgresql() else "lower(hex(randomblob(16)))"


def ago(seconds: str) -> str:
    """The time that many seconds ago."""
    if _is_postgresql():
        return f"now() - make_interval(secs => {seconds})"
    return f"strftime('%Y-%m-%d %H:%M:%f', 'now', (-({seconds})) || ' seconds')"


def digits(number: str, count: int) -> str:
    """A number as text with leading zeros."""
    return f"substr(CAST({10**count} + {number} AS text), 2)"


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
