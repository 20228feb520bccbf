"""The outbox: submissions are looked up and become messages, many in as few statements as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from messaging.engine import senders
from messaging.engine.attempts import time_of
from messaging.errors import Refused
from messaging.models import Attachment, Message, Number
from messaging.statuses import Direction, QueueState, Status
from portal.database import sql
from portal.models import User


@dataclass(frozen=True, slots=True)
class Submission:
    """A text with files for a contact, not stored yet; what needs no database has been checked.

    A `trusted` one is sent whether or not its author, if it has one, is among the number's users. Without
    `send_at` it is sent at once. With `members` it is for the group of these, which may be begun by it.
    """

    uuid: UUID
    author: User | None
    number: Number
    address: str
    text: str
    attachments: Sequence[Attachment] = ()
    resend_of: Message | None = None
    trusted: bool = False
    send_at: datetime | None = None
    members: tuple[str, ...] = ()


class Submitted(NamedTuple):
    """A committed message: its key, the contact's address, and the message itself if it existed before."""

    key: int
    address: str
    before: Message | None = None

    @property
    def message(self) -> Message:
        """The message, which is read now if it is new."""
        return self.before or Message.objects.get(pk=self.key)


class Facts(NamedTuple):
    """What the tables say about a submission."""

    before: bool | None = None  # a message with this uuid exists
    may: bool = False
    integration: int | None = None
    enabled: bool | None = None
    organization: int = 0
    opted_out: bool | None = None
    sticky: bool = False
    conversation: int | None = None


_UNKNOWN = Facts()


@dataclass(slots=True)
class Entry:
    """A submission and its result; `begins`: its conversation was created for it."""

    submission: Submission
    facts: Facts = _UNKNOWN
    begins: bool = False
    result: Submitted | Refused | None = None


_ASKED = {
    "place": "integer",
    "uuid": "uuid",
    "author": "bigint",
    "number": "bigint",
    "address": "text",
    "trusted": "boolean",
}


def _asked(entries: Sequence[Entry]) -> str:
    return sql.dump(
        [
            {
                "place": place,
                "uuid": sql.uuid(given.uuid),
                "author": given.author and given.author.pk,
                "number": given.number.pk,
                "address": given.address,
                "trusted": given.trusted,
            }
            for place, given in enumerate(entry.submission for entry in entries)
        ]
    )


def look_up(entries: Sequence[Entry]) -> None:
    """Reads the facts about the submissions, in one statement."""
    # With LIMIT each subquery is one index look-up; for EXISTS and joins PostgreSQL may read whole tables.
    permitted, parameters = senders.permitted()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT new.place,
                (SELECT TRUE FROM messaging_message WHERE messaging_message.uuid = new.uuid LIMIT 1),
                number.active AND (new.trusted OR (
                    SELECT TRUE FROM ({permitted}) AS permitted
                    WHERE permitted.number_id = number.id AND permitted.user_id = new.author LIMIT 1
                ) IS NOT NULL),
                number.integration_id, integration.enabled, number.organization_id,
                (
                    SELECT TRUE FROM messaging_optout AS optout
                    WHERE optout.number_id = number.id AND optout.address = new.address LIMIT 1
                ),
                number.sticky_hours > 0 OR {_of_conversation("private_to_id")} IS NOT NULL,
                {_of_conversation("id")}
            FROM {sql.rows(_ASKED)}
            JOIN messaging_number AS number ON number.id = new.number
            LEFT JOIN integrations_integration AS integration
                ON integration.id = number.integration_id""",  # noqa: S608 (constants)
            [*parameters, _asked(entries)],
        )
        for place, *found in cursor.fetchall():
            entries[place].facts = Facts(*found)


def _of_conversation(column: str) -> str:
    return f"""(
        SELECT conversation.{column} FROM messaging_contact AS contact
        JOIN messaging_conversation AS conversation
            ON conversation.contact_id = contact.id AND conversation.number_id = number.id
        WHERE contact.organization_id = number.organization_id AND contact.address = new.address LIMIT 1
    )"""  # noqa: S608 (constants)


def begin(entries: Sequence[Entry]) -> None:
    """Creates the missing conversations, in one order everywhere: others may create the same ones."""
    if not entries:
        return
    source = f"FROM {sql.rows(_ASKED)} JOIN messaging_number AS number ON number.id = new.number"
    asked = _asked(entries)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO messaging_contact (organization_id, address, name)
            SELECT DISTINCT number.organization_id, new.address, '' {source} WHERE TRUE
            ORDER BY number.organization_id, new.address ON CONFLICT DO NOTHING""",
            [asked],
        )
        cursor.execute(
            f"""INSERT INTO messaging_conversation (organization_id, number_id, contact_id)
            SELECT DISTINCT number.organization_id, number.id, contact.id {source}
            JOIN messaging_contact AS contact
                ON contact.organization_id = number.organization_id AND contact.address = new.address
            WHERE TRUE ORDER BY number.id, contact.id ON CONFLICT DO NOTHING RETURNING id""",
            [asked],
        )
        begun = {key for (key,) in cursor.fetchall()}
    look_up(entries)
    for entry in entries:
        entry.begins = entry.facts.conversation in begun


