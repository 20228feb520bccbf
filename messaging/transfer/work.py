"""The states of an import or export: one process at a time has it, for as long as its lease is renewed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from messaging import wakeups
from messaging.models import Transfer
from messaging.models.transfers import WORKING
from messaging.wakeups import Task
from portal.models import Membership, Organization

LEASE_SECONDS = 30  # for which a process has one; it renews it with each batch
KEPT = timedelta(hours=24)  # how long content is kept when there is nothing left to do
State = Transfer.State


class Stopped(Exception):
    """Somebody cancelled it, or another process has taken it over."""


class NotAllowed(Exception):
    """The author may not enter the administration any more."""


def check_author(row: Transfer) -> None:
    """Raises NotAllowed for an author who has left, or is no administrator any more."""
    if not (row.author.is_active and row.author.is_staff):
        raise NotAllowed


def wake(row: Transfer) -> None:
    """Makes the row due now, and has the task look once the transaction is committed."""
    Transfer.objects.filter(pk=row.pk).update(due_at=Now())
    wakeups.after_commit(Task.TRANSFER)


def release() -> None:
    """Makes due what a process that has died had; to be called when there is no other process."""
    Transfer.objects.filter(
        due_at__isnull=False, state__in=(State.CHECKING, State.IMPORTING, State.EXPORTING)
    ).update(due_at=Now())


def progress(row: Transfer, *, lease: float = LEASE_SECONDS, **values: Any) -> None:
    """Stores how far it has come, and keeps the lease. Raises Stopped if it is somebody else's by now."""
    values["due_at"] = _until(lease)
    if not _mine(row).update(**values):
        raise Stopped
    for name, value in values.items():
        setattr(row, name, value)


def finish(row: Transfer, state: State, problem: str = "") -> None:
    """Ends the work; the content is deleted later. Raises Stopped if the row is somebody else's by now."""
    if not _mine(row).update(state=state, problem=problem, finished_at=Now(), due_at=Now() + KEPT):
        raise Stopped


def cancel(row: Transfer) -> bool:
    """Stops the work; what is imported already stays. Returns whether there was anything to stop."""
    waiting = Transfer.objects.filter(pk=row.pk, state__in=(*WORKING, State.CHECKED))
    return bool(waiting.update(state=State.CANCELLED, finished_at=Now(), due_at=Now() + KEPT))


def claim() -> Transfer | None:
    """Takes one of the rows that are due longest, for the time of the lease; None if nothing is due."""
    due = Transfer.objects.filter(due_at__lte=Now()).order_by("due_at")
    for key in due.values_list("pk", flat=True)[:10]:
        if due.filter(pk=key).update(due_at=_until()):
            return Transfer.objects.select_related("author").get(pk=key)
    return None


def _until(seconds: float = LEASE_SECONDS) -> datetime:
    """The end of a lease that begins now; no two are the same, so that its owner knows it by that."""
    return timezone.now() + timedelta(seconds=seconds)


def _mine(row: Transfer) -> QuerySet[Transfer]:
    """The row as long as nobody has cancelled it, or taken it over."""
    return Transfer.objects.filter(pk=row.pk, state=row.state, due_at=row.due_at)


def forget(row: Transfer) -> None:
    """Deletes the content of what has expired; the row stays, and says what was done."""
    row.parts.all().delete()
    Transfer.objects.filter(pk=row.pk).update(due_at=None)


def erase(organization: Organization, mentions: Callable[[str], bool]) -> None:
    """Deletes lists that mention a contact, exported by who administers the organization, or imported.

    Only those whose work has ended: what is being read now has been read without the contact.
    """
    theirs = Membership.objects.filter(
        Q(organization=organization) | Q(organization=None, account=organization.account)
    )
    people = Q(author__in=theirs.values("user")) | Q(author__is_operator=True)
    for row in Transfer.objects.filter(people):
        if row.query and mentions(unquote_plus(row.query)):
            Transfer.objects.filter(pk=row.pk).update(query="")
        if row.finished_at is not None and any(mentions(part.decode()) for part in row.read()):
            forget(row)
