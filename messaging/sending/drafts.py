"""Out, first step: what people wrote at one moment becomes messages in one transaction.

It takes the same number of statements however many drafts there are. The tables have the last word: who may
send through a number, who has opted out, and what was sent before are asked for in the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from messaging import wake
from messaging.database import bulk, sql
from messaging.database.group_commit import GroupCommit
from messaging.errors import Refused
from messaging.models import Attachment, Conversation, Message, Number
from messaging.querysets import MAY_SEND
from messaging.rules import sticky
from messaging.sending.limits import Room
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


def store(draft: Draft) -> Stored:
    """The draft as a message. Raises Refused; then nothing is stored.

    One whose uuid the author used before, or that resends what was resent before, gives the message of then.
    """
    return _unless_refused(commits.put(draft))


async def store_soon(draft: Draft) -> Stored:
    """`store` for a coroutine."""
    return _unless_refused(await commits.soon(draft))


def _unless_refused(result: Stored | Refused) -> Stored:
    if isinstance(result, Refused):
        raise result
    return result


def not_yours() -> Refused:
    """The number is not among the author's."""
    return Refused(lambda: _("You do not send through this number (any more)."))


def without_service(number: Number) -> Refused:
    """The number sends through no service that is switched on."""
    return Refused(
        lambda: (
            _("%(number)s has no service to send through. Ask an administrator to set one up.")
            % {"number": number}
        )
    )


class _Known(NamedTuple):
    """What the tables say of a draft."""

    before: bool | None = None  # there is a message of this uuid
    may: bool = False
    integration: int | None = None
    enabled: bool | None = None
    organization: int = 0
    opted_out: bool | None = None
    sticky: bool = False
    conversation: int | None = None


_UNKNOWN = _Known()


@dataclass(slots=True)
class _Entry:
    """A draft and what comes of it; `begins`: its conversation was made for it."""

    draft: Draft
    known: _Known = _UNKNOWN
    begins: bool = False
    result: Stored | Refused | None = None


def write(drafts: Sequence[Draft]) -> list[Stored | Refused]:
    """What becomes of each draft, in the caller's transaction: a message, or why there is none."""
    entries = [_Entry(draft) for draft in drafts]
    _look_up(entries)
    first: dict[UUID, _Entry] = {}
    for entry in entries:
        if not entry.known.before:
            first.setdefault(entry.draft.uuid, entry)
    _refuse(list(first.values()))
    new = _open(list(first.values()))
    _begin([entry for entry in new if entry.known.conversation is None])
    if any(entry.known.sticky for entry in new):
        _keep_private(new)
        new = _open(new)
    _insert(new)
    _find_those_before(_open(entries))
    return [entry.result for entry in entries if entry.result is not None]


def _open(entries: Sequence[_Entry]) -> list[_Entry]:
    return [entry for entry in entries if entry.result is None]


_ASKED = {
    "place": "integer",
    "uuid": "uuid",
    "author": "bigint",
    "number": "bigint",
    "address": "text",
    "trusted": "boolean",
}


def _asked(entries: Sequence[_Entry]) -> str:
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


def _look_up(entries: Sequence[_Entry]) -> None:
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
            entries[place].known = _Known(*found)


def _of_conversation(column: str) -> str:
    return f"""(
        SELECT conversation.{column} FROM messaging_contact AS contact
        JOIN messaging_conversation AS conversation
            ON conversation.contact_id = contact.id AND conversation.number_id = number.id
        WHERE contact.organization_id = number.organization_id AND contact.address = new.address LIMIT 1
    )"""  # noqa: S608 (constants)


def _refuse(entries: Sequence[_Entry]) -> None:
    counted = [
        (entry.draft.author, entry.draft.number)
        for entry in entries
        if entry.draft.author is not None and entry.draft.resend_of is None
    ]
    room = Room(counted)
    for entry in entries:
        entry.result = _refusal(entry, room)


def _refusal(entry: _Entry, room: Room) -> Refused | None:
    draft = entry.draft
    number, address = draft.number, draft.address
    if not entry.known.may:
        return not_yours()
    if not entry.known.enabled:
        return without_service(number)
    if entry.known.opted_out:
        return Refused(
            lambda: _("%(contact)s has opted out of messages from this number.") % {"contact": address}
        )
    if draft.author is None or draft.resend_of is not None:
        return None
    return room.take(draft.author, number)


def _begin(entries: Sequence[_Entry]) -> None:
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
    _look_up(entries)
    for entry in entries:
        entry.begins = entry.known.conversation in begun


def _keep_private(entries: Sequence[_Entry]) -> None:
    """Asks the rules of stickiness, with all conversations locked in one order."""
    rows = Conversation.objects.filter(pk__in={entry.known.conversation for entry in entries}).order_by("pk")
    locked = {row.pk: row for row in rows.select_for_update(of=("self",), no_key=True)}
    numbers = Number.objects.in_bulk({entry.draft.number.pk for entry in entries})
    begun = {entry.known.conversation for entry in entries if entry.begins}
    for entry in entries:
        if entry.known.sticky and entry.draft.author is not None and entry.known.conversation is not None:
            conversation = locked[entry.known.conversation]
            number = numbers[conversation.number_id]
            try:
                sticky.written(
                    conversation, entry.draft.author, number, begun=entry.known.conversation in begun
                )
            except Refused as refusal:
                entry.result = refusal
            begun.discard(entry.known.conversation)  # by its first message
    bulk.update(list(locked.values()), "private_to", "private_until")


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


def _insert(entries: Sequence[_Entry]) -> None:
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


def _row(entry: _Entry) -> dict[str, Any]:
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


def _find_those_before(entries: Sequence[_Entry]) -> None:
    """What was sent before, or by somebody else at the same moment."""
    if not entries:
        return
    copies = [entry.draft.resend_of for entry in entries if entry.draft.resend_of is not None]
    found = Message.objects.select_related("conversation__number", "conversation__contact").filter(
        Q(uuid__in=[entry.draft.uuid for entry in entries]) | Q(resend_of__in=copies)
    )
    by_uuid = {message.uuid: message for message in found}
    by_origin = {message.resend_of_id: message for message in found}
    for entry in entries:
        origin, author = entry.draft.resend_of, entry.draft.author
        message = by_origin[origin.pk] if origin is not None else by_uuid[entry.draft.uuid]
        if origin is None and message.author_id != (author.pk if author else None):
            entry.result = Refused(
                lambda: _("This message was sent already. Reload the page and write a new one.")
            )
        else:
            entry.result = Stored(message.pk, message)


def _wake(drafts: Sequence[Draft]) -> None:
    wake.wake("dispatch")


commits = GroupCommit(write, _wake)
