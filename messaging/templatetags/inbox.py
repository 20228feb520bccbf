"""Template filters that describe messages and times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from messaging.inbox import failures, writing
from messaging.inbox.emoji import EMOJI
from messaging.models import Message
from messaging.rules import optout
from messaging.statuses import QueueState, Status
from portal.models import User

register = template.Library()


@register.filter
def mark(message: Message) -> str:
    """The status of an outbound message, in a few words."""
    if message.is_scheduled:
        return _("is sent in a few seconds") if undoable(message) else _("scheduled")
    if message.queue_state == QueueState.WAITING and message.attempts:
        at = timezone.localtime(message.next_attempt_at)
        return _("retrying at %(time)s") % {"time": date_format(at, "H:i")}
    if message.status == Status.UNKNOWN:
        return _("no response: it may or may not have been sent")
    return str(Status(message.status).label)


@register.filter
def not_sent(message: Message) -> str:
    """A word for an outbound message that waits for its time, or was taken back; else nothing."""
    if message.is_scheduled and not undoable(message):
        return _("Scheduled")
    return _("Canceled") if message.is_outbound and message.status == Status.CANCELED else ""


@register.filter
def why(message: Message) -> str:
    """Why an outbound message has not arrived and what to do, in plain words."""
    return failures.why(message)


@register.filter
def readable(text: str) -> str:
    """The text if it reads like a sentence for people, else nothing."""
    return failures.readable(text)


@register.filter
def when(moment: object) -> str:
    """A past time: the hour today, with the weekday this week, else the date."""
    if not hasattr(moment, "astimezone"):
        return ""
    local = timezone.localtime(moment)  # type: ignore[arg-type]
    days = (timezone.localdate() - local.date()).days
    if days == 0:
        return date_format(local, "H:i")
    return date_format(local, "D H:i" if days < 7 else "j M Y")


@register.filter
def until(moment: datetime) -> str:
    """A future time: the hour today, else with the date."""
    local = timezone.localtime(moment)
    return date_format(local, "H:i" if local.date() == timezone.localdate() else "D j M, H:i")


@register.filter
def signature(user: User) -> str:
    """What is added below each text that the user writes."""
    return writing.choices_of(user).signature


@register.filter
def initial(contact: object) -> str:
    """The first letter of a contact's name; # for a number."""
    first = str(contact)[:1].upper()
    return first if first.isalpha() else "#"


@register.inclusion_tag("inbox/_emoji.html")
def emoji() -> dict[str, Any]:
    """The emoji to choose from."""
    return {"emoji": EMOJI}


@register.filter
def undoable(message: Message) -> bool:
    """Whether the message waits only so that its author can undo it."""
    return message.is_scheduled and not scheduled_for(message)


@register.filter
def scheduled_for(message: Message) -> datetime | None:
    """The time for which an outbound message was scheduled, if it was."""
    if message.send_at is None or message.send_at - message.created_at < timedelta(minutes=1):
        return None
    return message.send_at


@register.filter
def may_resend(message: Message) -> bool:
    """Whether a user can resend the message."""
    return message.needs_attention and not was_resent(message)


@register.filter
def was_resent(message: Message) -> bool:
    """Whether the message has already been resent, as a copy."""
    return hasattr(message, "resent_as")


@register.filter
def note(message: Message) -> str:
    """How an inbound text changed the contact's consent, if it did."""
    if message.is_outbound:
        return ""
    notes = {
        optout.CONFIRMATION: _("The contact has opted out of messages from this number."),
        optout.OPT_IN: _("The contact has opted in again."),
    }
    return notes.get(message.automatic, "")


@register.filter
def writer(message: Message, reader: object) -> str:
    """The author of an outbound message, for its reader."""
    if message.author is None:
        return _("Auto-reply")
    return _("You") if message.author == reader else str(message.author)
