"""An import: the file is checked, its author confirms, and batches of its rows are stored.

Each batch is one transaction, with the progress in it: whoever goes on after a crash neither repeats nor
skips a row. The file is deleted when it is checked; of its rows, encrypted, each part is one batch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction
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
from portal.models import User

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
        kept = [_kept(each, plan) for each, plan in planned(kind, batch)]
        counts.update(each["verdict"] for each in kept)
        with transaction.atomic():  # no part is stored of what was cancelled meanwhile
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
        # At once: an import that is at row 0 would begin again. It is due now, and taken again.
        work.progress(row, lease=0, state=State.INVITING, done=0)
    else:
        work.finish(row, State.FINISHED)


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


def planned(kind: Kind, rows: Iterable[Row]) -> list[tuple[Row, Plan | Wrong]]:
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
        found = planned(kind, [Row(each["row"], each["cells"]) for each in kept])
        kind.store([plan for _row, plan in found if isinstance(plan, Plan)])
    for each, (row, plan) in zip(kept, found, strict=True):
        each.update(_kept(row, plan))
