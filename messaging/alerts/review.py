"""Looks for trouble that begins or is over."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Count
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Integration
from messaging.alerts.changes import Subject, begin, end
from messaging.models import Alert, AlertKind, Message, WebhookRequest
from messaging.statuses import QUARANTINE, Direction
from portal.models import Account, Organization

HOUR = timedelta(hours=1)
MANY = 10  # requests in quarantine within an hour
NEAR = 0.8  # of a limit


def review_integrations(keys: Collection[int]) -> None:
    """Begins and ends the alerts of integrations, by the state in which they are now."""
    for row in Integration.objects.select_related("organization", "template").filter(pk__in=keys):
        subject = Subject(row)
        states = {
            AlertKind.HELD: row.held_reason if row.held_since is not None else "",
            AlertKind.SENDING: row.trouble or (_("Several messages failed.") if _is_paused(row) else ""),
            AlertKind.ARRIVING: row.arrival_trouble,
        }
        for kind, reason in states.items():
            if row.enabled and reason:
                begin(kind, subject, reason, again=kind == AlertKind.HELD)
            else:
                end(kind, subject)


def _is_paused(row: Integration) -> bool:
    """Whether messages are held back; a pause for nothing but what arrives holds back none for long."""
    return row.paused_until is not None and not row.arrival_trouble


def review() -> None:
    """Begins and ends the alerts of organizations and accounts; few queries for each that is in trouble."""
    _review(AlertKind.QUARANTINE, _quarantined())
    _review(AlertKind.LIMIT, _near_limit())


def _review(kind: AlertKind, found: Iterable[tuple[Organization | Account, str]]) -> None:
    troubled = set()
    for of, reason in found:
        subject = Subject(of)
        troubled.add(subject.key)
        begin(kind, subject, reason)
    open_ones = Alert.objects.filter(kind=kind, over_at__isnull=True).exclude(subject__in=troubled)
    for alert in open_ones.select_related("organization", "account"):
        end(kind, Subject(alert.organization or alert.account))


def _quarantined() -> list[tuple[Organization | Account, str]]:
    """Where many requests went into quarantine within an hour."""
    recent = WebhookRequest.objects.filter(verdict__in=QUARANTINE, received_at__gt=Now() - HOUR)
    counted = (
        recent.order_by()
        .values_list("account", "organization")
        .annotate(number=Count("pk"))
        .filter(number__gte=MANY)
    )
    numbers = {(account, organization): number for account, organization, number in counted}
    organizations = Organization.objects.in_bulk({key for _, key in numbers if key})
    accounts = Account.objects.in_bulk({key for key, organization in numbers if not organization})
    found = []
    for (account, organization), number in numbers.items():
        words = ngettext(
            "%(number)d webhook request could not be filed within the last hour.",
            "%(number)d webhook requests could not be filed within the last hour.",
            number,
        )
        of = organizations[organization] if organization else accounts[account]
        found.append((of, words % {"number": number}))
    return found


def _near_limit() -> list[tuple[Organization, str]]:
    """The organizations that have sent most of what they may send within an hour."""
    most = settings.ORGANIZATION_PER_HOUR
    if not most:
        return []
    sent = Message.objects.filter(direction=Direction.OUT, created_at__gt=Now() - HOUR)
    near = (
        sent.order_by()
        .values_list("organization")
        .annotate(number=Count("pk"))
        .filter(number__gte=math.ceil(NEAR * most))
    )
    numbers = dict(near)
    words = _("%(organization)s has sent more than %(share)d %% of the %(most)d messages allowed per hour.")
    return [
        (row, words % {"organization": row, "share": NEAR * 100, "most": most})
        for row in Organization.objects.filter(pk__in=numbers).order_by("pk")
    ]
