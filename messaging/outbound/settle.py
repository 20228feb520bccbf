"""Marking a message that got no response as sent or failed, by a user."""

from __future__ import annotations

from typing import Literal

from django.db import transaction
from django.utils.translation import gettext as _

from messaging.engine import queue
from messaging.engine.queue import DONE, Change
from messaging.errors import Refused
from messaging.models import Message
from messaging.statuses import Direction, Status
from portal import audit
from portal.models import Organization, User


@transaction.atomic
def settle(author: User, message: Message, outcome: Literal["sent", "failed"]) -> Message:
    """Marks a message with an unknown outcome as sent or failed; later delivery reports still apply.

    Users of the message's number and administrators of its organization may do this. Raises Refused for other
    users and for messages with another status; then nothing is changed.
    """
    if not _may(author, message):
        raise Refused(_("You cannot send through this number."))
    text = {
        "sent": _("Marked as sent by %(user)s."),
        "failed": _("Marked as failed by %(user)s."),
    }[outcome]
    status = {"sent": Status.SENT, "failed": Status.FAILED}[outcome]
    message.refresh_from_db()
    if message.direction == Direction.OUT and message.status == Status.UNKNOWN:
        # A delivery report that arrives at the same time is not lost: the status of higher rank stays.
        queue.advance([Change(message.pk, message.fence, DONE, status, "", text % {"user": author})])
        message.refresh_from_db()
        audit.record(audit.Action.SETTLED, message, {_("outcome"): ("", message.get_status_display())})
        return message
    raise Refused(_("Only a message that got no response can be marked as sent or failed."))


def _may(author: User, message: Message) -> bool:
    if Message.objects.for_user(author).filter(pk=message.pk).exists():
        return True
    return Organization.objects.administered_by(author).filter(pk=message.organization_id).exists()
