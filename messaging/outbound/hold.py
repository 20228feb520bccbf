"""Holding the queue of a backup: what waited then may have been sent since, and is for a person to decide."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.models import BulkResend, Message
from messaging.statuses import Direction, QueueState, Status


def waiting() -> int:
    """How many messages wait to be sent, or are being sent."""
    return _queue().count()


def hold(made_at: datetime) -> int:
    """Takes all messages out of the queue, and ends the resending of many; returns how many waited.

    The outcome of those is unknown; they can be resent like any other such message. `made_at` is the time of
    the backup, for the reason that people read.
    """
    reason = _(
        "Held: the message waited when the backup of %(time)s was made, and may have been sent since. "
        "Resend it if it was not."
    ) % {"time": date_format(made_at, "Y-m-d H:i e")}
    _queue().filter(status__lt=Status.UNKNOWN).update(
        status=Status.UNKNOWN, status_code="", status_text=reason
    )
    held = _queue().update(
        queue_state=QueueState.DONE, lease_until=None, fence=F("fence") + 1, changed_at=Now()
    )
    BulkResend.objects.filter(finished_at=None).update(finished_at=Now())
    return held


def told(count: int, send_queued: bool) -> str:
    """What has become of the queue, for the operator."""
    if not count:
        return _("No message waited to be sent.")
    if send_queued:
        return ngettext(
            "%(count)d message waits to be sent, and goes out as soon as Patchbay runs.",
            "%(count)d messages wait to be sent, and go out as soon as Patchbay runs.",
            count,
        ) % {"count": count}
    return ngettext(
        "%(count)d message that waited to be sent is held, since it may have been sent after the backup. "
        "Find it under Messages with the status “unknown”, and resend it if it was not.",
        "%(count)d messages that waited to be sent are held, since they may have been sent after the backup. "
        "Find them under Messages with the status “unknown”, and resend those that were not.",
        count,
    ) % {"count": count}


def _queue() -> QuerySet[Message]:
    return Message.objects.filter(direction=Direction.OUT).exclude(queue_state=QueueState.DONE)
