"""How messages are put into words."""

from __future__ import annotations

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from messaging.models import Message
from messaging.statuses import Status

register = template.Library()


@register.filter
def mark(message: Message) -> str:
    """What became of an outgoing message, in a word or a short sentence."""
    if message.queue_state == Message.Queue.WAITING and message.attempts:
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
def initial(contact: object) -> str:
    """What stands in a contact's circle: the first letter of the name; a number has none."""
    first = str(contact)[:1].upper()
    return first if first.isalpha() else "#"


@register.filter
def may_resend(message: Message) -> bool:
    """Whether a person may send it once more."""
    return message.direction == Message.Direction.OUT and message.status in (Status.FAILED, Status.UNKNOWN)
