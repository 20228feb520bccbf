"""Which messages are due: found by integration, without reading all that wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from django.db import connection

from messaging.statuses import EventState, QueueState
from portal.database import sql

WAITING, CLAIMED = int(QueueState.WAITING), int(QueueState.CLAIMED)
_LOOKED_AT = 20

# A loose index scan: from each integration that has waiting messages to the next one, however many they have.
_INTEGRATIONS = f"""
    WITH RECURSIVE waiting (id) AS (
        SELECT MIN(integration_id) FROM messaging_message WHERE queue_state = {WAITING}
        UNION ALL
        SELECT (
            SELECT MIN(integration_id) FROM messaging_message
            WHERE queue_state = {WAITING} AND integration_id > waiting.id
        )
        FROM waiting WHERE waiting.id IS NOT NULL
    )
"""  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True)
class DueIntegration:
    """An integration with due messages. `probing`: its circuit breaker is open, and one message may probe."""

    id: int
    organization: int
    probing: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due message. No other of its conversation is in flight, and its number may send."""

    id: int
    integration: int
    conversation: int
    number: int


def exists() -> str:
    """The condition that some message is due; behind an open circuit breaker only when a probe is due."""
    return f"""(
        EXISTS (
            {_INTEGRATIONS}
            SELECT 1 FROM waiting JOIN integrations_integration AS integration ON integration.id = waiting.id
            WHERE {_may_send()}
        )
        OR {_without_integration()}
    )"""  # noqa: S608 (constants)


def integrations() -> tuple[list[DueIntegration], bool]:
    """The integrations with due messages that may send; and whether messages without integration are due."""
    with connection.cursor() as cursor:
        cursor.execute(_integrations_statement(), [])
        found = cursor.fetchall()
    due = [
        DueIntegration(key, organization, bool(probing))
        for key, organization, probing in found
        if key is not None
    ]
    return due, len(due) < len(found)


def candidates(due: Iterable[DueIntegration], each: int) -> list[Candidate]:
    """Up to `each` due messages of each of these integrations, the oldest first.

    None of an integration whose circuit breaker has opened or closed since `due` was read.
    """
    parameter = sql.dump([{"id": item.id, "probing": item.probing} for item in due])
    with connection.cursor() as cursor:
        cursor.execute(_candidates_statement(), [parameter, each])
        return [Candidate(*row) for row in cursor.fetchall()]


@cache
def _integrations_statement() -> str:
    return f"""{_INTEGRATIONS}
        SELECT waiting.id, integration.organization_id, integration.paused_until IS NOT NULL
        FROM waiting JOIN integrations_integration AS integration ON integration.id = waiting.id
        WHERE {_may_send()}
        UNION ALL SELECT NULL, NULL, NULL WHERE {_without_integration()}"""  # noqa: S608 (constants)


@cache
def _candidates_statement() -> str:
    # NOT EXISTS would say the same, but PostgreSQL makes it a join that reads all before the first row.
    found = sql.join_found(
        "messaging_message",
        "message.id, message.conversation_id, message.next_attempt_at",
        f"""FROM messaging_message AS message
        WHERE message.queue_state = {WAITING} AND message.integration_id = new.id
        AND message.next_attempt_at <= {sql.now()}
        AND (
            SELECT TRUE FROM messaging_message AS busy
            WHERE busy.conversation_id = message.conversation_id AND busy.queue_state = {CLAIMED} LIMIT 1
        ) IS NOT TRUE
        AND (
            SELECT TRUE FROM messaging_conversation AS conversation
            JOIN messaging_number AS number ON number.id = conversation.number_id
            WHERE conversation.id = message.conversation_id AND number.free_at > {sql.later("0.1")} LIMIT 1
        ) IS NOT TRUE
        ORDER BY message.next_attempt_at, message.id LIMIT %s""",  # noqa: S608 (constants)
    )
    return f"""
        SELECT found.id, new.id, found.conversation_id, (
            SELECT number_id FROM messaging_conversation AS conversation
            WHERE conversation.id = found.conversation_id
        )
        FROM {sql.rows({"id": "bigint", "probing": "boolean"})}
        JOIN integrations_integration AS integration
        ON integration.id = new.id AND (integration.paused_until IS NOT NULL) = new.probing
        AND (integration.paused_until IS NULL OR integration.paused_until <= {sql.now()})
        {found}
        ORDER BY found.next_attempt_at, found.id"""  # noqa: S608 (constants)


