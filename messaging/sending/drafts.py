"""Out, first step: what people wrote at one moment becomes messages in one transaction.

It takes the same number of statements however many drafts there are. The tables have the last word: who may
send through a number, who has opted out, and what was sent before are asked for in the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from messaging import wake
from messaging.database import bulk
from messaging.database.group_commit import GroupCommit
from messaging.errors import Refused
from messaging.models import Conversation, Message, Number
from messaging.rules import sticky
from messaging.sending import draft_rows
from messaging.sending.draft_rows import Draft, Entry, Stored
from messaging.sending.limits import Room


def store(draft: Draft) -> Stored:
    """The draft as a message. Raises Refused; then nothing is stored.

    One whose uuid the author used before, or that resends what was resent before, gives the message of then.
    """
    result = commits.put(draft)
    if isinstance(result, Refused):
        raise result
    return result


def store_many(drafts: Sequence[Draft]) -> Sequence[Stored | Exception]:
    """What becomes of each draft, in as few statements as one: what `store` gives, or the error it raises."""
    return commits.put_all(drafts)


def not_yours() -> Refused:
    """The number is not among the author's."""
    return Refused(lambda: _("You do not send through this number (any more)."), "from")


def without_service(number: Number) -> Refused:
    """The number sends through no service that is switched on."""
    return Refused(
        lambda: (
            _("%(number)s has no service to send through. Ask an administrator to set one up.")
            % {"number": number}
        ),
        "from",
    )


def write(drafts: Sequence[Draft]) -> list[Stored | Refused]:
    """What becomes of each draft, in the caller's transaction: a message, or why there is none."""
    entries = [Entry(draft) for draft in drafts]
    draft_rows.look_up(entries)
    first: dict[UUID, Entry] = {}
    for entry in entries:
        if not entry.known.before:
            first.setdefault(entry.draft.uuid, entry)
    _refuse(list(first.values()))
    new = _open(list(first.values()))
    draft_rows.begin([entry for entry in new if entry.known.conversation is None])
    if any(entry.known.sticky for entry in new):
        _keep_private(new)
        new = _open(new)
    draft_rows.insert(new)
    _find_those_before(_open(entries))
    return [entry.result for entry in entries if entry.result is not None]


def _open(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.result is None]


def _refuse(entries: Sequence[Entry]) -> None:
    counted = [
        (entry.draft.author, entry.draft.number)
        for entry in entries
        if entry.draft.author is not None and entry.draft.resend_of is None
    ]
    room = Room(counted)
    for entry in entries:
        entry.result = _refusal(entry, room)


def _refusal(entry: Entry, room: Room) -> Refused | None:
    draft = entry.draft
    number, address = draft.number, draft.address
    if not entry.known.may:
        return not_yours()
    if not entry.known.enabled:
        return without_service(number)
    if entry.known.opted_out:
        return Refused(
            lambda: _("%(contact)s has opted out of messages from this number.") % {"contact": address},
            "to",
        )
    if draft.author is None or draft.resend_of is not None:
        return None
    return room.take(draft.author, number)


def _keep_private(entries: Sequence[Entry]) -> None:
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


def _find_those_before(entries: Sequence[Entry]) -> None:
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
