"""Beginnings and ends of alerts: who is told of them, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now

from integrations.models import Integration
from messaging.models import Alert, AlertKind
from portal.models import Account, Organization

# Trouble that returns within this time is told of when it stays, and its end when it stays away.
QUIET = timedelta(minutes=30)


@dataclass(frozen=True)
class Subject:
    """What an alert is about: an integration, an organization, or an account as a whole."""

    of: Integration | Organization | Account

    @property
    def key(self) -> str:
        """Its name in the table."""
        return f"{self.of._meta.model_name} {self.of.pk}"

    @property
    def keys(self) -> dict[str, int | None]:
        """The foreign keys of its alerts."""
        if isinstance(self.of, Integration):
            organization = self.of.organization
            return {
                "account_id": organization.account_id,
                "organization_id": organization.pk,
                "integration_id": self.of.pk,
            }
        if isinstance(self.of, Organization):
            return {"account_id": self.of.account_id, "organization_id": self.of.pk}
        return {"account_id": self.of.pk}


def begin(kind: AlertKind, subject: Subject, reason: str, *, again: bool = False) -> None:
    """Notes trouble and has it told, unless it is known; one for another reason is told `again` if asked."""
    rows = Alert.objects.filter(kind=kind, subject=subject.key)
    if rows.filter(over_at__isnull=True, reason=reason).exists():
        return
    if rows.filter(over_at__isnull=True).update(reason=reason, **({"tell_at": Now()} if again else {})):
        return
    soon = Q(over_at__gt=Now() - QUIET)
    returned = rows.filter(over_at__isnull=False).update(
        reason=reason,
        began_at=Now(),
        over_at=None,
        unsteady=Case(When(soon, then=Value(True)), default=Value(False)),
        # Those who were not told yet that it was over need not be told that it is back.
        tell_at=Case(When(told=True, then=Value(None)), When(soon, then=Now() + QUIET), default=Now()),
    )
    if not returned:
        try:
            with transaction.atomic():
                Alert.objects.create(
                    kind=kind,
                    subject=subject.key,
                    reason=reason,
                    began_at=Now(),
                    tell_at=Now(),
                    **subject.keys,
                )
        except IntegrityError:
            return  # another process has noted it


def end(kind: AlertKind, subject: Subject) -> None:
    """Notes that trouble is over, and has it told to those who know of it."""
    Alert.objects.filter(kind=kind, subject=subject.key, over_at__isnull=True).update(
        over_at=Now(),
        tell_at=Case(
            When(told=False, then=Value(None)), When(unsteady=True, then=Now() + QUIET), default=Now()
        ),
    )


def told(alert: Alert) -> None:
    """Notes that the administrators know as much as `alert` says; what has changed since is still told.

    Another reason alone is news only of the kind that is told `again`.
    """
    over = alert.over_at is not None
    same = Alert.objects.filter(pk=alert.pk, over_at__isnull=not over)
    if alert.kind == AlertKind.HELD:
        same = same.filter(reason=alert.reason)
    same.update(told=not over, tell_at=None, unsteady=False if over else F("unsteady"))
