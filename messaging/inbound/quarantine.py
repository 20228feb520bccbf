"""The quarantine: webhook requests that were stored, but that, or whose events, could not be processed."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext as _

from messaging.models import WebhookRequest
from portal import audit
from portal.database import plans
from portal.models import User

MAX_COUNTED = 99


def count(user: User) -> int:
    """The number of requests in quarantine in the user's reach; at most MAX_COUNTED + 1 are counted."""
    with plans.for_these_values():
        rows = WebhookRequest.objects.in_quarantine(user)
        return int(rows.order_by()[: MAX_COUNTED + 1].count())


def badge(request: Any) -> str:
    """The count for the menu; empty if the quarantine is."""
    number = count(request.user) if request.user.is_staff else 0
    return f"{MAX_COUNTED}+" if number > MAX_COUNTED else str(number or "")


def url() -> str:
    """The URL of the page Quarantine."""
    return reverse("admin:messaging_webhookrequest_changelist") + "?quarantine=yes"


def clear(rows: QuerySet[WebhookRequest], reason: str) -> int:
    """Clears requests away: they are not waiting any more, and are kept until they expire; returns how many.

    A reprocessing still reads them. What was cleared before keeps its reason.
    """
    with transaction.atomic():
        found = WebhookRequest.objects.filter(pk__in=list(rows.values_list("pk", flat=True)), cleared_at=None)
        audit.record_each(
            audit.Action.CLEARED,
            found.select_related("account", "organization"),
            changes={_("reason"): ("", reason)},
        )
        return found.update(cleared_at=Now(), cleared_reason=reason[:200])
