"""Whether the way to PostgreSQL keeps prepared statements, which a pooler may lose between transactions."""

from __future__ import annotations

from uuid import uuid4

import psycopg
from psycopg.pq import ExecStatus


def loses_prepared_statements(first: psycopg.Connection, second: psycopg.Connection) -> bool:
    """Whether a statement that `first` has prepared is gone once `second` is in a transaction.

    A pooler that pools transactions, and does not know prepared statements, gives the server connection of
    one to the other meanwhile. Both connections are in autocommit mode.
    """
    name = f"probe_{uuid4().hex}".encode()
    if first.pgconn.prepare(name, b"SELECT 1").status != ExecStatus.COMMAND_OK:
        return True
    with second.transaction():
        second.execute("SELECT 1")
        return first.pgconn.exec_prepared(name, []).status != ExecStatus.TUPLES_OK
