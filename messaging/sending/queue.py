"""The message table as a queue: what becomes of messages, by statements in the database's own time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from messaging.database import sql
from messaging.models import Message
from messaging.sending import lanes
from messaging.statuses import Status

# How long a part of a text waits for the others.
PART_SECONDS = 300
WAITING, CLAIMED, DONE = (int(state) for state in Message.Queue)


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this process alone works on while its lease lasts; `fence` tells claims apart.

    `lane` is the integration that it goes through; `probing`: it tries whether that one works again.
    """

    id: int
    fence: int
    lane: int | None = None
    probing: bool = False


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


_COLUMNS = {
    "id": "bigint",
    "fence": "integer",
    "queue_state": "integer",
    "status": "integer",
    "code": "text",
    "text": "text",
    "delay": "double precision",
}


def _row(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in _COLUMNS}


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
            next_attempt_at = {sql.later("new.delay")},
            lease_until = CASE WHEN new.queue_state = {CLAIMED} THEN {sql.later("%s")} END,
            changed_at = {sql.now()}
        FROM {sql.rows(_COLUMNS)}
        WHERE old.id = new.id AND old.fence = new.fence AND old.queue_state = {CLAIMED}
        RETURNING old.id
    """  # noqa: S608 (constants)
    if not sql.is_postgres():
        statement = statement.replace("RETURNING old.id", "RETURNING id")
    with connection.cursor() as cursor:
        cursor.execute(statement, [settings.LEASE_SECONDS, sql.dump([_row(change) for change in changes])])
        return {row[0] for row in cursor.fetchall()}


def advance(changes: Sequence[Change]) -> None:
    """Moves messages forward to the status of a change, whoever works on them; never back.

    One that waits for another attempt is done once its service has it, or has refused it.
    """
    if not changes:
        return
    statement = f"""
        UPDATE messaging_message AS old
        SET status = new.status, status_code = new.code, status_text = new.text, changed_at = {sql.now()},
            queue_state = CASE
                WHEN old.queue_state = {WAITING} AND new.status >= {Status.SENT:d} THEN {DONE}
                ELSE old.queue_state
            END
        FROM {sql.rows(_COLUMNS)}
        WHERE old.id = new.id AND old.status < new.status
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.dump([_row(change) for change in changes])])


def abandoned(*, everything: bool) -> list[Claim]:
    """Claims whose lease is over; with `everything` all, for a process that knows it is the only one."""
    condition = "" if everything else f"AND lease_until < {sql.now()}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, fence FROM messaging_message WHERE queue_state = {CLAIMED} {condition} LIMIT 1000",  # noqa: S608
            [],
        )
        return [Claim(*row) for row in cursor.fetchall()]


def hurry(integration_ids: Sequence[int]) -> None:
    """Has what waits for another attempt through these integrations tried now."""
    if not integration_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_message SET next_attempt_at = {sql.now()}
            WHERE queue_state = {WAITING} AND attempts > 0 AND next_attempt_at > {sql.now()}
            AND {sql.among("integration_id")}""",  # noqa: S608 (constants)
            [sql.array(integration_ids)],
        )


def refuse_unrouted(reason: str) -> None:
    """Ends what is due and has no service to go through."""
    _refuse(reason, "integration_id IS NULL AND next_attempt_at <=")


def expire(integration_ids: Sequence[int], reason: str) -> None:
    """Ends what has expired while it waited for these integrations."""
    if integration_ids:
        _refuse(reason, f"{sql.among('integration_id')} AND expires_at <=", sql.array(integration_ids))


def _refuse(reason: str, condition: str, *parameters: list[Any] | str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_message
            SET queue_state = {DONE}, status = {Status.FAILED:d}, status_code = '', status_text = %s,
                changed_at = {sql.now()}
            WHERE queue_state = {WAITING} AND status < {Status.FAILED:d} AND {condition} {sql.now()}""",  # noqa: S608
            [reason, *parameters],
        )


def due() -> dict[str, bool]:
    """Which tasks have work, by one indexed query: for the sweep."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT
            {lanes.due_exists()} OR {lanes.unrouted_exists()},
            EXISTS (SELECT 1 FROM messaging_message
                    WHERE queue_state = {CLAIMED} AND lease_until < {sql.now()}),
            EXISTS (SELECT 1 FROM messaging_webhookevent WHERE state = 'waiting')
                OR EXISTS (SELECT 1 FROM messaging_webhookevent
                           WHERE state = 'part' AND created_at < {sql.later(f"-{PART_SECONDS}")}),
            EXISTS (SELECT 1 FROM messaging_attachment
                    WHERE state = 'waiting' AND next_attempt_at <= {sql.now()}),
            EXISTS (SELECT 1 FROM integrations_integration WHERE tell_at <= {sql.now()}),
            EXISTS (SELECT 1 FROM messaging_bulkresend WHERE finished_at IS NULL)""",  # noqa: S608 (constants)
            [],
        )
        found = cursor.fetchone()
    tasks = ("dispatch", "recover", "file", "fetch_media", "tell_admins", "resend")
    return dict(zip(tasks, map(bool, found), strict=True))
