"""Working together on a shared number: who takes care of a conversation, until when it rests, and notes.

Everything that changes leaves a remark in the thread, and so is noticed by the pages of the others. Each
function raises Refused when it cannot be done; then nothing has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging.errors import Refused
from messaging.models import Assignment, Conversation, Mention, Message, Number, Reading, Remark
from messaging.models.erasures import masked
from messaging.rules import optout, schedule
from portal import audit
from portal.database import bulk
from portal.models import User

MAX_NOTE, MAX_HOW = 5000, 300  # characters
TYPING_SECONDS = 8  # longer than the compose box waits before it says so again


def users_of(number: Number) -> list[User]:
    """The active users of a number, to whom its conversations can be assigned."""
    permitted = Assignment.objects.permitted().filter(number=number).values("user")
    return list(User.objects.filter(pk__in=permitted, is_active=True))


def assign(conversation: Conversation, by: User, to: User | None) -> None:
    """Gives the conversation to a user of its number, or to nobody."""
    with transaction.atomic():
        row = _locked(conversation, by)
        if to is not None and to not in users_of(row.number):
            raise Refused(_("Choose somebody who uses this number."))
        if to is not None and row.private_to_id not in (None, to.pk):
            raise Refused(_("The conversation is private to you at the moment. Hand it over after that."))
        if row.assignee_id == (to.pk if to else None):
            return
        row.assignee = to
        row.save(update_fields=["assignee"])
        kind = Remark.Kind.RELEASED if to is None else Remark.Kind.ASSIGNED
        remark(row, kind, by, assignee=to)


def snooze(conversation: Conversation, by: User, until: datetime) -> None:
    """Sets the conversation aside until a time, or until the contact writes."""
    until = schedule.checked(until)
    with transaction.atomic():
        row = _locked(conversation, by)
        if row.snoozed_until == until and row.closed_at is None:
            return
        row.snoozed_until, row.wakes_at, row.closed_at = until, until, None
        row.save(update_fields=["snoozed_until", "wakes_at", "closed_at"])
        remark(row, Remark.Kind.SNOOZED, by, until=until)


def close(conversation: Conversation, by: User) -> None:
    """Sets the conversation aside until the contact writes."""
    with transaction.atomic():
        row = _locked(conversation, by)
        if row.closed_at is not None:
            return
        row.snoozed_until, row.closed_at = None, timezone.now()
        row.save(update_fields=["snoozed_until", "closed_at"])
        remark(row, Remark.Kind.CLOSED, by)


def reopen(conversation: Conversation, by: User) -> None:
    """Takes the conversation up again, whether it was closed or snoozed."""
    with transaction.atomic():
        row = _locked(conversation, by)
        if row.closed_at is None and row.snoozed_until is None:
            return
        kind = Remark.Kind.REOPENED if row.closed_at is not None else Remark.Kind.WOKEN
        row.snoozed_until, row.closed_at = None, None
        row.save(update_fields=["snoozed_until", "closed_at"])
        remark(row, kind, by)


def on_received(messages: Iterable[Message]) -> None:
    """Reopens the conversations in which contacts have written, except those of blocked contacts.

    The caller has locked them. Takes no statement if none was closed or snoozed.
    """
    latest = {message.conversation_id: message for message in messages}
    resting = [
        (message.conversation, message)
        for message in latest.values()
        if message.conversation.contact.blocked_at is None
        and (message.conversation.closed_at is not None or message.conversation.snoozed_until is not None)
    ]
    if not resting:
        return
    kinds = {
        row.pk: Remark.Kind.WOKEN if row.closed_at is None else Remark.Kind.REOPENED for row, _m in resting
    }
    for row, _message in resting:
        row.snoozed_until, row.closed_at = None, None
    bulk.update([row for row, _message in resting], "snoozed_until", "closed_at")
    bulk.insert([_remark(row, kinds[row.pk], after=message.pk) for row, message in resting])


def note(conversation: Conversation, by: User, text: str) -> Remark:
    """Leaves an internal note. Users of the number whose name follows an @ have it marked as unread."""
    text = text.replace("\r\n", "\n").replace("\0", "\ufffd").strip()
    if not text:
        raise Refused(_("Write the note first."), "text")
    if len(text) > MAX_NOTE:
        raise Refused(
            _("The note has %(length)d characters; the limit is %(most)d.")
            % {"length": len(text), "most": MAX_NOTE},
            "text",
        )
    with transaction.atomic():
        row = _locked(conversation, by)
        made = remark(row, Remark.Kind.NOTE, by, text=text)
        may_read = [
            user for user in users_of(row.number) if row.private_to_id in (None, user.pk) and user != by
        ]
        Mention.objects.bulk_create(
            Mention(remark=made, conversation=row, user=user) for user in mentioned(text, may_read)
        )
    return made


def mentioned(text: str, users: Iterable[User]) -> list[User]:
    """Those of the users whose whole name, or address, follows an @ in the text; longer names first."""
    rest, found = text.casefold(), []
    for user in sorted(users, key=lambda user: (-len(str(user)), user.pk)):
        names = "|".join(re.escape(name.casefold()) for name in (str(user), user.email))
        rest, times = re.subn(rf"@(?:{names})(?!\w)", " ", rest)
        if times:
            found.append(user)
    return found


def lift_opt_out(conversation: Conversation, by: User, how: str) -> None:
    """Lets messages go to the contact again, because they have consented; who, when and how is recorded."""
    how = " ".join(how.replace("\0", " ").split())
    if not how:
        raise Refused(_("Write down how the contact has consented."), "how")
    if len(how) > MAX_HOW:
        raise Refused(_("Say it in at most %(most)d characters.") % {"most": MAX_HOW}, "how")
    with transaction.atomic():
        row = _locked(conversation, by)
        if not optout.lift(row.number, row.contact.address):
            return
        remark(row, Remark.Kind.CONSENT, by, text=how)
        # How they consented stands in the thread, where an erasure finds it.
        audit.record(audit.Action.CONSENT, row, name=f"{masked(row.contact.address)}, {row.number}")


def starts_typing(conversation: Conversation, user: User) -> None:
    """Notes that the user is typing now; it expires by itself."""
    until = timezone.now() + timedelta(seconds=TYPING_SECONDS)
    Reading.objects.update_or_create(conversation=conversation, user=user, defaults={"writing_until": until})


def stops_typing(conversation: Conversation, user: User) -> None:
    """Notes that the user has sent what they wrote, or given it up."""
    own = Reading.objects.filter(conversation=conversation, user=user, writing_until__isnull=False)
    own.update(writing_until=None)


def remark(conversation: Conversation, kind: Remark.Kind, author: User | None, **said: Any) -> Remark:
    """Leaves a remark at the end of a conversation, in the caller's transaction."""
    made = _remark(conversation, kind, author=author, **said)
    made.save()
    return made


def remark_in_all(
    conversations: Iterable[Conversation], kind: Remark.Kind, author: User | None = None
) -> dict[int, Remark]:
    """Leaves the same remark in several conversations, in one statement; returns it by their keys."""
    made = {row.pk: _remark(row, kind, author=author) for row in conversations}
    for key, conversation in bulk.insert(list(made.values()), "id", "conversation_id"):
        made[conversation].pk = key
    return made


def _remark(conversation: Conversation, kind: Remark.Kind, **said: Any) -> Remark:
    """A remark after the last message, unless it is said after which."""
    return Remark(
        organization_id=conversation.organization_id,
        number_id=conversation.number_id,
        conversation=conversation,
        kind=kind,
        **{"after": conversation.last_message_id or 0, **said},
    )


def _locked(conversation: Conversation, by: User) -> Conversation:
    """The conversation as it is now, if it is still one of the user's; it waits for others at the same."""
    own = Conversation.objects.for_user(by).select_related("number", "contact")
    row = own.select_for_update(of=("self",), no_key=True).filter(pk=conversation.pk).first()
    if row is None:
        raise Refused(_("You cannot change this conversation any more. Reload the page."))
    return row
