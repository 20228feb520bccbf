"""What the statements of the queue have in common: the database's own time, and rows as one parameter."""

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
    """Whether the database is PostgreSQL; else it is SQLite."""
    return connection.vendor == "postgresql"


def now() -> str:
    """The moment at which the statement began; no process's clock decides."""
    return "statement_timestamp()" if is_postgres() else "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def later(seconds: str) -> str:
    """So many seconds from now, an expression or `%s`; negative ones are ago."""
    if is_postgres():
        return f"(statement_timestamp() + {seconds} * interval '1 second')"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', {seconds} || ' seconds')"


def seconds_until(column: str) -> str:
    """From now to the time in a column; negative once it has passed."""
    if is_postgres():
        return f"EXTRACT(EPOCH FROM {column} - statement_timestamp())::float8"
    return f"(julianday({column}) - julianday('now')) * 86400.0"


def rows(columns: Mapping[str, str]) -> str:
    """A JSON list of objects, one parameter, as the table `new` with these columns and PostgreSQL types."""
    if is_postgres():
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(%s::json) AS new({typed})"
    fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {fields} FROM json_each(%s)) AS new"  # noqa: S608 (constants)


def each() -> str:
    """Whole numbers, one parameter made by `array`, as the table `given` with the column `value`."""
    return "unnest(%s::bigint[]) AS given (value)" if is_postgres() else "json_each(%s) AS given"


def among(column: str) -> str:
    """The condition that a column is one of many, a parameter made by `array`."""
    return f"{column} = ANY(%s)" if is_postgres() else f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608


def array(values: Iterable[int] | Iterable[str]) -> list[int | str] | str:
    """The parameter of `each` and `among`: whatever its length, the statement is one, and is planned once."""
    return list(values) if is_postgres() else json.dumps(list(values))


def dump(found: Sequence[Mapping[str, Any]]) -> str:
    """The parameter of `rows`; broken surrogates, which no database takes, become question marks."""
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace").decode()


def uuid(value: UUID) -> str:
    """A UUID as a column of `rows` holds it."""
    return str(value) if is_postgres() else value.hex


def moment(found: datetime | str) -> datetime:
    """A time as a cursor gives it; SQLite's are texts, or those of columns without a zone."""
    read = datetime.fromisoformat(found) if isinstance(found, str) else found
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def uuid_of(found: UUID | str) -> UUID:
    """A UUID as a cursor gives it; SQLite's are text."""
    return UUID(found) if isinstance(found, str) else found
