"""What the first page of the admin tells of messaging: what needs somebody, then how the day goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import Now, TruncHour
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Integration
from messaging.inbound import quarantine
from messaging.models import Assignment, Message, Number
from messaging.reporting import charts
from messaging.reporting.charts import Hour
from messaging.statuses import QueueState, Status
from portal.admin_base import user_of
from portal.models import Organization, User
from portal.permissions import in_reach_of

# Services that are named one by one; and for how long a message may be due before it is a sign of trouble.
MOST_NAMED = 5
LATE = timedelta(minutes=2)
MOST_COUNTED = 1000


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the first page, in a constant number of queries: django-unfold's DASHBOARD_CALLBACK."""
    user = user_of(request)
    to_do = steps(user)
    all_done = all(step["done"] for step in to_do)
    return {**context, "steps": to_do, "all_done": all_done, "problems": problems(user), **today(user)}


def problems(user: User) -> list[dict[str, str]]:
    """What is out of order: sentences with the page where it is seen to."""
    reach = in_reach_of(user, "organization", "organization__account")
    return [*_services(reach), *_late(reach), *_quarantined(user)]


def today(user: User) -> dict[str, Any]:
    """Counts of the day, in the viewer's zone, and its hours."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    reach = in_reach_of(user, "organization", "organization__account")
    out, bad = Q(direction="out"), Q(status__in=[Status.FAILED, Status.UNKNOWN])
    rows = (
        Message.objects.filter(reach, created_at__gte=midnight)
        .order_by()
        .values_list(TruncHour("created_at"))
        .annotate(
            sent=Count("pk", filter=out & ~bad),
            delivered=Count("pk", filter=out & Q(status__gte=Status.DELIVERED)),
            failed=Count("pk", filter=out & bad),
            received=Count("pk", filter=Q(direction="in")),
        )
    )
    by_hour = {start: counts for start, *counts in rows}
    sent, delivered, failed, received = (sum(column) for column in _columns(by_hour))
    nothing = [0, 0, 0, 0]
    hours = [
        Hour(start, by_hour.get(start, nothing)[0], by_hour.get(start, nothing)[2])
        for start in _hours(midnight)
    ]
    log = reverse("admin:messaging_message_changelist")
    return {
        "figures": [
            {"label": _("written today"), "value": sent + failed, "url": f"{log}?direction__exact=out"},
            {"label": _("delivered"), "value": delivered, "url": f"{log}?outcome=delivered"},
            {
                "label": _("failed or in doubt"),
                "value": failed,
                "url": f"{log}?outcome=problem",
                "bad": failed,
            },
            {"label": _("received"), "value": received, "url": f"{log}?direction__exact=in"},
        ],
        "chart": charts.svg(hours, _("Messages written today.")),
    }


def _services(reach: Q) -> list[dict[str, str]]:
    rows = (
        Integration.objects.filter(reach, Q(paused_until__isnull=False) | ~Q(trouble=""), enabled=True)
        .select_related("organization", "template")
        .order_by("trouble_since", "pk")[: MOST_NAMED + 1]
    )
    page = reverse("admin:messaging_servicehealth_changelist")
    found = [
        {
            "text": _("%(service)s of %(organization)s: %(trouble)s")
            % {
                "service": row.template,
                "organization": row.organization,
                "trouble": row.trouble or _("paused after failures"),
            },
            "url": f"{page}?organization={row.organization_id}",
        }
        for row in rows[:MOST_NAMED]
    ]
    if len(rows) > MOST_NAMED:
        found.append({"text": _("More services are in trouble."), "url": page})
    return found


def _late(reach: Q) -> list[dict[str, str]]:
    """Messages that are due for minutes though nothing holds them back: no worker runs, or too few."""
    late = Message.objects.filter(
        reach,
        queue_state=QueueState.WAITING,
        next_attempt_at__lt=Now() - LATE,
        integration__enabled=True,
        integration__paused_until__isnull=True,
    )
    number = late.order_by()[:MOST_COUNTED].count()
    text = ngettext(
        "%(number)d message should have gone out minutes ago. Does a worker run?",
        "%(number)d messages should have gone out minutes ago. Does a worker run?",
        number,
    )
    url = reverse("admin:messaging_message_changelist") + "?outcome=waiting"
    return [{"text": text % {"number": number}, "url": url}] if number else []


def _quarantined(user: User) -> list[dict[str, str]]:
    number = quarantine.count(user)
    text = ngettext(
        "%(number)d webhook could not be filed.", "%(number)d webhooks could not be filed.", number
    )
    return [{"text": text % {"number": number}, "url": quarantine.url()}] if number else []


def _columns(by_hour: dict[datetime, list[int]]) -> list[tuple[int, ...]]:
    return list(zip(*by_hour.values(), strict=True)) or [(0,)] * 4


def _hours(midnight: datetime) -> list[datetime]:
    """The hours of the day as it is in the viewer's zone: 23 or 25 of them when clocks change."""
    tomorrow = midnight + timedelta(days=1)
    start, found = midnight.timestamp(), []
    while start < tomorrow.timestamp():
        found.append(datetime.fromtimestamp(start, midnight.tzinfo))
        start += 3600
    return found


def steps(user: User) -> list[dict[str, Any]]:
    """The way from nothing to a first message, with what is done."""
    reach = in_reach_of(user, "organization", "organization__account")
    numbers = Number.objects.filter(reach, active=True)
    first = Organization.objects.administered_by(user).first()
    gallery = reverse("admin:integrations_gallery", args=[first.pk]) if first else ""
    number_list = reverse("admin:messaging_number_changelist")
    return [
        {
            "label": _("Make an organization"),
            "done": first is not None,
            "url": reverse("admin:portal_organization_add"),
        },
        {
            "label": _("Set up a messaging service for it"),
            "done": Integration.objects.filter(reach).exists(),
            "url": gallery,
        },
        {
            "label": _("Add an SMS number"),
            "done": numbers.exists(),
            "url": reverse("admin:messaging_number_add"),
        },
        {
            "label": _("Assign the number to its users"),
            "done": Assignment.objects.filter(number__in=numbers).exists(),
            "url": number_list,
        },
        {
            "label": _("Send a first message from the inbox"),
            "done": Message.objects.filter(reach, direction="out").exists(),
            "url": reverse("inbox"),
        },
    ]
