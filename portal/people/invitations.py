"""Inviting people: the link, and the mail with it."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.mail import get_connection
from django.db import transaction
from django.utils.translation import gettext as _

from portal import audit, mail
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
    return send_many([(invitation, url)]) == 1


def send_many(links: Sequence[tuple[Invitation, str]]) -> int:
    """Mails links through one connection; returns how many, from the first, the mail server took."""
    try:
        with get_connection() as connection:
            for number, (invitation, url) in enumerate(links):
                if not mail.send(invitation.email, *_letter(invitation, url), connection=connection):
                    return number
    except mail.ERRORS as error:
        mail.failed(error)
        return 0
    return len(links)


def withdraw(invitations: Sequence[Invitation]) -> None:
    """Ends invitations, whose links open nothing any more."""
    with transaction.atomic():
        audit.record_each(audit.Action.DELETED, invitations)
        Invitation.objects.filter(pk__in=[row.pk for row in invitations]).delete()


def _letter(invitation: Invitation, url: str) -> tuple[str, str]:
    place = invitation.organization or invitation.account
    return _("Invitation to %(place)s") % {"place": place}, _(
        "Hello %(name)s,\n\n%(inviter)s invites you to %(place)s at Patchbay, where people send and "
        "receive text messages. Open this link within a week to accept:\n\n%(url)s\n\n"
        "If you do not expect this, ignore it."
    ) % {"name": invitation.name, "inviter": invitation.inviter, "place": place, "url": url}
