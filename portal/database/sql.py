"""The SQL dialect: the database's clock, rows passed as one parameter, and row locks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet


@cache
def is_postgres() -> bool:
    """Whether the database is PostgreSQL rather than SQLite. Only this package may ask."""
    return connection.vendor == "postgresql"


def now() -> str:
    """The time at which the statement began, by the database's clock."""
    return "statement_timestamp()" if is_postgres() else "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def later(seconds: str) -> str:
    """The time `seconds` (an expression or `%s`) from now; a negative number means in the past."""
    if is_postgres():
        return f"(statement_timestamp() + {seconds} * interval '1 second')"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', {seconds} || ' seconds')"


def seconds_until(column: str) -> str:
    """The seconds from now to the time in a column; negative once it has passed."""
    if is_postgres():
        return f"EXTRACT(EPOCH FROM {column} - statement_timestamp())::float8"
    return f"(julianday({column}) - julianday('now')) * 86400.0"


def rows(columns: Mapping[str, str]) -> str:
    """The table `new` from one parameter made by `dump`; `columns` maps names to PostgreSQL's types."""
    if is_postgres():
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(%s::json) AS new({typed})"
    fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {fields} FROM json_each(%s)) AS new"  # noqa: S608 (constants)


def each() -> str:
    """The table `given` with the column `value` from integers, one parameter made by `array`."""
    return "unnest(%s::bigint[]) AS given (value)" if is_postgres() else "json_each(%s) AS given"


def among(column: str) -> str:
    """The condition that a column equals one of many values, one parameter made by `array`."""
    return f"{column} = ANY(%s)" if is_postgres() else f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608


def exists(found: QuerySet[Any]) -> tuple[str, Sequence[Any]]:
    """The condition that a queryset finds rows, with its parameters."""
    query, parameters = found.order_by().values("pk").query.sql_with_params()
    return f"EXISTS ({query})", parameters


def array(values: Iterable[int] | Iterable[str]) -> list[int | str] | str:
    """The parameter of `each` and `among`; the statement does not depend on the number of values."""
    return list(values) if is_postgres() else json.dumps(list(values))


def dump(found: Sequence[Mapping[str, Any]]) -> str:
    """The parameter of `rows`; lone surrogates, which databases cannot store, become question marks."""
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace").decode()


def uuid(value: UUID) -> str:
    """A UUID as a value in the parameter of `rows`."""
    return str(value) if is_postgres() else value.hex


def uuid_of(found: UUID | str) -> UUID:
    """A UUID from a cursor's value, which is text on SQLite."""
    return UUID(found) if isinstance(found, str) else found


def moment(found: datetime | str) -> datetime:
    """A time from a cursor's value, which is text or has no time zone on SQLite."""
    read = datetime.fromisoformat(found) if isinstance(found, str) else found
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def for_update(of: str = "", *, share_key: bool = False) -> str:
    """Locks the selected rows, or those of one table; not needed on SQLite, which has a single writer.

    With `share_key`, other transactions can still insert rows that refer to the locked ones.
    """
    if not is_postgres():
        return ""
    return f"FOR {'NO KEY ' if share_key else ''}UPDATE{f' OF {of}' if of else ''}"


def join_found(table: str, columns: str, query: str) -> str:
    """Joins as `found` the rows of a table that a query selects for each row of the preceding tables.

    `query` is the part after SELECT and the columns. The first column is the key `id`, qualified with its
    table's alias. Rows locked by another transaction are skipped.
    """
    if is_postgres():
        return f"CROSS JOIN LATERAL (SELECT {columns} {query} FOR UPDATE SKIP LOCKED) AS found"
    key = columns.partition(",")[0]
    return f"JOIN {table} AS found ON found.id IN (SELECT {key} {query})"
