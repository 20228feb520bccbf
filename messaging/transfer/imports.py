"""An import: the file is checked, its author confirms, and batches of its rows are stored.

Each batch is one transaction, with the progress in it: whoever goes on after a crash neither repeats nor
skips a row. The file is deleted when it is checked; of its rows, encrypted, each part is one batch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.models import Transfer
from messaging.transfer import cells, tables, work
from messaging.transfer.contacts import Contacts, OptOuts
from messaging.transfer.kinds import Kind, Plan, Row, Verdict, Wrong
from messaging.transfer.numbers import Numbers
from messaging.transfer.organizations import Organizations
from messaging.transfer.users import Users
from messaging.transfer.work import State
from portal import audit, throttling
from portal.models import Invitation, User
from portal.people import invitations

KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (Organizations, Users, Numbers, Contacts, OptOuts)
}
BATCH = 200  # rows in a transaction, and in a part
PART = 512 * 1024  # bytes of a file
# Seconds between two batches: SQLite has no queue of writers, so that others would hardly get their turn.
PAUSE = 0.1
MOST_NAMED = 8  # unknown columns in a sentence
# What is kept of a row: its number, verdict, name, changes or [column, sentence], and cells.
Kept = dict[str, Any]


class Refused(Exception):
    """Why a file is not accepted, in a sentence."""


def start(user: User, kind: str, name: str, content: bytes) -> Transfer:
    """Takes a file, which a task checks. Raises Refused for one that is too large or empty."""
    if not content:
        raise Refused(_("The file is empty."))
    if len(content) > tables.MAX_BYTES:
        raise Refused(
            _("The file is larger than %(most)d MB. Split it.") % {"most": tables.MAX_BYTES // 1024 // 1024}
        )
    with transaction.atomic():
        row = Transfer.objects.create(
            author=user, direction=Transfer.Direction.IN, kind=kind, name=name[-120:], state=State.CHECKING
        )
        for place, begin in enumerate(range(0, len(content), PART)):
            row.add_part(place, content[begin : begin + PART], role="file")
        work.wake(row)
    return row


def confirm(row: Transfer) -> bool:
    """Starts to store what was checked; returns False if it is too late or there is nothing to store."""
    if not any(row.counts.get(verdict) for verdict in (Verdict.NEW, Verdict.CHANGED, Verdict.INVITED)):
        return False
    with transaction.atomic():
        checked = Transfer.objects.filter(pk=row.pk, state=State.CHECKED)
        if not checked.update(state=State.IMPORTING, done=0, counts={}, finished_at=None):
            return False
        work.wake(row)
    return True


def check(row: Transfer) -> None:
    """Says of each row what it will do; stores nothing else, and begins anew after a crash."""
    row.parts.filter(role="rows").delete()
    # Nobody else shall begin to read it meanwhile.
    work.progress(row, lease=cells.READ_SECONDS + work.LEASE_SECONDS)
    kind = KINDS[row.kind](row.author)
    try:
        rows = _rows(kind, tables.read(b"".join(row.read("file"))))
    except cells.Unreadable as error:
        row.parts.all().delete()
        work.finish(row, State.FAILED, str(error))
        return
    work.progress(row, total=len(rows), done=0)
    counts: Counter[str] = Counter()
    for place, begin in enumerate(range(0, len(rows), BATCH)):
        batch = rows[begin : begin + BATCH]
        kept = [_kept(each, plan) for each, plan in _planned(kind, batch)]
        counts.update(each["verdict"] for each in kept)
        row.add_part(place, kept)
        work.progress(row, done=begin + len(batch), counts=dict(counts))
    with transaction.atomic():
        row.parts.filter(role="file").delete()
        work.finish(row, State.CHECKED)


def carry_out(row: Transfer) -> None:
    """Stores the rows that were found right, batch by batch, from where it was stopped."""
    while row.done < row.total:
        with transaction.atomic():
            locked = Transfer.objects.select_for_update().filter(pk=row.pk, state=State.IMPORTING).first()
            if locked is None:
                raise work.Stopped
            # As they are now: rights may have been lost since the last batch.
            row.author = User.objects.get(pk=row.author_id)
            work.check_author(row)
            place = locked.done // BATCH
            kept = row.part(place)
            _store(row, kept)
            row.add_part(place, kept)
            counts = Counter(locked.counts) + Counter(each["verdict"] for each in kept)
            work.progress(row, done=min(locked.done + BATCH, row.total), counts=dict(counts))
        time.sleep(PAUSE)
    if row.counts.get(Verdict.INVITED):
        work.progress(row, done=0)
        Transfer.objects.filter(pk=row.pk, state=State.IMPORTING).update(state=State.INVITING, due_at=Now())
    else:
        work.finish(row, State.FINISHED)


def invite(row: Transfer) -> None:
    """Mails the invitations, as many in an hour as somebody may write by hand; the rest is due later."""
    place = 0
    while kept := row.part(place):
        for each in kept:
            if each["verdict"] != Verdict.INVITED or each.get("mailed"):
                continue
            work.progress(row)
            counter = f"invitations:{row.author_id}"
            wait = throttling.count(counter, Invitation.MOST_PER_HOUR, throttling.HOUR)
            if wait is not None:
                mine = Transfer.objects.filter(pk=row.pk, state=State.INVITING)
                mine.update(due_at=Now() + timedelta(seconds=wait))
                raise work.Stopped
            with transaction.atomic():
                # Whoever goes on here after a stop mails what was opened before it.
                if problem := _open(row.author, each):
                    each.update(verdict=Verdict.WRONG, changes={}, problem=["email", problem])
                row.add_part(place, kept)
            if not problem:
                _mail(row.author, each)
            row.add_part(place, kept)
            work.progress(row, done=row.done + 1)
        place += 1
    work.finish(row, State.FINISHED)


def _open(author: User, kept: Kept) -> str:
    """Opens the invitation of one person, in the caller's transaction; returns what is in the way."""
    if "invitation" in kept:
        return ""
    kind = Users(author)
    ((_row, plan),) = _planned(kind, [Row(kept["row"], kept["cells"])])
    if isinstance(plan, Wrong):
        return str(plan)
    if plan.verdict != Verdict.INVITED:
        kept["mailed"] = True  # they have been invited by somebody else meanwhile
        return ""
    invitation: Invitation = plan.row
    if not invitation.is_allowed():
        return _("You cannot give this role.")
    with audit.covered():
        invitations.link(invitation)
        audit.record_rows([(audit.Action.ADDED, invitation, {}, None)], author)
    kept["invitation"] = invitation.pk
    return ""


