"""Auto-replies: to STOP and HELP, to keywords, and to the first message of a conversation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from messaging import keywords, wakeups
from messaging.engine import quotas
from messaging.models import AutoReply, Message, Number, OptOut, WebhookEvent
from messaging.rules import optout
from messaging.statuses import Direction
from messaging.wakeups import Task

INITIAL = "initial"
REPEAT_AFTER = timedelta(minutes=5)  # the same reply is sent at most once in this time
NEW_AFTER = timedelta(hours=24)  # after which a conversation without stickiness counts as new
# Two systems must not reply to each other endlessly: an echo of a reply gets none, and replies are limited.
ECHO = timedelta(minutes=1)
PER_HOUR, PER_DAY = 6, 20  # replies to one contact


@dataclass(frozen=True)
class _Candidate:
    """A possible reply to a message; `trigger` becomes its `Message.automatic`."""

    event: WebhookEvent
    trigger: str
    text: str = ""


@dataclass
class _Context:
    """The data on which the decision to reply depends, for all conversations of a batch."""

    numbers: dict[int, Number]
    quota_left: dict[int, float]
    opted_out: set[tuple[int, str]]
    recent: dict[int, list[Message]] = field(default_factory=lambda: defaultdict(list))


def reply(events: Sequence[WebhookEvent]) -> list[Message]:
    """Queues the auto-replies to messages that are being stored in the same transaction, and returns them.

    The caller has locked the conversations and not yet updated them. A batch takes one query, or six if there
    are possible replies.
    """
    configured = _configured({event.number_id for event in events})
    first = {event.message.conversation_id: event for event in reversed(events) if event.message}
    firsts = {event.pk for event in first.values()}
    candidates = [found for event in events if (found := _candidate(event, configured, event.pk in firsts))]
    if not candidates:
        return []
    context = _context(candidates)
    replies = []
    for item in candidates:
        message = item.event.message
        assert message is not None
        number = context.numbers.get(item.event.number_id or 0)
        if number is not None and _may_reply(item, message, number, context):
            new = _message(item, message, number)
            context.recent[message.conversation_id].append(new)
            context.quota_left[number.pk] -= 1
            replies.append(new)
    Message.objects.bulk_create(replies)
    if replies:
        wakeups.after_commit(Task.DISPATCH_DUE)
    return replies


def _configured(numbers: Collection[int | None]) -> dict[int, dict[str, AutoReply]]:
    """The configured auto-replies of each number, by their keywords."""
    found: dict[int, dict[str, AutoReply]] = defaultdict(dict)
    for row in AutoReply.objects.filter(number__in=numbers):
        key = AutoReply.INITIAL if row.keyword == AutoReply.INITIAL else keywords.word(row.keyword)
        found[row.number_id][key] = row
    return found


def _candidate(
    event: WebhookEvent, configured: dict[int, dict[str, AutoReply]], first: bool
) -> _Candidate | None:
    """The reply to a text, if there is one; whether it is sent depends on earlier messages.

    In a batch, only the `first` text of a conversation can be the first one of all.
    """
    assert event.number is not None and event.message is not None
    meaning = optout.keyword_meaning(event.message.text, event.number)
    if meaning == optout.OUT:
        return _Candidate(event, optout.CONFIRMATION) if event.consent == optout.OUT else None
    own = configured.get(event.number.pk, {})
    if row := own.get(keywords.word(event.message.text)):
        return _Candidate(event, f"keyword {row.keyword}", row.text)
    if meaning == optout.HELP:
        return _Candidate(event, optout.HELP_REPLY)
    if first and (row := own.get(AutoReply.INITIAL)):
        return _Candidate(event, INITIAL, row.text)
    return None


def _context(candidates: Sequence[_Candidate]) -> _Context:
    messages = [item.event.message for item in candidates if item.event.message]
    conversations = {item.conversation_id: item.conversation for item in messages}
    numbers = Number.objects.filter(
        pk__in={item.event.number_id for item in candidates}, active=True, integration__enabled=True
    )
    opted_out = OptOut.objects.filter(
        number__in={item.number_id for item in conversations.values()},
        address__in={item.contact.address for item in conversations.values()},
    )
    found = {item.pk: item for item in numbers.select_related("organization")}
    context = _Context(
        found,
        quotas.left_of_numbers(found.values()),
        set(opted_out.values_list("number", "address")),
    )
    recent = Message.objects.filter(
        conversation__in=conversations,
        direction=Direction.OUT,
        created_at__gt=timezone.now() - timedelta(days=1),
    ).exclude(automatic="")
    for message in recent.order_by("pk"):
        context.recent[message.conversation_id].append(message)
    return context


def _may_reply(item: _Candidate, message: Message, number: Number, context: _Context) -> bool:
    """Whether the reply is sent."""
    conversation, now = message.conversation, timezone.now()
    address = conversation.contact.address
    if not address.startswith("+") or conversation.contact.is_group:
        return False  # short codes and names belong to systems, or cannot receive replies; groups get none
    if conversation.contact.blocked_at is not None:
        return False
    if optout.refusal(item.trigger, (number.pk, address) in context.opted_out):
        return False
    recent = context.recent[conversation.pk]
    if len(recent) >= PER_DAY or len(_since(recent, now - timedelta(hours=1))) >= PER_HOUR:
        return False
    if any(_is_echo(message.text, earlier, number) for earlier in _since(recent, now - ECHO)):
        return False
    if item.trigger == INITIAL:
        window = timedelta(hours=number.sticky_hours) or NEW_AFTER
        quiet = conversation.last_message_id is None or conversation.last_at < now - window
        if not quiet or any(earlier.automatic == INITIAL for earlier in _since(recent, now - window)):
            return False
    elif any(earlier.automatic == item.trigger for earlier in _since(recent, now - REPEAT_AFTER)):
        return item.trigger == optout.CONFIRMATION  # every opt-out is confirmed
    return item.trigger == optout.CONFIRMATION or context.quota_left[number.pk] > 0


def _since(recent: Sequence[Message], time: datetime) -> list[Message]:
    return [earlier for earlier in recent if earlier.created_at > time]


def _is_echo(text: str, earlier: Message, number: Number) -> bool:
    return text.strip() in (earlier.text.strip(), number.full_text(earlier.text).strip())


def _message(item: _Candidate, message: Message, number: Number) -> Message:
    texts = {optout.CONFIRMATION: optout.confirmation, optout.HELP_REPLY: optout.help_text}
    text = texts[item.trigger](number) if item.trigger in texts else item.text
    return Message(
        organization_id=number.organization_id,
        conversation=message.conversation,
        integration_id=number.integration_id,
        direction=Direction.OUT,
        text=text,
        automatic=item.trigger,
        created_at=timezone.now(),
        expires_at=timezone.now() + settings.MESSAGE_EXPIRY,
    )
