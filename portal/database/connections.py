"""How many connections the database has."""

from __future__ import annotations

from django.db import connection

from portal.database import sql


def counted() -> tuple[dict[str, int], int]:
    """All connections to this database by their state, and how many the server allows; SQLite has neither."""
    if not sql.is_postgres():
        return {}, 0
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT COALESCE(state, 'other'), COUNT(*) FROM pg_stat_activity
            WHERE datname = current_database() GROUP BY 1""",
            [],
        )
        states = {state.replace(" ", "_"): number for state, number in cursor.fetchall()}
        cursor.execute("SELECT current_setting('max_connections')::integer", [])
        (most,) = cursor.fetchone()
    return states, most
