"""The table of messages as a queue: statements that move messages on, in the database's own time.

Those that may give a message another status also say whether a receiver wants to be told of it, and note it
in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from messaging.receivers import outbox
from messaging.statuses import Direction, QueueState, Status
from portal.database import sql

WAITING, CLAIMED, DONE = (int(state) for state in QueueState)


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this process alone works on while its lease lasts; `fence` tells claims apart.

    `integration` is the key of the one that it goes through; `probing`: it tests whether that works again.
    """

    id: int
    fence: int
    integration: int | None = None
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The next state of a claimed message; `delay` is the number of seconds until the next attempt."""

    id: int
    fence: int
    queue_state: int
    status: int
    code: str = ""
    text: str = ""
    delay: float = 0


_COLUMNS = {
    "message": "bigint",
    "claim": "integer",
    "queue_state": "integer",
    "status": "integer",
    "code": "text",
    "text": "text",
    "delay": "double precision",
}

# SQLite knows no alias here; the column is the message's. The subquery is evaluated once for all rows.
_CHANGED = """RETURNING id, organization_id IN (
    SELECT receiver.organization_id FROM messaging_receiver AS receiver
    WHERE receiver.statuses AND receiver.enabled AND receiver.organization_id IS NOT NULL
)"""


def _row(change: Change) -> dict[str, Any]:
    return {
        "message": change.id,
        "claim": change.fence,
        "queue_state": change.queue_state,
        "status": change.status,
        "code": change.code,
        "text": change.text,
        "delay": change.delay,
    }


def _changed(statement: str, parameters: list[Any]) -> set[int]:
    """Runs a statement that ends with `_CHANGED`; returns the ids of the messages that it has changed."""
    with transaction.atomic(savepoint=False):
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            found = cursor.fetchall()
        outbox.note_statuses([key for key, told in found if told])
    return {key for key, _told in found}


def record(changes: Sequence[Change]) -> set[int]:
    """Writes the next states of claimed messages; returns the ids of those whose claim was still valid.

    A status never goes back. A message that stays claimed, with more requests to send, gets a new lease.
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
        WHERE old.id = new.message AND old.fence = new.claim AND old.queue_state = {CLAIMED}
        {_CHANGED}
    """  # noqa: S608 (constants)
    return _changed(statement, [settings.LEASE_SECONDS, sql.dump([_row(change) for change in changes])])


def advance(changes: Sequence[Change]) -> None:
    """Moves messages forward to the status of a change, never back, whichever process has claimed them.

    One that waits for another attempt is done once its provider has accepted or refused it.
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
        WHERE old.id = new.message AND old.status < new.status
        {_CHANGED}
    """  # noqa: S608 (constants)
    _changed(statement, [sql.dump([_row(change) for change in changes])])


def cancel(key: int, reason: str) -> bool:
    """Takes a message out of the queue that no process has ever claimed; whether there was such a one.

    A claim is an UPDATE under the same condition: of the two, whichever comes second finds nothing.
    """
    statement = f"""
        UPDATE messaging_message
        SET queue_state = {DONE}, status = {Status.CANCELED:d}, status_code = '', status_text = %s,
            changed_at = {sql.now()}
        WHERE id = %s AND queue_state = {WAITING} AND attempts = 0 AND direction = '{Direction.OUT}'
        {_CHANGED}
    """  # noqa: S608 (constants)
    return bool(_changed(statement, [reason, key]))


def reschedule(key: int, send_at: str, expires_at: str) -> bool:
    """Changes when a message is sent; whether it was still one that waits for its time.

    The times are as `attempts.time_of` writes them.
    """
    statement = f"""
        UPDATE messaging_message
        SET send_at = new.send_at, next_attempt_at = new.send_at, expires_at = new.expires_at,
            changed_at = {sql.now()}
        FROM {sql.rows({"send_at": "timestamptz", "expires_at": "timestamptz"})}
        WHERE messaging_message.id = %s AND queue_state = {WAITING} AND attempts = 0
            AND direction = '{Direction.OUT}' AND messaging_message.send_at > {sql.now()}
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.dump([{"send_at": send_at, "expires_at": expires_at}]), key])
        return bool(cursor.rowcount == 1)


def abandoned(*, everything: bool) -> list[Claim]:
    """Claims whose lease has expired; with `everything` all, for a process that knows it is the only one."""
    condition = "" if everything else f"AND lease_until < {sql.now()}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, fence FROM messaging_message WHERE queue_state = {CLAIMED} {condition} LIMIT 1000",  # noqa: S608
            [],
        )
        return [Claim(*row) for row in cursor.fetchall()]


def retry_now(integration_ids: Sequence[int]) -> None:
    """Makes messages due that wait for another attempt through these integrations."""
    if not integration_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_message SET next_attempt_at = {sql.now()}
            WHERE queue_state = {WAITING} AND attempts > 0 AND next_attempt_at > {sql.now()}
            AND {sql.among("integration_id")}""",  # noqa: S608 (constants)
            [sql.array(integration_ids)],
        )


def fail_without_integration(reason: str) -> None:
    """Fails the due messages that have no integration to go through."""
    _fail(reason, "integration_id IS NULL AND next_attempt_at <=")


def expire(integration_ids: Sequence[int], reason: str) -> None:
    """Fails the messages that have expired while they waited for these integrations."""
    if integration_ids:
        _fail(reason, f"{sql.among('integration_id')} AND expires_at <=", sql.array(integration_ids))


def _fail(reason: str, condition: str, *parameters: list[Any] | str) -> None:
    statement = f"""
        UPDATE messaging_message
        SET queue_state = {DONE}, status = {Status.FAILED:d}, status_code = '', status_text = %s,
            changed_at = {sql.now()}
        WHERE queue_state = {WAITING} AND status < {Status.FAILED:d} AND {condition} {sql.now()}
        {_CHANGED}
    """  # noqa: S608 (constants)
    _changed(statement, [reason, *parameters])
