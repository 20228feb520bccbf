"""A person decides what became of a message that got no answer."""

from __future__ import annotations

from typing import Literal

from django.utils.translation import gettext as _

from messaging.engine import queue
from messaging.engine.queue import DONE, Change
from messaging.errors import Refused
from messaging.models import Message
from messaging.statuses import Direction, Status
from portal.models import Organization, User


def settle(author: User, message: Message, outcome: Literal["sent", "failed"]) -> Message:
    """Marks a message whose fate is unknown, by hand; what the service reports later still counts.

    People who send through its number may, and who administers its organization. Raises Refused for everybody
    else, and for a message of any other status; then nothing is changed.
    """
    if not _may(author, message):
        raise Refused(_("You do not send through this number (any more)."))
    text = {
        "sent": _("Marked as sent by %(person)s."),
        "failed": _("Marked as failed by %(person)s."),
    }[outcome]
    status = {"sent": Status.SENT, "failed": Status.FAILED}[outcome]
    message.refresh_from_db()
    if message.direction == Direction.OUT and message.status == Status.UNKNOWN:
        # A report that comes in at this moment wins, or follows: the higher rank stays.
        queue.advance([Change(message.pk, message.fence, DONE, status, "", text % {"person": author})])
        message.refresh_from_db()
        return message
    raise Refused(_("Only a message that got no answer can be marked by hand."))


def _may(author: User, message: Message) -> bool:
    if Message.objects.for_user(author).filter(pk=message.pk).exists():
        return True
    return Organization.objects.administered_by(author).filter(pk=message.organization_id).exists()
