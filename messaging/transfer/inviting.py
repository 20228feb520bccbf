"""The people of an import, or of a list that was pasted, are invited by mail, one after the other.

The mail of one person needs a moment, and those of many more time than a request has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from smtplib import SMTPDataError, SMTPRecipientsRefused
from typing import NoReturn

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils.translation import gettext as _

from messaging.models import Transfer
from messaging.transfer import work
from messaging.transfer.imports import BATCH, Kept, planned
from messaging.transfer.kinds import Row, Verdict, Wrong
from messaging.transfer.users import Users
from messaging.transfer.work import State
from portal import audit, mail
from portal.models import Invitation, User
from portal.people import invitations, invite_many

RETRY_SECONDS = 300  # until a mail server that does not answer is asked again
# Among the counts: how many of the invited have got their mail, until that is all of them.
MAILED = "mailed"


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
    """Mails the invitations by one connection, as many in an hour as their author may write.

    The rest is due later: in the next hour, or in some minutes if the mail server does not answer.
    """
    try:
        with get_connection() as connection:
            _invite(row, connection)
    except mail.ERRORS as error:
        mail.failed(error)
        _put_off(
            row,
            RETRY_SECONDS,
            _(
                "The mail server does not answer, or takes no mail now. The others are invited by themselves "
                "as soon as it does: it is asked again in some minutes."
            ),
        )
    counts = Counter(each["verdict"] for part in row.rows() for each in part)
    work.progress(row, counts=dict(counts))
    work.finish(row, State.FINISHED)


def _invite(row: Transfer, connection: BaseEmailBackend) -> None:
    """Invites one after the other; raises one of `mail.ERRORS` if the mail server stops."""
    work.progress(row, problem="")
    place = 0
    while kept := row.part(place):
        for each in kept:
            if each["verdict"] != Verdict.INVITED or each.get("mailed"):
                continue
            work.progress(row)
            if (seconds := invitations.wait(row.author)) is not None:
                _put_off(row, seconds)
            with transaction.atomic():
                # Whoever goes on here after a stop mails what was opened before it.
                _open(row.author, each)
                row.add_part(place, kept)
            error = _mail(row.author, each, connection)
            with transaction.atomic():
                if error is not None:
                    _withdraw(each, error)
                row.add_part(place, kept)
                _count(row, each)
            if not each.get("mailed"):
                invitations.take_back(row.author)
            if error is not None and each["verdict"] == Verdict.INVITED:
                raise error
        place += 1


def _put_off(row: Transfer, seconds: int, problem: str = "") -> NoReturn:
    """Puts the rest off for this many seconds."""
    work.progress(row, lease=seconds, problem=problem)
    raise work.Stopped


def _count(row: Transfer, kept: Kept) -> None:
    """Counts what became of a person, also if somebody has cancelled meanwhile: the mail is out."""
    if kept["verdict"] == Verdict.INVITED and not kept.get("mailed"):
        return
    counts = Counter(row.counts)
    counts[Verdict.INVITED] -= 1
    counts[kept["verdict"]] += 1
    counts[MAILED] += kept["verdict"] == Verdict.INVITED
    row.counts, row.done = dict(counts), row.done + 1
    Transfer.objects.filter(pk=row.pk).update(counts=row.counts, done=row.done)


def _open(author: User, kept: Kept) -> None:
    """Opens the invitation of one person, or notes what is in the way, in the caller's transaction."""
    if "invitation" in kept:
        return
    # Of two lists with the same person the second waits here, and finds that they are invited.
    User.objects.select_for_update(no_key=True).get(pk=author.pk)
    try:
        invitation = _wanted(author, kept)
    except Wrong as error:
        _note(kept, error)
        return
    if invitation is None:
        kept.update(verdict=Verdict.SAME, changes={})
        return
    with audit.covered():
        invitations.link(invitation)
        audit.record_rows([(audit.Action.ADDED, invitation, {}, None)], author)
    kept["invitation"] = invitation.pk


def _wanted(author: User, kept: Kept) -> Invitation | None:
    """The invitation as rights and roles are now; None if they have it already. Raises Wrong."""
    if "line" in kept:
        (line,) = invite_many.judge([(kept["row"], kept["line"])], author)
        if line.invitation is None:
            raise Wrong("", line.problem)
        return None if line.invitation.is_open_already() else line.invitation
    ((_row, plan),) = planned(Users(author), [Row(kept["row"], kept["cells"])])
    if isinstance(plan, Wrong):
        raise plan
    if plan.verdict != Verdict.INVITED:
        return None
    invitation: Invitation = plan.row
    if not invitation.is_allowed():
        raise Wrong("email", _("You cannot give this role."))
    return invitation


def _mail(author: User, kept: Kept, connection: BaseEmailBackend) -> OSError | UnicodeError | None:
    """Mails the link of an invitation that was opened; returns why the mail server did not take it."""
    if kept["verdict"] != Verdict.INVITED:
        return None
    invitation = Invitation.objects.filter(pk=kept["invitation"], inviter=author).first()
    if invitation is not None:
        with audit.covered():
            link = invitations.link(invitation)
        try:
            invitations.send_over(connection, invitation, link)
        except mail.ERRORS as error:
            return error
    kept["mailed"] = True
    return None


def _withdraw(kept: Kept, error: OSError | UnicodeError) -> None:
    """Ends an invitation that was not mailed; it is tried again, unless its address is what was refused."""
    invitations.withdraw(list(Invitation.objects.filter(pk=kept.pop("invitation"))))
    of_address = isinstance(error, SMTPRecipientsRefused | SMTPDataError | UnicodeError)
    if of_address and (kept.get("tried") or not _is_temporary(error)):
        mail.failed(error)
        problem = _("The invitation could not be mailed to this address. Check it, and invite them again.")
        _note(kept, Wrong("email", problem))
    kept["tried"] = of_address  # a second time it holds up nobody else


def _is_temporary(error: Exception) -> bool:
    """Whether the mail server says that it may take a letter to this address later."""
    if isinstance(error, SMTPRecipientsRefused):
        return any(code < 500 for code, _said in error.recipients.values())
    return isinstance(error, SMTPDataError) and error.smtp_code < 500


def _note(kept: Kept, error: Wrong) -> None:
    kept.update(verdict=Verdict.WRONG, changes={}, problem=[error.column, str(error)])
