"""The table of outgoing events as a queue: what is due, claims under a lease, and results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models.functions import Now

from messaging.models import OutgoingEvent
from portal.database import sql

LEASE_SECONDS = 60  # longer than a request may take, with what is done before and after it

# A loose index scan: from each receiver that has waiting events to the next one, however many those are.
_WAITING = """
    WITH RECURSIVE waiting (id) AS (
        SELECT MIN(receiver_id) FROM messaging_outgoingevent WHERE due_at IS NOT NULL
        UNION ALL
        SELECT (
            SELECT MIN(receiver_id) FROM messaging_outgoingevent
            WHERE due_at IS NOT NULL AND receiver_id > waiting.id
        )
        FROM waiting WHERE waiting.id IS NOT NULL
    )
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of an attempt; `delay` is the seconds until the next one, None: there is none."""

    event: OutgoingEvent
    delivered: bool
    delay: float | None
    status: int | None
    problem: str


def exists() -> str:
    """The condition that some event can be sent now."""
    return f"EXISTS ({_WAITING} SELECT 1 {_ready()})"


def ready() -> dict[int, bool]:
    """The receivers to which events can be sent now; and of each whether its last one has failed."""
    statement = f"{_WAITING} SELECT receiver.id, receiver.failures > 0 {_ready()}"
    with connection.cursor() as cursor:
        cursor.execute(statement, [])
        return {key: bool(failing) for key, failing in cursor.fetchall()}


def claim(receivers: Iterable[int], each: int) -> list[OutgoingEvent]:
    """Takes up to `each` due events of each of these receivers, the longest due first, under a lease."""
    found = sql.join_found(
        "messaging_outgoingevent",
        "event.id, event.due_at",
        f"""FROM messaging_outgoingevent AS event
        WHERE event.receiver_id = given.value AND event.due_at <= {sql.now()}
        ORDER BY event.due_at, event.id LIMIT %s""",
    )
    statement = f"""
        WITH picked AS MATERIALIZED (SELECT found.id FROM {sql.each()} {found})
        UPDATE messaging_outgoingevent
        SET due_at = {sql.later("%s")}, attempts = attempts + 1, tried_at = {sql.now()}
        WHERE id IN (SELECT id FROM picked) AND due_at <= {sql.now()}
        RETURNING id
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.array(receivers), each, LEASE_SECONDS])
        keys = [key for (key,) in cursor.fetchall()]
    rows = OutgoingEvent.objects.filter(pk__in=keys).select_related("receiver")
    return list(rows.order_by("pk")) if keys else []


def release() -> None:
    """Makes due what a process that has died had; to be called when there is no other process."""
    OutgoingEvent.objects.filter(due_at__isnull=False).update(due_at=Now())


def record(changes: Sequence[Change]) -> None:
    """Writes what has become of attempts, but of those alone whose claim is still the last one."""
    columns = {
        "event": "bigint",
        "claim": "integer",
        "delivered": "integer",
        "delay": "double precision",
        "status": "integer",
        "problem": "text",
    }
    statement = f"""
        UPDATE messaging_outgoingevent AS old
        SET due_at = CASE WHEN new.delay IS NOT NULL THEN {sql.later("new.delay")} END,
            delivered_at = CASE WHEN new.delivered = 1 THEN {sql.now()} END,
            status = new.status, problem = new.problem
        FROM {sql.rows(columns)}
        WHERE old.id = new.event AND old.attempts = new.claim AND old.due_at IS NOT NULL
    """  # noqa: S608 (constants)
    rows = [
        {
            "event": change.event.pk,
            "claim": change.event.attempts,
            "delivered": int(change.delivered),
            "delay": change.delay,
            "status": change.status,
            "problem": change.problem[:500],
        }
        for change in changes
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.dump(rows)])


def _ready() -> str:
    return f"""FROM waiting JOIN messaging_receiver AS receiver ON receiver.id = waiting.id
        WHERE receiver.enabled AND (receiver.paused_until IS NULL OR receiver.paused_until <= {sql.now()})
        AND EXISTS (
            SELECT 1 FROM messaging_outgoingevent AS event
            WHERE event.receiver_id = waiting.id AND event.due_at <= {sql.now()}
        )"""  # noqa: S608 (constants)
