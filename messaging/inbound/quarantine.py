"""What was received and could not be filed: requests that nobody understood, and events that failed."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from messaging.models import WebhookEvent, WebhookRequest
from messaging.statuses import QUARANTINE, EventState
from portal.models import User
from portal.permissions import in_reach_of

# Of events that could not be filed, the newest ones.
MOST_FAILED = 1000
MOST_COUNTED = 99


def among(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The requests among `rows` that are in quarantine."""
    failed = WebhookEvent.objects.filter(state=EventState.FAILED).order_by("-request")
    # Their keys, and not a condition: so both halves are answered by the small index of each.
    keys = list(failed.values_list("request", flat=True)[:MOST_FAILED])
    return rows.filter(Q(verdict__in=QUARANTINE) | Q(pk__in=keys))


def count(user: User) -> int:
    """How many the user can see; no more than 99 and one are counted."""
    rows = WebhookRequest.objects.filter(in_reach_of(user, "organization", "account"))
    return int(among(rows).order_by()[: MOST_COUNTED + 1].count())


def badge(request: Any) -> str:
    """What the menu says: the count, as long as there is something."""
    number = count(request.user) if request.user.is_staff else 0
    return f"{MOST_COUNTED}+" if number > MOST_COUNTED else str(number or "")


def url() -> str:
    """The page with the list."""
    return reverse("admin:messaging_webhookrequest_changelist") + "?quarantine=yes"
