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
from messaging.alerts.changes import State, Subject, note
from messaging.models import Alert, AlertKind, Message, Receiver, WebhookRequest
from messaging.statuses import QUARANTINE, Direction
from portal.models import Account, Organization

HOUR = timedelta(hours=1)
MANY = 10  # requests in quarantine within an hour
NEAR = 0.8  # of a limit


def review_integrations(keys: Collection[int]) -> None:
    """Begins and ends the alerts of integrations, by the state in which they are now."""
    states = []
    for row in Integration.objects.select_related("organization", "template").filter(pk__in=keys):
        reasons = {
            AlertKind.HELD: row.held_reason if row.held_since is not None else "",
            AlertKind.SENDING: row.trouble or (_("Several messages failed.") if _is_paused(row) else ""),
            AlertKind.ARRIVING: row.arrival_trouble,
        }
        states += [
            State(kind, Subject(row), reason if row.enabled else "", again=kind == AlertKind.HELD)
            for kind, reason in reasons.items()
        ]
    note(states)


def review_receivers(keys: Collection[int]) -> None:
    """Begins the alerts of receivers that were switched off since they failed, and ends those of others."""
    rows = Receiver.objects.filter(pk__in=keys)
    note([State(AlertKind.RECEIVER, Subject(row), row.off_reason) for row in rows])


def _is_paused(row: Integration) -> bool:
    """Whether messages are held back; a pause for nothing but what arrives holds back none for long."""
    return row.paused_until is not None and not row.arrival_trouble


def review() -> None:
    """Begins and ends the alerts of organizations and accounts, in a constant number of queries."""
    _review(AlertKind.QUARANTINE, _quarantined())
    _review(AlertKind.LIMIT, _near_limit())


def _review(kind: AlertKind, found: Iterable[tuple[Organization | Account, str]]) -> None:
    states = [State(kind, Subject(of), reason) for of, reason in found]
    troubled = {state.subject.key for state in states}
    open_ones = Alert.objects.filter(kind=kind, over_at__isnull=True).exclude(subject__in=troubled)
    over = open_ones.select_related("organization", "account")
    note([*states, *(State(kind, Subject(alert.organization or alert.account), "") for alert in over)])


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