def _may_send() -> str:
    return f"""NOT integration.holds_messages
        AND (integration.paused_until IS NULL OR integration.paused_until <= {sql.now()})
        AND EXISTS (
            SELECT 1 FROM messaging_message
            WHERE queue_state = {WAITING} AND integration_id = waiting.id AND next_attempt_at <= {sql.now()}
        )"""  # noqa: S608 (constants)


def _without_integration() -> str:
    return f"""EXISTS (
        SELECT 1 FROM messaging_message
        WHERE queue_state = {WAITING} AND integration_id IS NULL AND next_attempt_at <= {sql.now()}
    )"""  # noqa: S608 (constants)


def oldest() -> str:
    """The time since which the message is due that has waited longest, and that nothing holds back."""
    return f"""(
        SELECT MIN(since) FROM (
            SELECT * FROM (
                {_INTEGRATIONS}
                SELECT (
                    SELECT MIN(next_attempt_at) FROM messaging_message
                    WHERE queue_state = {WAITING} AND integration_id = waiting.id
                ) AS since
                FROM waiting JOIN integrations_integration AS integration ON integration.id = waiting.id
                WHERE NOT integration.holds_messages AND integration.paused_until IS NULL
            ) AS of_integrations
            UNION ALL
            SELECT MIN(next_attempt_at) FROM messaging_message
            WHERE queue_state = {WAITING} AND integration_id IS NULL
        ) AS found
    )"""  # noqa: S608 (constants)


def nobody_takes(seconds: int) -> tuple[bool, bool]:
    """Whether messages, and whether webhook events, are due for `seconds` although nothing holds them back.

    Circuit breakers, rate limits and questions to administrators hold messages back. While any message is in
    flight or has been sent a moment ago, a worker works, and a long queue is only long.
    """
    since = sql.later(f"-{seconds}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT
            (
                EXISTS (
                    {_INTEGRATIONS}
                    SELECT 1 FROM waiting
                    JOIN integrations_integration AS integration ON integration.id = waiting.id
                    JOIN portal_organization AS organization ON organization.id = integration.organization_id
                    WHERE NOT integration.holds_messages
                    AND (integration.paused_until IS NULL OR integration.paused_until <= {since})
                    AND NOT EXISTS (
                        SELECT 1 FROM integrations_propertyvalues AS credentials
                        WHERE credentials.free_at > {since} AND (
                            credentials.integration_id = integration.id
                            OR credentials.account_id = organization.account_id
                            AND credentials.template_id = integration.template_id
                        )
                    )
                    AND EXISTS (
                        SELECT 1 FROM (
                            SELECT conversation_id FROM messaging_message
                            WHERE queue_state = {WAITING} AND integration_id = waiting.id
                            AND next_attempt_at <= {since}
                            ORDER BY next_attempt_at, id LIMIT {_LOOKED_AT}
                        ) AS oldest
                        JOIN messaging_conversation AS conversation
                            ON conversation.id = oldest.conversation_id
                        JOIN messaging_number AS number ON number.id = conversation.number_id
                        WHERE number.free_at IS NULL OR number.free_at <= {since}
                    )
                )
                OR EXISTS (
                    SELECT 1 FROM messaging_message
                    WHERE queue_state = {WAITING} AND integration_id IS NULL AND next_attempt_at <= {since}
                )
            )
            AND NOT EXISTS (
                SELECT 1 FROM messaging_message WHERE queue_state = {CLAIMED} AND lease_until > {sql.now()}
            )
            AND NOT EXISTS (SELECT 1 FROM messaging_deliveryattempt WHERE started_at > {since}),
            COALESCE(
                (
                    SELECT created_at FROM messaging_webhookevent WHERE state = '{EventState.WAITING}'
                    ORDER BY id LIMIT 1
                ) <= {since},
                FALSE
            )""",  # noqa: S608 (constants)
            [],
        )
        messages, events = cursor.fetchone()
    return bool(messages), bool(events)
