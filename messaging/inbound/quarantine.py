"""The quarantine: webhook requests that were stored, but that, or whose events, could not be processed."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from messaging.models import WebhookEvent, WebhookRequest
from messaging.statuses import QUARANTINE, EventState
from portal.models import User
from portal.permissions import in_reach_of

MAX_FAILED = 1000  # newest failed events
MAX_COUNTED = 99


def quarantined(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The webhook requests in `rows` that are in quarantine."""
    failed = WebhookEvent.objects.filter(state=EventState.FAILED).order_by("-request")
    # Their keys rather than a subquery, so that each half of the condition uses its own partial index.
    keys = list(failed.values_list("request", flat=True)[:MAX_FAILED])
    return rows.filter(Q(verdict__in=QUARANTINE) | Q(pk__in=keys))


def count(user: User) -> int:
    """The number of requests in quarantine in the user's reach; at most MAX_COUNTED + 1 are counted."""
    rows = WebhookRequest.objects.filter(in_reach_of(user, "organization", "account"))
    return int(quarantined(rows).order_by()[: MAX_COUNTED + 1].count())


def badge(request: Any) -> str:
    """The count for the menu; empty if the quarantine is."""
    number = count(request.user) if request.user.is_staff else 0
    return f"{MAX_COUNTED}+" if number > MAX_COUNTED else str(number or "")


def url() -> str:
    """The URL of the page Quarantine."""
    return reverse("admin:messaging_webhookrequest_changelist") + "?quarantine=yes"
