"""Lanes: what waits for one integration, of one organization, found without reading all that waits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

from messaging.database import sql

# A loose index scan: from each integration that has waiting messages to the next one, whatever their number.
SCAN = """
    WITH RECURSIVE lane (id) AS (
        SELECT MIN(integration_id) FROM messaging_message WHERE queue_state = 0
        UNION ALL
        SELECT (
            SELECT MIN(integration_id) FROM messaging_message
            WHERE queue_state = 0 AND integration_id > lane.id
        )
        FROM lane WHERE lane.id IS NOT NULL
    )
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """An integration with due messages. `probing`: its breaker is open, and one message may try."""

    id: int
    organization: int
    probing: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due message, none of whose conversation is in flight, and whose number is not held back."""

    id: int
    lane: int
    conversation: int
    number: int


def due_exists() -> str:
    """The condition that some lane has work; those whose breaker is open count when their probe is due."""
    return f"""EXISTS (
        {SCAN}
        SELECT 1 FROM lane JOIN integrations_integration AS integration ON integration.id = lane.id
        WHERE {_open_to_work()}
    )"""  # noqa: S608 (constants)


def unrouted_exists() -> str:
    """The condition that something is due that has no service to go through."""
    return f"""EXISTS (
        SELECT 1 FROM messaging_message
        WHERE queue_state = 0 AND integration_id IS NULL AND next_attempt_at <= {sql.now()}
    )"""  # noqa: S608 (constants)


def due() -> tuple[list[Lane], bool]:
    """The lanes with due messages, without those whose breaker is open; and whether some have no service."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""{SCAN}
            SELECT lane.id, integration.organization_id, integration.paused_until IS NOT NULL
            FROM lane JOIN integrations_integration AS integration ON integration.id = lane.id
            WHERE {_open_to_work()}
            UNION ALL SELECT NULL, NULL, NULL WHERE {unrouted_exists()}""",  # noqa: S608 (constants)
            [],
        )
        found = cursor.fetchall()
    lanes = [
        Lane(key, organization, bool(probing)) for key, organization, probing in found if key is not None
    ]
    return lanes, len(lanes) < len(found)


def candidates(lanes: Iterable[Lane], each: int) -> list[Candidate]:
    """At most so many due messages of each of these lanes, the oldest first.

    None of a lane whose breaker has opened or closed since it was looked at.
    """
    # NOT EXISTS would say the same, but PostgreSQL makes it a join that reads it all before the first row.
    due = f"""
        SELECT {{columns}} FROM messaging_message AS message
        WHERE message.queue_state = 0 AND message.integration_id = new.id
        AND message.next_attempt_at <= {sql.now()}
        AND (
            SELECT TRUE FROM messaging_message AS busy
            WHERE busy.conversation_id = message.conversation_id AND busy.queue_state = 1 LIMIT 1
        ) IS NOT TRUE
        AND (
            SELECT TRUE FROM messaging_conversation AS conversation
            JOIN messaging_number AS number ON number.id = conversation.number_id
            WHERE conversation.id = message.conversation_id AND number.free_at > {sql.later("0.1")} LIMIT 1
        ) IS NOT TRUE
        ORDER BY message.next_attempt_at, message.id LIMIT %s
    """  # noqa: S608 (constants)
    if sql.is_postgres():
        own = due.format(columns="message.id, message.conversation_id, message.next_attempt_at")
        source = f"CROSS JOIN LATERAL ({own} FOR UPDATE SKIP LOCKED) AS found"
    else:
        own = due.format(columns="message.id")
        source = f"JOIN messaging_message AS found ON found.id IN ({own})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT found.id, new.id, found.conversation_id, (
                SELECT number_id FROM messaging_conversation AS conversation
                WHERE conversation.id = found.conversation_id
            )
            FROM {sql.rows({"id": "bigint", "probing": "boolean"})}
            JOIN integrations_integration AS integration
            ON integration.id = new.id AND (integration.paused_until IS NOT NULL) = new.probing
            AND (integration.paused_until IS NULL OR integration.paused_until <= {sql.now()})
            {source}
            ORDER BY found.next_attempt_at, found.id""",  # noqa: S608 (constants)
            [sql.dump([{"id": lane.id, "probing": lane.probing} for lane in lanes]), each],
        )
        return [Candidate(*row) for row in cursor.fetchall()]


def _open_to_work() -> str:
    return f"""(integration.paused_until IS NULL OR integration.paused_until <= {sql.now()})
        AND EXISTS (
            SELECT 1 FROM messaging_message
            WHERE queue_state = 0 AND integration_id = lane.id AND next_attempt_at <= {sql.now()}
        )"""  # noqa: S608 (constants)
