"""The numbers that a user may send through; with each submission the ORM would take as long as all else."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from django.db import connection

from messaging.models import Assignment, Number
from portal.database import sql
from portal.models import User

_COLUMNS = ("id", "organization_id", "number", "country", "display_name")


def of_user(user: User, numbers: Collection[str]) -> list[Number]:
    """The user's active numbers among these, with the fields that a submission needs."""
    statement, parameters = _statement()
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, user.pk, sql.array(numbers)])
        return [Number.from_db(connection.alias, _COLUMNS, row) for row in cursor.fetchall()]


@cache
def permitted() -> tuple[str, tuple[Any, ...]]:
    """`AssignmentQuerySet.permitted` as a statement, with its parameters, for statements of the engine."""
    rows = Assignment.objects.permitted().values_list("number_id", "user_id")
    statement, parameters = rows.query.sql_with_params()
    return statement, parameters


@cache
def _statement() -> tuple[str, tuple[Any, ...]]:
    assignments, parameters = permitted()
    columns = ", ".join(f"number.{name}" for name in _COLUMNS)
    return (
        f"""SELECT {columns} FROM ({assignments}) AS permitted
        JOIN messaging_number AS number ON number.id = permitted.number_id
        WHERE permitted.user_id = %s AND number.active AND {sql.among("number.number")}""",  # noqa: S608
        parameters,
    )
