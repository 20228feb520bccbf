"""How messages are put into words."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from messaging.models import Message
from messaging.rules import optout
from messaging.statuses import Direction, QueueState, Status

register = template.Library()


@register.filter
def mark(message: Message) -> str:
    """What became of an outgoing message, in a word or a short sentence."""
    if message.queue_state == QueueState.WAITING and message.attempts:
        at = timezone.localtime(message.next_attempt_at)
        return _("trying again at %(time)s") % {"time": date_format(at, "H:i")}
    if message.status == Status.UNKNOWN:
        return _("no answer came: it may or may not have arrived")
    return str(Status(message.status).label)


@register.filter
def when(moment: object) -> str:
    """A time as people say it: the hour today, the weekday this week, else the date."""
    if not hasattr(moment, "astimezone"):
        return ""
    local = timezone.localtime(moment)  # type: ignore[arg-type]
    days = (timezone.localdate() - local.date()).days
    if days == 0:
        return date_format(local, "H:i")
    return date_format(local, "D H:i" if days < 7 else "j M Y")


@register.filter
def until(moment: datetime) -> str:
    """A time to come: the hour today, else with the day."""
    local = timezone.localtime(moment)
    return date_format(local, "H:i" if local.date() == timezone.localdate() else "D j M, H:i")


@register.filter
def initial(contact: object) -> str:
    """What stands in a contact's circle: the first letter of the name; a number has none."""
    first = str(contact)[:1].upper()
    return first if first.isalpha() else "#"


@register.filter
def may_resend(message: Message) -> bool:
    """Whether a person may send it once more."""
    failed = message.direction == Direction.OUT and message.status in (Status.FAILED, Status.UNKNOWN)
    return failed and not was_resent(message)


@register.filter
def was_resent(message: Message) -> bool:
    """Whether it was sent again already, by a copy."""
    return hasattr(message, "resent_as")


@register.filter
def note(message: Message) -> str:
    """How a text of the contact was understood, where it changed what may be sent."""
    if message.direction == Direction.OUT:
        return ""
    notes = {
        optout.CONFIRMATION: _("The contact wants no more messages from this number."),
        optout.OPT_IN: _("The contact wants messages again."),
    }
    return notes.get(message.automatic, "")


@register.filter
def writer(message: Message, reader: object) -> str:
    """Who wrote an outgoing message, as its reader is told."""
    if message.author is None:
        return _("Automatic answer")
    return _("You") if message.author == reader else str(message.author)
