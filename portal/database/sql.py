"""The SQL dialect: the database's own time, rows that travel as one parameter, and locks on rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection


@cache
def is_postgres() -> bool:
    """Whether the database is PostgreSQL; otherwise it is SQLite. For this package alone."""
    return connection.vendor == "postgresql"


def now() -> str:
    """The moment at which the statement began, by the database's clock."""
    return "statement_timestamp()" if is_postgres() else "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def later(seconds: str) -> str:
    """That many seconds from now; `seconds` is an expression or `%s`, and a negative number means ago."""
    if is_postgres():
        return f"(statement_timestamp() + {seconds} * interval '1 second')"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', {seconds} || ' seconds')"


def seconds_until(column: str) -> str:
    """The seconds from now to the time in a column; negative once it has passed."""
    if is_postgres():
        return f"EXTRACT(EPOCH FROM {column} - statement_timestamp())::float8"
    return f"(julianday({column}) - julianday('now')) * 86400.0"


def rows(columns: Mapping[str, str]) -> str:
    """A JSON list of objects, one parameter made by `dump`, as the table `new`; types are PostgreSQL's."""
    if is_postgres():
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(%s::json) AS new({typed})"
    fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {fields} FROM json_each(%s)) AS new"  # noqa: S608 (constants)


def each() -> str:
    """Integers, one parameter made by `array`, as the table `given` with the column `value`."""
    return "unnest(%s::bigint[]) AS given (value)" if is_postgres() else "json_each(%s) AS given"


def among(column: str) -> str:
    """The condition that a column is one of many values, one parameter made by `array`."""
    return f"{column} = ANY(%s)" if is_postgres() else f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608


def array(values: Iterable[int] | Iterable[str]) -> list[int | str] | str:
    """The parameter of `each` and `among`; the statement is the same for any length, and planned once."""
    return list(values) if is_postgres() else json.dumps(list(values))


def dump(found: Sequence[Mapping[str, Any]]) -> str:
    """The parameter of `rows`; lone surrogates, which no database stores, become question marks."""
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace").decode()


def uuid(value: UUID) -> str:
    """A UUID as a column of `rows` holds it."""
    return str(value) if is_postgres() else value.hex


def uuid_of(found: UUID | str) -> UUID:
    """A UUID from what a cursor returns, which is text on SQLite."""
    return UUID(found) if isinstance(found, str) else found


def moment(found: datetime | str) -> datetime:
    """A time from what a cursor returns: text on SQLite, or a time without a zone."""
    read = datetime.fromisoformat(found) if isinstance(found, str) else found
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def for_update(of: str = "", *, share_key: bool = False) -> str:
    """Locks the selected rows (of one table) until the transaction ends; SQLite has one writer anyway.

    With `share_key` other transactions may still insert rows that refer to these.
    """
    if not is_postgres():
        return ""
    return f"FOR {'NO KEY ' if share_key else ''}UPDATE{f' OF {of}' if of else ''}"


def join_found(table: str, columns: str, query: str) -> str:
    """Joins, as `found`, the rows of a table that a query selects for each row of the tables before.

    `query` is what follows SELECT and the columns; the first column is the key `id`, qualified by its table's
    alias. Rows that another transaction has locked are skipped.
    """
    if is_postgres():
        return f"CROSS JOIN LATERAL (SELECT {columns} {query} FOR UPDATE SKIP LOCKED) AS found"
    key = columns.partition(",")[0]
    return f"JOIN {table} AS found ON found.id IN (SELECT {key} {query})"
