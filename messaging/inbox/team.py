"""What a thread shows of the people at work in it: who has it, writes, has read it, and their remarks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from messaging.inbox.pages import fingerprint
from messaging.models import Conversation, Message, Reading, Remark
from messaging.rules import teamwork
from portal.models import User

REMARKS = 200  # with one page of messages


@dataclass(frozen=True)
class Team:
    """The state of a conversation for its users; `fingerprint` changes with it."""

    colleagues: list[User]
    typing: list[User]
    readers: list[User]
    opted_out: bool
    fingerprint: str


def of(conversation: Conversation, user: User) -> Team:
    """Who is at work in the conversation, besides the user, now."""
    colleagues = [other for other in teamwork.users_of(conversation.number) if other.pk != user.pk]
    if conversation.private_to_id is not None:
        colleagues = []
    now, last = timezone.now(), conversation.last_message_id or 0
    readings = {
        row.user_id: row
        for row in Reading.objects.filter(conversation=conversation, user__in=[who.pk for who in colleagues])
    }
    typing = [who for who in colleagues if who.pk in readings and _types(readings[who.pk], now)]
    readers = [who for who in colleagues if who.pk in readings and readings[who.pk].read_to >= last > 0]
    opted_out = conversation.opted_out
    state = (
        *(conversation.assignee_id, conversation.closed_at, conversation.snoozed_until, conversation.asleep),
        *(opted_out, conversation.contact.blocked_at, str(conversation.contact), conversation.private_to_id),
        *([who.pk for who in colleagues], [who.pk for who in typing], [who.pk for who in readers]),
    )
    return Team(colleagues, typing, readers, opted_out, fingerprint([state]))


def _types(reading: Reading, now: datetime) -> bool:
    return reading.writing_until is not None and reading.writing_until > now


def place_remarks(
    conversation: Conversation, messages: Sequence[Message], *, first: bool, before: int | None = None
) -> list[Remark]:
    """Gives each message the `remarks` that follow it, and returns those that come before all messages.

    `first`: no older messages exist. `before`: the page ends before the message with this key.
    """
    found = Remark.objects.filter(conversation=conversation).select_related("author", "assignee")
    if not first and messages:
        found = found.filter(after__gte=messages[0].pk)
    if before is not None:
        found = found.filter(after__lt=before)
    places: dict[int, list[Remark]] = defaultdict(list)
    keys = [message.pk for message in messages]
    for remark in reversed(found.order_by("-pk")[:REMARKS]):
        # A message may have been deleted since: then its remarks follow the one before it.
        places[max((key for key in keys if key <= remark.after), default=0)].append(remark)
    for message in messages:
        message.remarks = places[message.pk]  # type: ignore[attr-defined]
    return places[0]