_MADE = {
    "uuid": "uuid",
    "organization_id": "bigint",
    "conversation_id": "bigint",
    "integration_id": "bigint",
    "author_id": "bigint",
    "text": "text",
    "automatic": "text",
    "resend_of_id": "bigint",
    "send_at": "timestamptz",
}


def insert(entries: Sequence[Entry]) -> None:
    """Inserts the messages, without those whose uuid or origin somebody else has used at the same time."""
    if not entries:
        return
    made = {entry.submission.uuid: entry for entry in entries}
    columns = ", ".join(_MADE)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO messaging_message ({columns}, direction, status, status_code, status_text,
                queue_state, attempts, fence, next_attempt_at, expires_at)
            SELECT {columns}, '{Direction.OUT}', {Status.QUEUED:d}, '', '', {QueueState.WAITING:d}, 0, 0,
                COALESCE(new.send_at, {sql.now()}), COALESCE(new.until, {sql.later("%s")})
            FROM {sql.rows(_MADE | {"until": "timestamptz"})} WHERE TRUE ON CONFLICT DO NOTHING
            RETURNING uuid, id, conversation_id""",  # noqa: S608 (constants)
            [settings.MESSAGE_EXPIRY.total_seconds(), sql.dump([_row(entry) for entry in made.values()])],
        )
        rows = cursor.fetchall()
    attachments: list[Attachment] = []
    last: dict[int, int] = {}
    for uuid, key, conversation in rows:
        entry = made[sql.uuid_of(uuid)]
        entry.result = Submitted(key, entry.submission.address)
        last[conversation] = max(key, last.get(conversation, 0))
        for position, attachment in enumerate(entry.submission.attachments):
            attachment.message_id, attachment.position = key, position
            attachments.append(attachment)
    Attachment.objects.bulk_create(attachments)
    _touch(last)


def _row(entry: Entry) -> dict[str, Any]:
    given, origin = entry.submission, entry.submission.resend_of
    return {
        "uuid": sql.uuid(given.uuid),
        "organization_id": entry.facts.organization,
        "conversation_id": entry.facts.conversation,
        "integration_id": entry.facts.integration,
        "author_id": given.author and given.author.pk,
        "text": given.text,
        "automatic": origin.automatic if origin else "",
        "resend_of_id": origin and origin.pk,
        "send_at": given.send_at and time_of(given.send_at),
        "until": given.send_at and time_of(given.send_at + settings.MESSAGE_EXPIRY),
    }


def _touch(last: dict[int, int]) -> None:
    """Moves conversations to the top with their last message; locks them in order before it writes them."""
    if not last:
        return
    lock = sql.for_update("conversation", share_key=True)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH locked AS (
                SELECT conversation.id, new.message FROM {sql.rows({"id": "bigint", "message": "bigint"})}
                JOIN messaging_conversation AS conversation ON conversation.id = new.id
                ORDER BY conversation.id {lock}
            )
            UPDATE messaging_conversation AS old SET last_at = {sql.now()}, last_message_id = CASE
                WHEN old.last_message_id > locked.message THEN old.last_message_id ELSE locked.message
            END
            FROM locked WHERE old.id = locked.id""",  # noqa: S608 (constants)
            [sql.dump([{"id": key, "message": message} for key, message in last.items()])],
        )
