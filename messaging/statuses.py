"""The states of messages, webhook requests and events, named once for Python, SQL, templates and CSS."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.IntegerChoices):
    """The status that users see. The value is a rank: a status never replaces one of a higher rank."""

    QUEUED = 0, _("queued")
    SENDING = 10, _("sending")
    UNKNOWN = 20, _("unknown")
    SENT = 30, _("sent")
    FAILED = 40, _("failed")
    DELIVERED = 50, _("delivered")
    READ = 60, _("read")
    CANCELED = 70, _("canceled")  # before it was ever claimed: nothing can be heard of it


class QueueState(models.IntegerChoices):
    """The position of a message in the queue, which is the table of messages itself."""

    WAITING = 0, _("waiting")
    CLAIMED = 1, _("claimed")
    DONE = 2, _("done")


class Direction(models.TextChoices):
    """The direction of a message, from our point of view."""

    OUT = "out", _("outbound")
    IN = "in", _("inbound")


class AttachmentState(models.TextChoices):
    """Whether the file of a message has been fetched and stored."""

    WAITING = "waiting", _("being fetched")
    KEPT = "kept", _("stored")
    FAILED = "failed", _("could not be fetched")
    DELETED = "deleted", _("deleted")


class Verdict(models.TextChoices):
    """The result of reading a webhook request."""

    ACCEPTED = "accepted", _("accepted")
    DUPLICATE = "duplicate", _("duplicate")
    IGNORED = "ignored", _("ignored")
    UNMATCHED = "unmatched", _("unmatched")
    UNKNOWN_NUMBER = "unknown_number", _("unknown number")
    DISABLED = "disabled", _("integration switched off")
    UNPARSABLE = "unparsable", _("unreadable")
    UNVERIFIED = "unverified", _("not verified")


# The verdicts on requests that were stored but could not be processed.
QUARANTINE = (Verdict.UNMATCHED, Verdict.UNKNOWN_NUMBER, Verdict.DISABLED, Verdict.UNPARSABLE)


# The type of a WebhookEvent that stands for an element of a request that fits no event of the template.
UNFIT = "unfit"


class EventState(models.TextChoices):
    """The progress of processing an event."""

    WAITING = "waiting", _("waiting to be processed")
    DONE = "done", _("processed")
    ORPHAN = "orphan", _("waiting for its message")
    PART = "part", _("waiting for the other parts")
    FAILED = "failed", _("could not be processed")


# By the status in a delivery report (integrations.events.Status); "retrying" and "ignore" change nothing.
OF_REPORT = {
    "queued": Status.QUEUED,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "failed": Status.FAILED,
}

# By the result of a delivery attempt (integrations.events.Outcome.result).
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
    """The status of a message from those of its parts: failed if a part failed, else the lowest rank."""
    return Status.FAILED if Status.FAILED in statuses else min(statuses)
