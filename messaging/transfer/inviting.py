"""The people of an import, or of a list that was pasted, are invited by mail, one after the other.

The mail of one person needs a moment, and those of many more time than a request has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from messaging.models import Transfer
from messaging.transfer import work
from messaging.transfer.imports import BATCH, Kept, planned
from messaging.transfer.kinds import Row, Verdict, Wrong
from messaging.transfer.users import Users
from messaging.transfer.work import State
from portal import audit
from portal.models import Invitation, User
from portal.people import invitations, invite_many


def start(inviter: User, lines: Sequence[invite_many.Line]) -> Transfer:
    """Has the people of good lines invited by the task, which judges the lines again."""
    kept = [
        {
            "row": line.number,
            "verdict": Verdict.INVITED,
            "name": line.invitation.email,
            "changes": {},
            "line": line.cells,
        }
        for line in lines
        if line.invitation
    ]
    with transaction.atomic():
        row = Transfer.objects.create(
            author=inviter,
            direction=Transfer.Direction.IN,
            kind=Users.name,
            state=State.INVITING,
            total=len(kept),
            counts={Verdict.INVITED: len(kept)},
        )
        for place, begin in enumerate(range(0, len(kept), BATCH)):
            row.add_part(place, kept[begin : begin + BATCH])
        work.wake(row)
    return row


def carry_out(row: Transfer) -> None:
    """Mails the invitations, as many in an hour as their author may write; the rest is due later."""
    place = 0
    while kept := row.part(place):
        for each in kept:
            if each["verdict"] != Verdict.INVITED or each.get("mailed"):
                continue
            work.progress(row)
            seconds = invitations.wait(row.author)
            if seconds is not None:
                mine = Transfer.objects.filter(pk=row.pk, state=State.INVITING)
                mine.update(due_at=Now() + timedelta(seconds=seconds))
                raise work.Stopped
            with transaction.atomic():
                # Whoever goes on here after a stop mails what was opened before it.
                _open(row, each)
                row.add_part(place, kept)
            if each["verdict"] == Verdict.INVITED:
                _mail(row.author, each)
            row.add_part(place, kept)
            work.progress(row, done=row.done + 1)
        place += 1
    counts = Counter(each["verdict"] for part in row.rows() for each in part)
    work.progress(row, counts=dict(counts))
    work.finish(row, State.FINISHED)


def _open(row: Transfer, kept: Kept) -> None:
    """Opens the invitation of one person, or notes what is in the way, in the caller's transaction."""
    if "invitation" in kept:
        return
    try:
        invitation = _wanted(row, kept)
    except Wrong as error:
        _note(kept, error)
        return
    if invitation is None:
        kept["mailed"] = True  # they have been invited by somebody else meanwhile
        return
    with audit.covered():
        invitations.link(invitation)
        audit.record_rows([(audit.Action.ADDED, invitation, {}, None)], row.author)
    kept["invitation"] = invitation.pk


def _wanted(row: Transfer, kept: Kept) -> Invitation | None:
    """The invitation as rights and roles are now; None if it needs none any more. Raises Wrong."""
    if "line" in kept:
        (line,) = invite_many.judge([(kept["row"], kept["line"])], row.author)
        if line.invitation is None:
            raise Wrong("", line.problem)
        # Who presses twice has two lists with the same people.
        meanwhile = line.invitation.like_this().filter(created_at__gt=row.created_at)
        return None if meanwhile.exists() else line.invitation
    ((_row, plan),) = planned(Users(row.author), [Row(kept["row"], kept["cells"])])
    if isinstance(plan, Wrong):
        raise plan
    if plan.verdict != Verdict.INVITED:
        return None
    invitation: Invitation = plan.row
    if not invitation.is_allowed():
        raise Wrong("email", _("You cannot give this role."))
    return invitation


def _mail(author: User, kept: Kept) -> None:
    """Mails the link of an invitation that was opened; one that cannot be mailed is withdrawn."""
    invitation = Invitation.objects.filter(pk=kept.get("invitation") or 0, inviter=author).first()
    if invitation is not None and not kept.get("mailed"):
        with audit.covered():
            link = invitations.link(invitation)
        if not invitations.send(invitation, link):
            invitations.withdraw([invitation])
            _note(kept, Wrong("email", _("The invitation could not be mailed. Invite them again later.")))
            return
    kept["mailed"] = True


def _note(kept: Kept, error: Wrong) -> None:
    kept.update(verdict=Verdict.WRONG, changes={}, problem=[error.column, str(error)])
