"""The one-way state machine: a status has a rank, and a lower rank never replaces a higher one."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.IntegerChoices):
    """What a person sees of a message; the value is the rank."""

    QUEUED = 0, _("queued")
    SENDING = 10, _("sending")
    UNKNOWN = 20, _("unknown")
    SENT = 30, _("sent")
    FAILED = 40, _("failed")
    DELIVERED = 50, _("delivered")
    READ = 60, _("read")


# What providers' webhooks say (integrations.events.Status) as a rank; "retrying" and "ignore" change nothing.
RANKS = {
    "queued": Status.QUEUED,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "failed": Status.FAILED,
}


def of_parts(statuses: list[Status]) -> Status:
    """The status of a message whose parts have these: failed if any failed, else the least advanced."""
    return Status.FAILED if Status.FAILED in statuses else min(statuses)
