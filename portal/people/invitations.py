"""Inviting people: the link, and the mail with it."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils.translation import gettext as _

from portal import audit, mail, throttling
from portal.models import Invitation, User


def link(invitation: Invitation) -> str:
    """Opens the invitation; returns its link, which `send` mails or somebody passes on."""
    return mail.url("invitation", invitation.open())


def renew(invitation: Invitation, inviter: User) -> str:
    """Opens the invitation again for a week, in the name of who does so; the earlier link ends with it."""
    with transaction.atomic():
        invitation.inviter = inviter
        url = mail.url("invitation", invitation.renew())
        audit.record(audit.Action.INVITED_AGAIN, invitation)
    return url


def send(invitation: Invitation, url: str) -> bool:
    """Mails the link of an open invitation; returns whether the mail server took it.

    Call it after the commit: a mail server may be slow, and a transaction would make others wait for it.
    """
    return mail.send(invitation.email, *_letter(invitation, url))


def send_over(connection: BaseEmailBackend, invitation: Invitation, url: str) -> None:
    """Mails the link over an open connection to the mail server. Raises one of `mail.ERRORS`."""
    mail.deliver(invitation.email, *_letter(invitation, url), connection)


def wait(inviter: User, number: int = 1) -> int | None:
    """Counts so many invitations; if they are too many, counts none and returns the seconds to wait.

    Each way to invite counts here, so that no other way has a limit of its own.
    """
    counter = _counter(inviter)
    seconds = throttling.count(counter, Invitation.MOST_PER_HOUR, throttling.HOUR, number)
    if seconds is not None:
        throttling.take_back(counter, throttling.HOUR, number)
    return seconds


def take_back(inviter: User) -> None:
    """Undoes the count of one invitation that nobody got."""
    throttling.take_back(_counter(inviter), throttling.HOUR)


def too_many(seconds: int) -> str:
    """What somebody is told who has to wait for so long."""
    return _(
        "You can invite at most %(most)d people in an hour, by hand and in lists together. "
        "Go on in %(minutes)d minutes."
    ) % {"most": Invitation.MOST_PER_HOUR, "minutes": -(-seconds // 60)}


def withdraw(invitations: Sequence[Invitation]) -> None:
    """Ends invitations, whose links open nothing any more."""
    with transaction.atomic():
        audit.record_each(audit.Action.DELETED, invitations)
        Invitation.objects.filter(pk__in=[row.pk for row in invitations]).delete()


def _counter(inviter: User) -> str:
    return f"invitations:{inviter.pk}"


def _letter(invitation: Invitation, url: str) -> tuple[str, str]:
    place = invitation.organization or invitation.account
    return _("Invitation to %(place)s") % {"place": place}, _(
        "Hello %(name)s,\n\n%(inviter)s invites you to %(place)s at Patchbay, where people send and "
        "receive text messages. Open this link within a week to accept:\n\n%(url)s\n\n"
        "If you do not expect this, ignore it."
    ) % {"name": invitation.name, "inviter": invitation.inviter, "place": place, "url": url}
