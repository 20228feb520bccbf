"""The states of messages, webhooks and events, named once for Python, SQL, templates and style sheets."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.IntegerChoices):
    """What a person sees of a message. The value is a rank: a lower one never replaces a higher one."""

    QUEUED = 0, _("queued")
    SENDING = 10, _("sending")
    UNKNOWN = 20, _("unknown")
    SENT = 30, _("sent")
    FAILED = 40, _("failed")
    DELIVERED = 50, _("delivered")
    READ = 60, _("read")


class QueueState(models.IntegerChoices):
    """Where a message stands in the queue, which is the table of messages itself."""

    WAITING = 0, _("waiting")
    CLAIMED = 1, _("claimed")
    DONE = 2, _("done")


class Direction(models.TextChoices):
    """Whether we sent a message or received it."""

    OUT = "out", _("sent")
    IN = "in", _("received")


class AttachmentState(models.TextChoices):
    """Whether we have the file of a message."""

    WAITING = "waiting", _("being fetched")
    KEPT = "kept", _("kept")
    FAILED = "failed", _("not fetched")


class Verdict(models.TextChoices):
    """What a webhook request turned out to be."""

    ACCEPTED = "accepted", _("accepted")
    DUPLICATE = "duplicate", _("duplicate")
    IGNORED = "ignored", _("ignored")
    UNMATCHED = "unmatched", _("unmatched")
    UNKNOWN_NUMBER = "unknown_number", _("unknown number")
    DISABLED = "disabled", _("integration disabled")
    UNPARSABLE = "unparsable", _("unreadable")
    UNVERIFIED = "unverified", _("bad signature")


# The verdicts on requests that were stored and could not be filed.
QUARANTINE = (Verdict.UNMATCHED, Verdict.UNKNOWN_NUMBER, Verdict.DISABLED, Verdict.UNPARSABLE)


class EventState(models.TextChoices):
    """How far an event of a webhook has been filed."""

    WAITING = "waiting", _("to be filed")
    DONE = "done", _("filed")
    ORPHAN = "orphan", _("waits for its message")
    PART = "part", _("waits for the other parts")
    FAILED = "failed", _("could not be filed")


# The statuses of delivery reports (integrations.events.Status); "retrying" and "ignore" change nothing.
OF_REPORT = {
    "queued": Status.QUEUED,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "failed": Status.FAILED,
}

# The status of a message after a request with this result (integrations.events.Outcome.result).
OF_RESULT = {
    "sent": Status.SENT,
    "failed": Status.FAILED,
    "opted_out": Status.FAILED,
    "unknown": Status.UNKNOWN,
    "retry": Status.SENDING,
    "throttled": Status.SENDING,
    "unauthorized": Status.SENDING,
}


def of_parts(statuses: list[Status]) -> Status:
    """The status of a message from those of its parts: failed if any part failed, else the least advanced."""
    return Status.FAILED if Status.FAILED in statuses else min(statuses)
