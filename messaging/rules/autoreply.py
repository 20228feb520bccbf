"""What numbers answer by themselves: to STOP and HELP, to keywords, and to the first message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from messaging import keywords, wakeups
from messaging.engine import quotas
from messaging.models import AutoReply, Message, Number, OptOut, WebhookEvent
from messaging.rules import optout
from messaging.statuses import Direction
from messaging.wakeups import Task

INITIAL = "initial"
# The same answer is given once in so long; a conversation without stickiness counts as new after so long.
AGAIN, NEW = timedelta(minutes=5), timedelta(hours=24)
# Two machines that answer each other come to rest: an echo gets no answer, and a contact so many.
ECHO = timedelta(minutes=1)
PER_HOUR, PER_DAY = 6, 20


@dataclass(frozen=True)
class _Answer:
    """A text that would answer a message; `why` is its `Message.automatic`."""

    event: WebhookEvent
    why: str
    text: str = ""


@dataclass
class _Known:
    """What decides whether an answer is given, for all conversations of a batch."""

    numbers: dict[int, Number]
    room: dict[int, float]
    opted_out: set[tuple[int, str]]
    given: dict[int, list[Message]] = field(default_factory=lambda: defaultdict(list))


def answer(events: Sequence[WebhookEvent]) -> list[Message]:
    """The answers to messages that are being filed, stored in the same transaction and on their way.

    To be called with the conversations locked, and before they are told of the new messages. For a batch it
    takes one query, or six where something may be answered.
    """
    replies = _replies({event.number_id for event in events})
    first = {event.message.conversation_id: event for event in reversed(events) if event.message}
    firsts = {event.pk for event in first.values()}
    wanted = [found for event in events if (found := _wanted(event, replies, event.pk in firsts))]
    if not wanted:
        return []
    known = _known(wanted)
    answers = []
    for item in wanted:
        message = item.event.message
        assert message is not None
        number = known.numbers.get(item.event.number_id or 0)
        if number is not None and _may(item, message, number, known):
            reply = _write(item, message, number)
            known.given[message.conversation_id].append(reply)
            known.room[number.pk] -= 1
            answers.append(reply)
    Message.objects.bulk_create(answers)
    if answers:
        wakeups.after_commit(Task.DISPATCH_DUE)
    return answers


def _replies(numbers: Collection[int | None]) -> dict[int, dict[str, AutoReply]]:
    """The auto-replies of each number, by the word that they answer."""
    found: dict[int, dict[str, AutoReply]] = defaultdict(dict)
    for reply in AutoReply.objects.filter(number__in=numbers):
        key = AutoReply.INITIAL if reply.keyword == AutoReply.INITIAL else keywords.word(reply.keyword)
        found[reply.number_id][key] = reply
    return found


def _wanted(event: WebhookEvent, replies: dict[int, dict[str, AutoReply]], first: bool) -> _Answer | None:
    """The answer that the text asks for; whether it is given depends on what was before.

    Of a batch, only the `first` text of a conversation can be the first of all.
    """
    assert event.number is not None and event.message is not None
    said = optout.wish(event.message.text, event.number)
    if said == optout.OUT:
        return _Answer(event, optout.CONFIRMATION) if event.consent == optout.OUT else None
    if said == optout.ASK:
        return _Answer(event, optout.HELP_ANSWER)
    own = replies.get(event.number.pk, {})
    if reply := own.get(keywords.word(event.message.text)):
        return _Answer(event, f"keyword {reply.keyword}", reply.text)
    if first and (reply := own.get(AutoReply.INITIAL)):
        return _Answer(event, INITIAL, reply.text)
    return None


def _known(wanted: Sequence[_Answer]) -> _Known:
    messages = [item.event.message for item in wanted if item.event.message]
    conversations = {item.conversation_id: item.conversation for item in messages}
    numbers = Number.objects.filter(
        pk__in={item.event.number_id for item in wanted}, active=True, integration__enabled=True
    )
    opted_out = OptOut.objects.filter(
        number__in={item.number_id for item in conversations.values()},
        address__in={item.contact.address for item in conversations.values()},
    )
    found = {item.pk: item for item in numbers.select_related("organization")}
    known = _Known(
        found,
        quotas.left_of_numbers(found.values()),
        set(opted_out.values_list("number", "address")),
    )
    before = Message.objects.filter(
        conversation__in=conversations,
        direction=Direction.OUT,
        created_at__gt=timezone.now() - timedelta(days=1),
    ).exclude(automatic="")
    for message in before.order_by("pk"):
        known.given[message.conversation_id].append(message)
    return known


def _may(item: _Answer, message: Message, number: Number, known: _Known) -> bool:
    """Whether the answer is given now."""
    conversation, now = message.conversation, timezone.now()
    address = conversation.contact.address
    if not address.startswith("+"):
        return False  # short codes and names are machines, or take no answers
    if optout.refusal(item.why, (number.pk, address) in known.opted_out):
        return False
    given = known.given[conversation.pk]
    if len(given) >= PER_DAY or len(_since(given, now - timedelta(hours=1))) >= PER_HOUR:
        return False
    if any(_is_echo(message.text, reply, number) for reply in _since(given, now - ECHO)):
        return False
    if item.why == INITIAL:
        window = timedelta(hours=number.sticky_hours) or NEW
        quiet = conversation.last_message_id is None or conversation.last_at < now - window
        if not quiet or any(reply.automatic == INITIAL for reply in _since(given, now - window)):
            return False
    elif any(reply.automatic == item.why for reply in _since(given, now - AGAIN)):
        return item.why == optout.CONFIRMATION  # each opt-out is confirmed
    return item.why == optout.CONFIRMATION or known.room[number.pk] > 0


def _since(given: Sequence[Message], moment: object) -> list[Message]:
    return [reply for reply in given if reply.created_at > moment]  # type: ignore[operator]


def _is_echo(text: str, reply: Message, number: Number) -> bool:
    return text.strip() in (reply.text.strip(), number.dressed(reply.text).strip())


def _write(item: _Answer, message: Message, number: Number) -> Message:
    texts = {optout.CONFIRMATION: optout.confirmation, optout.HELP_ANSWER: optout.help_text}
    text = texts[item.why](number) if item.why in texts else item.text
    return Message(
        organization_id=number.organization_id,
        conversation=message.conversation,
        integration_id=number.integration_id,
        direction=Direction.OUT,
        text=text,
        automatic=item.why,
        created_at=timezone.now(),
        expires_at=timezone.now() + settings.MESSAGE_EXPIRY,
    )
