"""The message table as a queue: claim, record, recover, each by one statement in the database's own time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.db import connection

from messaging.models import Message
from messaging.statuses import Status

# How long a part of a text waits for the others.
PART_SECONDS = 300
LEASE_SECONDS = 90  # longer than the longest timeout of a template, 60 s
WAITING, CLAIMED, DONE = (int(state) for state in Message.Queue)


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this process alone works on while its lease lasts; `fence` tells claims apart."""

    id: int
    fence: int


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a claimed message; `delay` (seconds) is the wait until the next attempt."""

    id: int
    fence: int
    queue_state: int
    status: int
    code: str = ""
    text: str = ""
    delay: float = 0


def claim(limit: int) -> list[Claim]:
    """Takes at most `limit` due messages, oldest first and at most one of each conversation."""
    if limit < 1:
        return []
    postgres = connection.vendor == "postgresql"
    # The window is wider than the limit, so that a burst in one conversation leaves slots to others.
    statement = f"""
        UPDATE messaging_message
        SET queue_state = {CLAIMED}, lease_until = {_later("%s")}, fence = fence + 1, attempts = attempts + 1,
            status = CASE WHEN status < {Status.SENDING:d} THEN {Status.SENDING:d} ELSE status END,
            changed_at = {_now()}
        WHERE queue_state = {WAITING} AND id IN (
            SELECT id FROM (
                SELECT id, ROW_NUMBER() OVER (
                    PARTITION BY conversation_id ORDER BY next_attempt_at, id
                ) AS turn
                FROM (
                    SELECT id, conversation_id, next_attempt_at FROM messaging_message AS due
                    WHERE queue_state = {WAITING} AND next_attempt_at <= {_now()} AND NOT EXISTS (
                        SELECT 1 FROM messaging_message AS busy
                        WHERE busy.conversation_id = due.conversation_id AND busy.queue_state = {CLAIMED}
                    )
                    ORDER BY next_attempt_at, id LIMIT %s {"FOR UPDATE SKIP LOCKED" if postgres else ""}
                ) AS candidates
            ) AS turns WHERE turn = 1 LIMIT %s
        )
        RETURNING id, fence
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [LEASE_SECONDS, limit * 4, limit])
        return [Claim(*row) for row in cursor.fetchall()]


_COLUMNS = {
    "id": "bigint",
    "fence": "integer",
    "queue_state": "integer",
    "status": "integer",
    "code": "text",
    "text": "text",
    "delay": "double precision",
}


def record(changes: Sequence[Change]) -> set[int]:
    """Writes what became of claimed messages; returns the ids of those whose claim still held.

    A status never goes back. A message that stays claimed (more requests to go) gets a new lease.
    """
    if not changes:
        return set()
    statement = f"""
        UPDATE messaging_message AS old
        SET queue_state = new.queue_state,
            status = CASE WHEN new.status > old.status THEN new.status ELSE old.status END,
            status_code = CASE WHEN new.status >= old.status THEN new.code ELSE old.status_code END,
            status_text = CASE WHEN new.status >= old.status THEN new.text ELSE old.status_text END,
            next_attempt_at = {_later("new.delay")},
            lease_until = CASE WHEN new.queue_state = {CLAIMED} THEN {_later("%s")} END,
            changed_at = {_now()}
        FROM {_rows()}
        WHERE old.id = new.id AND old.fence = new.fence AND old.queue_state = {CLAIMED}
        RETURNING old.id
    """  # noqa: S608 (constants)
    if connection.vendor == "sqlite":
        statement = statement.replace("RETURNING old.id", "RETURNING id")
    with connection.cursor() as cursor:
        cursor.execute(statement, [LEASE_SECONDS, json.dumps([asdict(change) for change in changes])])
        return {row[0] for row in cursor.fetchall()}


def advance(changes: Sequence[Change]) -> None:
    """Moves messages forward to the status of a change, whoever works on them; never back.

    One that waits for another attempt is done once its service has it, or has refused it.
    """
    if not changes:
        return
    statement = f"""
        UPDATE messaging_message AS old
        SET status = new.status, status_code = new.code, status_text = new.text, changed_at = {_now()},
            queue_state = CASE
                WHEN old.queue_state = {WAITING} AND new.status >= {Status.SENT:d} THEN {DONE}
                ELSE old.queue_state
            END
        FROM {_rows()}
        WHERE old.id = new.id AND old.status < new.status
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps([asdict(change) for change in changes])])


def abandoned(*, everything: bool) -> list[Claim]:
    """Claims whose lease is over; with `everything` all, for a process that knows it is the only one."""
    condition = "" if everything else f"AND lease_until < {_now()}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, fence FROM messaging_message WHERE queue_state = {CLAIMED} {condition} LIMIT 1000",  # noqa: S608
            [],
        )
        return [Claim(*row) for row in cursor.fetchall()]


def hurry(integration_ids: Sequence[int]) -> None:
    """Has what waits for another attempt through these integrations tried now."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_message SET next_attempt_at = {_now()}
            WHERE queue_state = {WAITING} AND attempts > 0 AND next_attempt_at > {_now()}
            AND conversation_id IN (
                SELECT conversation.id FROM messaging_conversation AS conversation
                JOIN messaging_number AS number ON number.id = conversation.number_id
                WHERE number.integration_id IN ({", ".join(["%s"] * len(integration_ids))})
            )""",  # noqa: S608 (constants)
            list(integration_ids),
        )


def due() -> dict[str, bool]:
    """Which tasks have work, by one indexed query: for the sweep."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT
            EXISTS (SELECT 1 FROM messaging_message
                    WHERE queue_state = {WAITING} AND next_attempt_at <= {_now()}),
            EXISTS (SELECT 1 FROM messaging_message WHERE queue_state = {CLAIMED} AND lease_until < {_now()}),
            EXISTS (SELECT 1 FROM messaging_webhookevent WHERE state = 'waiting')
                OR EXISTS (SELECT 1 FROM messaging_webhookevent
                           WHERE state = 'part' AND created_at < {_later(f"-{PART_SECONDS}")}),
            EXISTS (SELECT 1 FROM messaging_attachment
                    WHERE state = 'waiting' AND next_attempt_at <= {_now()})""",  # noqa: S608 (constants)
            [],
        )
        found = cursor.fetchone()
    return dict(zip(("dispatch", "recover", "file", "fetch_media"), map(bool, found), strict=True))


def _now() -> str:
    if connection.vendor == "postgresql":
        return "statement_timestamp()"
    return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def _later(seconds: str) -> str:
    if connection.vendor == "postgresql":
        return f"(statement_timestamp() + {seconds} * interval '1 second')"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', {seconds} || ' seconds')"


def _rows() -> str:
    """Changes as JSON, one parameter, as the table `new`."""
    if connection.vendor == "postgresql":
        return f"json_to_recordset(%s::json) AS new({', '.join(f'{n} {t}' for n, t in _COLUMNS.items())})"
    fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in _COLUMNS)
    return f"(SELECT {fields} FROM json_each(%s)) AS new"  # noqa: S608 (constants)
