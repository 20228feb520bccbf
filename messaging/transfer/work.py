"""The states of an import or export: one process at a time has it, for as long as its lease is renewed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import wakeups
from messaging.models import Transfer
from messaging.models.transfers import WORKING, TransferPart
from messaging.wakeups import Task
from portal.encryption import WrongKey
from portal.models import Membership, Organization

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30  # for which a process has one; it renews it with each batch
KEPT = timedelta(hours=24)  # how long content is kept when there is nothing left to do
PARTS_READ = 10  # at once, when all are searched
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
    ended = {"state": State.CANCELLED, "problem": "", "finished_at": Now(), "due_at": Now() + KEPT}
    return bool(waiting.update(**ended))


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
    """Deletes the content of what has expired; the row stays, and says what was done.

    Raises Stopped if the row is somebody else's by now: a check may have been confirmed at the last moment.
    """
    with transaction.atomic():
        if not _mine(row).update(query=""):
            raise Stopped
        _delete_content(row, _("Upload the file again: what was checked is kept for a day."))


def erase(organization: Organization, mentions: Callable[[str], bool]) -> None:
    """Deletes lists that mention a contact, exported by who administers the organization, or imported.

    Those whose work has not ended are cancelled. Of other people, who may have had a role, it deletes exports
    that name the organization, too. What cannot be decrypted is deleted as if it mentioned the contact.
    """
    # Whoever reads an export now may have read the contact before it was deleted: what they have not stored
    # yet is read again, since the row is not theirs any more.
    exporting = Transfer.objects.filter(state=State.EXPORTING)
    if exporting.update(due_at=Now()):
        wakeups.after_commit(Task.TRANSFER)
    theirs = Membership.objects.filter(
        Q(organization=organization) | Q(organization=None, account=organization.account)
    )
    people = (
        Q(author__in=theirs.values("user"))
        | Q(author__is_operator=True)
        | ~Q(author__in=Membership.objects.values("user"))
    )
    cell = json.dumps(organization.domain, ensure_ascii=False)
    kept = Q(Exists(TransferPart.objects.filter(transfer=OuterRef("pk"))))
    for row in Transfer.objects.filter(people, kept | ~Q(query="")):
        searched = bool(row.query) and mentions(unquote_plus(row.query))
        if _any_part(row, mentions) or (searched and row.state == State.EXPORTING):
            _withdraw(row)
        elif searched:
            Transfer.objects.filter(pk=row.pk).update(query="")
    for row in Transfer.objects.exclude(people).filter(kept, direction=Transfer.Direction.OUT):
        if _any_part(row, lambda said: cell in said and mentions(said), unreadable=False):
            _withdraw(row)


def _any_part(row: Transfer, wanted: Callable[[str], bool], *, unreadable: bool = True) -> bool:
    """Whether a part of the content is wanted; `unreadable` if one cannot be decrypted."""
    try:
        parts = row.parts.values_list("data", flat=True).iterator(chunk_size=PARTS_READ)
        return any(wanted(bytes(data).decode(errors="replace")) for data in parts)
    except WrongKey:
        logger.warning("The content of %s %d cannot be decrypted.", row.get_direction_display(), row.pk)
        return unreadable


def _withdraw(row: Transfer) -> None:
    """Deletes the content of a list that an erased contact is in."""
    if row.direction == Transfer.Direction.OUT:
        problem = _("Export the list again: it may have named a contact who was erased meanwhile.")
    else:
        problem = _("Upload the file again: it may name a contact who was erased meanwhile.")
    with transaction.atomic():
        _delete_content(row, problem)


def _delete_content(row: Transfer, problem: str) -> None:
    """Deletes the content, in the caller's transaction, and cancels what has not ended, for this reason."""
    found = Transfer.objects.filter(pk=row.pk)
    found.update(query="")
    cancelled = {"state": State.CANCELLED, "problem": problem, "finished_at": Now()}
    # Who mails invitations may store a part once more: it is deleted when the lease has ended.
    if not found.filter(state__in=WORKING).update(**cancelled, due_at=_until()):
        found.filter(state=State.CHECKED).update(**cancelled)
        found.update(due_at=None)
    row.parts.all().delete()
