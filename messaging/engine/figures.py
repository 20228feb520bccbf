"""How much waits, and for how long: figures whose cost does not grow with what is stored."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from messaging.engine import due
from messaging.statuses import AttachmentState, EventState, QueueState
from portal.database import sql

# Counting stops here: an index-only scan of a hundred thousand entries takes some milliseconds.
MOST = 100_000
WAITING, CLAIMED = int(QueueState.WAITING), int(QueueState.CLAIMED)


@dataclass(frozen=True, slots=True)
class Figures:
    """The queues at one moment: depths, at most MOST each, and the ages in seconds of what is due longest."""

    depths: dict[str, int]
    ages: dict[str, float]


def read() -> Figures:
    """The figures, by one statement on partial indexes.

    The age of messages leaves out those that a circuit breaker or a question to an administrator holds back;
    that of files begins when the next attempt to fetch one is due.
    """
    depths = {
        "messages": f"messaging_message WHERE queue_state = {WAITING}",
        "in_flight": f"messaging_message WHERE queue_state = {CLAIMED}",
        "events": f"messaging_webhookevent WHERE state = '{EventState.WAITING}'",
        "failed_events": f"messaging_webhookevent WHERE state = '{EventState.FAILED}'",
        "files": f"messaging_attachment WHERE state = '{AttachmentState.WAITING}'",
    }
    ages = {
        "messages": due.oldest(),
        "events": f"""(
            SELECT created_at FROM messaging_webhookevent WHERE state = '{EventState.WAITING}'
            ORDER BY id LIMIT 1
        )""",  # noqa: S608 (constants)
        "files": f"""(
            SELECT MIN(next_attempt_at) FROM messaging_attachment WHERE state = '{AttachmentState.WAITING}'
        )""",  # noqa: S608 (constants)
    }
    columns = [*(_count(rows) for rows in depths.values()), *map(sql.seconds_until, ages.values())]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)}", [])
        row = cursor.fetchone()
    counted, left = row[: len(depths)], row[len(depths) :]
    return Figures(
        dict(zip(depths, counted, strict=True)),
        {name: max(0.0, -(seconds or 0.0)) for name, seconds in zip(ages, left, strict=True)},
    )


def _count(rows: str) -> str:
    return f"(SELECT COUNT(*) FROM (SELECT 1 FROM {rows} LIMIT {MOST}) AS counted)"  # noqa: S608 (constants)
