"""Advisory locks, held until the transaction ends. SQLite needs none: one transaction writes at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from django.db import connection

from portal.database import sql

# A process that halts while it holds `hold_alone` must not block the others for longer.
HALTED_SECONDS = 5


def hold(*keys: int) -> None:
    """Waits until no other transaction holds one of these locks, and takes them."""
    if sql.is_postgres():
        # In one order everywhere, or two transactions could wait for each other.
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_advisory_xact_lock(value) FROM {sql.each()}",  # noqa: S608 (constants)
                [sql.array(sorted(set(keys)))],
            )


def hold_alone(key: int) -> None:
    """`hold` for a short transaction of many statements: it may halt for five seconds at most.

    Its statements are not compiled: that would take longer than to run them.
    """
    if sql.is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, true), "
                "set_config('jit', 'off', true), pg_advisory_xact_lock(%s)",
                [f"{HALTED_SECONDS}s", key],
            )


def key_of(name: str) -> int:
    """The key of a lock with this name."""
    return zlib.crc32(name.encode())


def of_digests(digests: Iterable[str]) -> list[int]:
    """A key for each hexadecimal digest."""
    return [int(digest[:15], 16) for digest in digests]