def _mail(author: User, kept: Kept) -> None:
    """Mails the link of an invitation that was opened; one that cannot be mailed is withdrawn."""
    invitation = Invitation.objects.filter(pk=kept.get("invitation") or 0, inviter=author).first()
    if invitation is not None and not kept.get("mailed"):
        with audit.covered():
            link = invitations.link(invitation)
        if not invitations.send(invitation, link):
            invitations.withdraw([invitation])
            problem = _("The invitation could not be mailed. Import the row again later.")
            kept.update(verdict=Verdict.WRONG, changes={}, problem=["email", problem])
            return
    kept["mailed"] = True


def _rows(kind: Kind, table: Sequence[Sequence[str]]) -> list[Row]:
    """The rows after the header, without empty ones. Raises Unreadable."""
    if not table:
        raise cells.Unreadable(_("The file is empty."))
    names = [name.strip().lower().replace(" ", "_") for name in table[0]]
    known = kind.header()
    advice = _("The first row has to name the columns: %(columns)s.") % {"columns": ", ".join(known)}
    if unknown := [f"“{name[:40]}”" for name in dict.fromkeys(names) if name and name not in known]:
        said = ngettext(
            "The column %(columns)s is unknown.", "The columns %(columns)s are unknown.", len(unknown)
        )
        raise cells.Unreadable(said % {"columns": ", ".join(unknown[:MOST_NAMED])} + " " + advice)
    for name in names:
        if name and names.count(name) > 1:
            raise cells.Unreadable(_("The column “%(column)s” comes twice.") % {"column": name})
    for column in kind.columns:
        if column.required and column.name not in names:
            raise cells.Unreadable(
                _("The column “%(column)s” is missing.") % {"column": column.name} + " " + advice
            )
    found = [
        Row(number, {name: cell for name, cell in zip(names, cells, strict=False) if name})
        for number, cells in enumerate(table[1:], start=2)
        if any(cells)
    ]
    if not found:
        raise cells.Unreadable(_("The file has no rows besides the names of the columns."))
    return found


def _planned(kind: Kind, rows: Iterable[Row]) -> list[tuple[Row, Plan | Wrong]]:
    """What each row will do, or what is wrong with it."""
    batch = list(rows)
    kind.load(batch)
    found: list[tuple[Row, Plan | Wrong]] = []
    for row in batch:
        try:
            found.append((row, kind.plan(row)))
        except Wrong as error:
            found.append((row, error))
    return found


def _kept(row: Row, plan: Plan | Wrong) -> Kept:
    if isinstance(plan, Wrong):
        name = next((cell for cell in row.cells.values() if cell), "")
        about: Kept = {"verdict": Verdict.WRONG, "name": name, "problem": [plan.column, str(plan)]}
    else:
        about = {"verdict": plan.verdict, "name": plan.name, "changes": plan.changes}
    return {"row": row.number, **about, "cells": dict(row.cells)}


def _store(transfer: Transfer, kept: list[Kept]) -> None:
    """Stores the rows of a batch, and notes in `kept` what became of them."""
    wanted = [each for each in kept if each["verdict"] in (Verdict.NEW, Verdict.CHANGED)]
    try:
        _store_together(transfer, wanted)
    except IntegrityError:
        # Somebody else has just stored one of them: row by row it is found out which.
        for each in wanted:
            try:
                _store_together(transfer, [each])
            except IntegrityError:
                problem = _("Somebody else has just stored the same. Import the row again.")
                each.update(verdict=Verdict.WRONG, changes={}, problem=["", problem])


def _store_together(transfer: Transfer, kept: list[Kept]) -> None:
    kind = KINDS[transfer.kind](transfer.author)
    with transaction.atomic():
        planned = _planned(kind, [Row(each["row"], each["cells"]) for each in kept])
        kind.store([plan for _row, plan in planned if isinstance(plan, Plan)])
    for each, (row, plan) in zip(kept, planned, strict=True):
        each.update(_kept(row, plan))
