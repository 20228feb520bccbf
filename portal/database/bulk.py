"""Bulk statements: rows are passed as JSON in one parameter, at a fraction of the cost of the ORM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.utils.functional import Promise

from portal.database import sql


def insert(
    rows: Sequence[models.Model], *returning: str, ignore_conflicts: bool = False
) -> list[tuple[Any, ...]]:
    """Inserts rows of one model, and returns the columns `returning` of the inserted rows, in order.

    Primary keys and columns with a default in the database get their values there. With `ignore_conflicts`,
    rows that violate a unique constraint are skipped.
    """
    if not rows:
        return []
    fields, statement = _insertion(type(rows[0]), returning, ignore_conflicts)
    with connection.cursor() as cursor:
        cursor.execute(statement, [_json(rows, fields)])
        return cursor.fetchall() if returning else []


def update(rows: Sequence[models.Model], *names: str) -> None:
    """Updates the fields `names` of stored rows of one model."""
    if not rows:
        return
    model = type(rows[0])
    key: Any = model._meta.pk
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = [_quoted(field.column) for field in fields]
    statement = f"""UPDATE {_quoted(model._meta.db_table)} AS old
        SET {", ".join(f"{column} = new.{column}" for column in columns)}
        FROM {_source([key, *fields])} WHERE old.{_quoted(key.column)} = new.{_quoted(key.column)}"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [_json(rows, [key, *fields])])


@lru_cache(maxsize=64)
def _insertion(
    model: type[models.Model], returning: tuple[str, ...], ignore_conflicts: bool
) -> tuple[list[Any], str]:
    fields: list[Any] = [
        field
        for field in model._meta.concrete_fields
        if not field.primary_key and field.db_default is models.NOT_PROVIDED
    ]
    names = ", ".join(_quoted(field.column) for field in fields)
    given = ", ".join(f"new.{_quoted(field.column)}" for field in fields)
    # Without "WHERE true", SQLite parses ON CONFLICT as the condition of a join.
    statement = f"""INSERT INTO {_quoted(model._meta.db_table)} ({names})
        SELECT {given} FROM {_source(fields)} WHERE true
        {"ON CONFLICT DO NOTHING" if ignore_conflicts else ""}
        {"RETURNING " + ", ".join(map(_quoted, returning)) if returning else ""}"""  # noqa: S608 (names)
    return fields, statement


def _json(rows: Sequence[models.Model], fields: Sequence[Any]) -> str:
    names = [(field.column, field.attname) for field in fields]
    values = [{column: getattr(row, name) for column, name in names} for row in rows]
    for field in fields:
        # Fields without a conversion of their own are passed unchanged.
        if not isinstance(field, _UNCONVERTED):
            for value in values:
                value[field.column] = field.get_prep_value(value[field.column])
    return json.dumps(values, ensure_ascii=False, default=_plain)


# Most fields. Calling get_prep_value for each of them would take longer than everything else.
_UNCONVERTED = (
    models.CharField,
    models.TextField,
    models.ForeignKey,
    models.IntegerField,
    models.BooleanField,
)


def _plain(value: Any) -> str:
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, bytes):  # encrypted, which is base64
        return value.decode("ascii")
    if isinstance(value, UUID):
        return sql.uuid(value)
    if isinstance(value, datetime):
        return str(connection.ops.adapt_datetimefield_value(value))
    raise TypeError(f"{type(value).__name__} cannot be passed in a bulk statement.")


def _source(fields: Sequence[Any]) -> str:
    """The parameter as the table `new`."""
    if sql.is_postgres():
        columns = (f"{_quoted(field.column)} {field.rel_db_type(connection)}" for field in fields)
        return f"json_to_recordset(%s::json) AS new({', '.join(columns)})"
    columns = (f"{_extracted(field)} AS {_quoted(field.column)}" for field in fields)
    return f"(SELECT {', '.join(columns)} FROM json_each(%s)) AS new"  # noqa: S608 (names)


def _extracted(field: Any) -> str:
    if isinstance(field, models.JSONField):
        return f"(value -> '$.{field.column}')"
    found = f"json_extract(value, '$.{field.column}')"
    return f"CAST({found} AS BLOB)" if isinstance(field, models.BinaryField) else found


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
