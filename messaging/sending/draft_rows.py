"""Drafts in the tables: what is known of them, and what is made of them, many in as few statements as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from messaging.database import sql
from messaging.errors import Refused
from messaging.models import Attachment, Message, Number
from messaging.querysets import MAY_SEND
from messaging.statuses import Status
from portal.models import User


@dataclass(frozen=True, slots=True)
class Draft:
    """A text with files for a contact, not stored yet; all that needs no database was looked at.

    A `trusted` one is sent whether or not its author, if it has one, is among the number's users.
    """

    uuid: UUID
    author: User | None
    number: Number
    address: str
    text: str
    attachments: Sequence[Attachment] = ()
    resend_of: Message | None = None
    trusted: bool = False


class Stored(NamedTuple):
    """A committed message: its key, and the message itself if it was there before, not made now."""

    key: int
    before: Message | None = None

    @property
    def message(self) -> Message:
        """The message. One that was made now is read, which who needs no more than its uuid is spared."""
        return self.before or Message.objects.get(pk=self.key)


class Known(NamedTuple):
    """What the tables say of a draft."""

    before: bool | None = None  # there is a message of this uuid
    may: bool = False
    integration: int | None = None
    enabled: bool | None = None
    organization: int = 0
    opted_out: bool | None = None
    sticky: bool = False
    conversation: int | None = None


UNKNOWN = Known()


@dataclass(slots=True)
class Entry:
    """A draft and what comes of it; `begins`: its conversation was made for it."""

    draft: Draft
    known: Known = UNKNOWN
    begins: bool = False
    result: Stored | Refused | None = None


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
                "uuid": sql.uuid(draft.uuid),
                "author": draft.author and draft.author.pk,
                "number": draft.number.pk,
                "address": draft.address,
                "trusted": draft.trusted,
            }
            for place, draft in enumerate(entry.draft for entry in entries)
        ]
    )


def look_up(entries: Sequence[Entry]) -> None:
    """Asks the tables what they say of the drafts, in one statement."""
    # With LIMIT each look is one into an index; for EXISTS and joins PostgreSQL may read a whole table.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT new.place,
                (SELECT TRUE FROM messaging_message WHERE messaging_message.uuid = new.uuid LIMIT 1),
                number.active AND (new.trusted OR {MAY_SEND}),
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
            [_asked(entries)],
        )
        for place, *found in cursor.fetchall():
            entries[place].known = Known(*found)


def _of_conversation(column: str) -> str:
    return f"""(
        SELECT conversation.{column} FROM messaging_contact AS contact
        JOIN messaging_conversation AS conversation
            ON conversation.contact_id = contact.id AND conversation.number_id = number.id
        WHERE contact.organization_id = number.organization_id AND contact.address = new.address LIMIT 1
    )"""  # noqa: S608 (constants)


def begin(entries: Sequence[Entry]) -> None:
    """Makes the conversations that are missing, in one order everywhere: others may make the same ones."""
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
        entry.begins = entry.known.conversation in begun


_MADE = {
    "uuid": "uuid",
    "organization_id": "bigint",
    "conversation_id": "bigint",
    "integration_id": "bigint",
    "author_id": "bigint",
    "text": "text",
    "automatic": "text",
    "resend_of_id": "bigint",
}


def insert(entries: Sequence[Entry]) -> None:
    """Inserts the messages, without those whose uuid or origin somebody has used at the same moment."""
    if not entries:
        return
    made = {entry.draft.uuid: entry for entry in entries}
    columns = ", ".join(_MADE)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO messaging_message ({columns}, direction, status, status_code, status_text,
                queue_state, attempts, fence, expires_at)
            SELECT {columns}, 'out', {Status.QUEUED:d}, '', '', {Message.Queue.WAITING:d}, 0, 0,
                {sql.later("%s")}
            FROM {sql.rows(_MADE)} WHERE TRUE ON CONFLICT DO NOTHING
            RETURNING uuid, id, conversation_id""",  # noqa: S608 (constants)
            [settings.MESSAGE_EXPIRY.total_seconds(), sql.dump([_row(entry) for entry in made.values()])],
        )
        rows = cursor.fetchall()
    attachments: list[Attachment] = []
    last: dict[int, int] = {}
    for uuid, key, conversation in rows:
        entry = made[sql.uuid_of(uuid)]
        entry.result = Stored(key)
        last[conversation] = max(key, last.get(conversation, 0))
        for position, attachment in enumerate(entry.draft.attachments):
            attachment.message_id, attachment.position = key, position
            attachments.append(attachment)
    Attachment.objects.bulk_create(attachments)
    _touch(last)


def _row(entry: Entry) -> dict[str, Any]:
    draft, origin = entry.draft, entry.draft.resend_of
    return {
        "uuid": sql.uuid(draft.uuid),
        "organization_id": entry.known.organization,
        "conversation_id": entry.known.conversation,
        "integration_id": entry.known.integration,
        "author_id": draft.author and draft.author.pk,
        "text": draft.text,
        "automatic": origin.automatic if origin else "",
        "resend_of_id": origin and origin.pk,
    }


def _touch(last: dict[int, int]) -> None:
    """Puts conversations on top with their last message, each locked before it is written, in order."""
    if not last:
        return
    lock = "FOR NO KEY UPDATE OF conversation" if sql.is_postgres() else ""
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
