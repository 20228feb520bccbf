"""Advisory locks, held until the transaction ends. SQLite needs none, since it has a single writer."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from django.db import connection

from portal.database import sql

# A process that is halted while it holds such a lock must not block the others for longer.
HALTED_SECONDS = 5


def hold(*keys: int) -> None:
    """Acquires the locks, and waits while another transaction holds one of them."""
    if sql.is_postgres():
        # Always in the same order, or two transactions could deadlock.
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_advisory_xact_lock(value) FROM {sql.each()}",  # noqa: S608 (constants)
                [sql.array(sorted(set(keys)))],
            )


def hold_alone(key: int) -> None:
    """`hold` for a short transaction of many statements, which is aborted if it halts for five seconds.

    Its statements are not compiled (JIT), which would take longer than executing them.
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
