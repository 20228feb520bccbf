"""Locks of the database, held until the transaction ends.

SQLite needs none: one transaction writes at a time.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from messaging.database import sql

FILING = 0x66696C65


def hold(*keys: int) -> None:
    """Waits until no other transaction holds one of these locks, and takes them."""
    if sql.is_postgres():
        # In one order everywhere, or two transactions could wait for each other.
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_advisory_xact_lock(value) FROM {sql.each()}",  # noqa: S608 (constants)
                [sql.array(sorted(set(keys)))],
            )


def of_digests(digests: Iterable[str]) -> list[int]:
    """A key for each hexadecimal digest."""
    return [int(digest[:15], 16) for digest in digests]
