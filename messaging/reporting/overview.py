"""The page Overview: problems, first steps, and the figures of the day."""

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

from integrations.models import NOT_WORKING, Integration, State, state_now
from messaging.inbound import quarantine
from messaging.models import Alert, AlertKind, Message
from messaging.reporting import charts, first_run
from messaging.reporting.charts import Hour
from messaging.statuses import Direction, QueueState, Status
from portal.administration.base import user_of
from portal.models import User
from portal.permissions import in_reach_of

MAX_INTEGRATIONS = 5  # that are named
OVERDUE_MINUTES = 2  # after which a due message is a problem
MAX_COUNTED = 1000


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The template context, in a constant number of queries; django-unfold's DASHBOARD_CALLBACK."""
    user = user_of(request)
    return {**context, **_first_run(user), "problems": problems(user), **today(user)}


def _first_run(user: User) -> dict[str, Any]:
    """The steps of the first run, until somebody who has done them all hides them."""
    if user.hides_first_run:
        return {}
    to_do = first_run.steps(user)
    next_step = next((step for step in to_do if not step.done and step.url), None)
    done = sum(step.done for step in to_do)
    return {"steps": to_do, "next_step": next_step, "done": done, "all_done": done == len(to_do)}


def problems(user: User) -> list[dict[str, str]]:
    """What needs attention: sentences, each with the URL of the page that helps."""
    reach = in_reach_of(user, "organization", "organization__account")
    return [
        *_failing_integrations(reach),
        *_overdue_messages(reach),
        *_quarantine(user),
        *_near_limit(user),
    ]


def today(user: User) -> dict[str, Any]:
    """The figures and the chart of the current day in the user's time zone."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    reach = in_reach_of(user, "organization", "organization__account")
    out, bad = Q(direction=Direction.OUT), Q(status__in=[Status.FAILED, Status.UNKNOWN])
    rows = (
        Message.objects.filter(reach, created_at__gte=midnight)
        .order_by()
        .values_list(TruncHour("created_at"))
        .annotate(
            sent=Count("pk", filter=out & ~bad & ~Q(status=Status.CANCELED)),
            delivered=Count("pk", filter=out & Q(status__in=[Status.DELIVERED, Status.READ])),
            failed=Count("pk", filter=out & bad),
            received=Count("pk", filter=Q(direction=Direction.IN)),
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
            {"label": _("submitted today"), "value": sent + failed, "url": f"{log}?direction__exact=out"},
            {"label": _("delivered"), "value": delivered, "url": f"{log}?outcome=delivered"},
            {
                "label": _("failed or unknown"),
                "value": failed,
                "url": f"{log}?outcome=problem",
                "bad": failed,
            },
            {"label": _("received"), "value": received, "url": f"{log}?direction__exact=in"},
        ],
        "chart": charts.svg(hours, _("Messages submitted today, by the hour:")),
    }


def _failing_integrations(reach: Q) -> list[dict[str, str]]:
    rows = (
        Integration.objects.annotate(state_now=state_now())
        .filter(reach, state_now__in=NOT_WORKING)
        .select_related("organization", "template")
        .order_by("trouble_since", "pk")[: MAX_INTEGRATIONS + 1]
    )
    page = reverse("admin:messaging_servicehealth_changelist")
    found = [
        {"text": _problem_of(row), "url": f"{page}?organization={row.organization_id}"}
        for row in rows[:MAX_INTEGRATIONS]
    ]
    if len(rows) > MAX_INTEGRATIONS:
        found.append({"text": _("More integrations are not working."), "url": page})
    return found


def _problem_of(row: Integration) -> str:
    names = {"provider": row.template, "organization": row.organization, "reason": row.problem}
    if row.state == State.HELD:
        waits = _("%(provider)s waits for an administrator of %(organization)s: %(reason)s")
        return waits % {**names, "reason": row.held_reason}
    if row.problem:
        return _("%(provider)s is not working for %(organization)s: %(reason)s") % names
    return _("%(provider)s is paused for %(organization)s after repeated failures.") % names


def _overdue_messages(reach: Q) -> list[dict[str, str]]:
    """Messages that are overdue though nothing holds them back: there is no worker, or there are too few."""
    overdue = Message.objects.filter(
        reach,
        queue_state=QueueState.WAITING,
        next_attempt_at__lt=Now() - timedelta(minutes=OVERDUE_MINUTES),
        integration__enabled=True,
        integration__paused_until__isnull=True,
        integration__holds_messages=False,
    )
    number = overdue.order_by()[:MAX_COUNTED].count()
    text = ngettext(
        "%(number)d message has been due for more than %(minutes)d minutes. Is a worker running?",
        "%(number)d messages have been due for more than %(minutes)d minutes. Is a worker running?",
        number,
    )
    url = reverse("admin:messaging_message_changelist") + "?outcome=waiting"
    return [{"text": text % {"number": number, "minutes": OVERDUE_MINUTES}, "url": url}] if number else []


def _quarantine(user: User) -> list[dict[str, str]]:
    number = quarantine.count(user)
    text = ngettext(
        "%(number)d webhook request is in quarantine.",
        "%(number)d webhook requests are in quarantine.",
        number,
    )
    return [{"text": text % {"number": number}, "url": quarantine.url()}] if number else []


def _near_limit(user: User) -> list[dict[str, str]]:
    rows = Alert.objects.filter(in_reach_of(user), kind=AlertKind.LIMIT, over_at__isnull=True)
    url = reverse("alerts")
    return [{"text": row.reason, "url": url} for row in rows.order_by("-began_at")[:MAX_INTEGRATIONS]]


def _columns(by_hour: dict[datetime, list[int]]) -> list[tuple[int, ...]]:
    return list(zip(*by_hour.values(), strict=True)) or [(0,)] * 4


def _hours(midnight: datetime) -> list[datetime]:
    """The hours of the day, of which there are 23 or 25 when the clocks change."""
    tomorrow = midnight + timedelta(days=1)
    start, found = midnight.timestamp(), []
    while start < tomorrow.timestamp():
        found.append(datetime.fromtimestamp(start, midnight.tzinfo))
        start += 3600
    return found
