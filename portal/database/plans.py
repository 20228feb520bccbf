"""How PostgreSQL plans statements: once for all values, or each time for those that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from portal.database import sql


@contextmanager
def for_these_values() -> Iterator[None]:
    """Has each statement in the block planned for its values, not prepared as those that are used often.

    A prepared statement has one plan for organizations with ten rows and with millions. That suits look-ups
    by a key, but not lists, whose rows may be read in the order of several indexes.
    """
    if not sql.is_postgres():
        yield
        return
    connection.ensure_connection()
    prepared = connection.connection.prepare_threshold
    connection.connection.prepare_threshold = None
    try:
        yield
    finally:
        if connection.connection is not None:  # it may have been lost
            connection.connection.prepare_threshold = prepared
