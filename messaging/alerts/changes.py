"""Beginnings and ends of alerts: who is told of them, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from integrations.models import Integration
from messaging.models import Alert, AlertKind, Receiver
from portal.database import bulk
from portal.models import Account, Organization, User

# Trouble that returns within this time is told of when it stays, and its end when it stays away.
QUIET = timedelta(minutes=30)


@dataclass(frozen=True)
class Subject:
    """What an alert is about: an integration, a receiver, an organization, or an account as a whole."""

    of: Integration | Receiver | Organization | Account

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
        if isinstance(self.of, Receiver):
            return {
                "account_id": self.of.account_id,
                "organization_id": self.of.organization_id,
                "receiver_id": self.of.pk,
            }
        if isinstance(self.of, Organization):
            return {"account_id": self.of.account_id, "organization_id": self.of.pk}
        return {"account_id": self.of.pk}


@dataclass(frozen=True)
class State:
    """How something is now: `reason` says what is wrong, and "" that nothing is.

    Trouble for another reason is told `again` if asked.
    """

    kind: AlertKind
    subject: Subject
    reason: str
    again: bool = False


@transaction.atomic
def note(states: Sequence[State]) -> None:
    """Notes trouble that begins and has it told, and what is over, told to those who know of it.

    Trouble that is known already is left alone. Takes few statements, the same for any number of states.
    """
    among = Q(kind__in={state.kind for state in states}, subject__in={state.subject.key for state in states})
    rows = Alert.objects.filter(among).order_by("pk").select_for_update(no_key=True)
    known = {(row.kind, row.subject): row for row in rows}
    new: list[Alert] = []
    changed: dict[_Change, list[Alert]] = defaultdict(list)
    for state in states:
        row = known.get((state.kind, state.subject.key))
        if row is None and state.reason:
            new.append(_alert(state))
        elif row is not None and (change := _change_of(row, state)) is not None:
            row.reason = state.reason or row.reason
            changed[change].append(row)
    # Another process may have noted the same at this moment.
    added = [key for (key,) in bulk.insert(new, "id", ignore_conflicts=True)]
    _update(added, began_at=Now(), tell_at=Now())
    bulk.update([row for those in changed.values() for row in those], "reason")
    for change, those in changed.items():
        _update([row.pk for row in those], **_VALUES[change])


class _Change(Enum):
    REASON, AGAIN, RETURNED, OVER, OVER_UNKNOWN = range(5)


_SOON = Q(over_at__gt=Now() - QUIET)
_VALUES: dict[_Change, dict[str, Any]] = {
    _Change.REASON: {},
    _Change.AGAIN: {"tell_at": Now(), "mailed": []},
    _Change.RETURNED: {
        "began_at": Now(),
        "over_at": None,
        "mailed": [],
        "unsteady": Case(When(_SOON, then=Value(True)), default=Value(False)),
        # Those who were not told yet that it was over need not be told that it is back.
        "tell_at": Case(When(told=True, then=Value(None)), When(_SOON, then=Now() + QUIET), default=Now()),
    },
    _Change.OVER: {
        "over_at": Now(),
        "told": True,
        "mailed": [],
        "tell_at": Case(When(unsteady=True, then=Now() + QUIET), default=Now()),
    },
    _Change.OVER_UNKNOWN: {"over_at": Now(), "tell_at": None},
}


def _change_of(row: Alert, state: State) -> _Change | None:
    """What becomes of an alert; None: nothing."""
    if state.reason and row.over_at is not None:
        return _Change.RETURNED
    if state.reason:
        changed = _Change.AGAIN if state.again else _Change.REASON
        return changed if row.reason != state.reason else None
    if row.over_at is not None:
        return None
    return _Change.OVER if row.told or row.mailed else _Change.OVER_UNKNOWN


def _alert(state: State) -> Alert:
    subject = state.subject
    return Alert(
        kind=state.kind,
        subject=subject.key,
        reason=state.reason,
        began_at=timezone.now(),  # until it has the time of the database
        **subject.keys,
    )


def _update(keys: Sequence[int], **values: Any) -> None:
    if keys and values:
        Alert.objects.filter(pk__in=keys).update(**values)


def told(alert: Alert) -> None:
    """Notes that the administrators know as much as `alert` says; what has changed since is still told.

    Another reason alone is news only of the kind that is told `again`.
    """
    over = alert.over_at is not None
    _same(alert).update(told=not over, tell_at=None, mailed=[], unsteady=False if over else F("unsteady"))


def mailed_to(alert: Alert, user: User) -> None:
    """Notes that somebody has got the mail: if the mail server breaks off, they do not get it again."""
    alert.mailed.append(user.pk)
    _same(alert).update(mailed=alert.mailed)


def _same(alert: Alert) -> QuerySet[Alert]:
    """The alert, unless there is news of it since it was read."""
    same = Alert.objects.filter(pk=alert.pk, over_at__isnull=alert.over_at is None)
    return same.filter(reason=alert.reason) if alert.kind == AlertKind.HELD else same
