"""Inviting people: the link, and the mail with it."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from portal import audit, mail
from portal.models import Invitation


def link(invitation: Invitation) -> str:
    """Opens the invitation; returns its link, which `send` mails or somebody passes on."""
    return mail.url("invitation", invitation.open())


def send(invitation: Invitation, url: str) -> bool:
    """Mails the link of an open invitation; returns False, and deletes the invitation, if that fails.

    Call it after the commit: a mail server may be slow, and a transaction would make others wait for it.
    """
    place = invitation.organization or invitation.account
    sent = mail.send(
        invitation.email,
        _("Invitation to %(place)s") % {"place": place},
        _(
            "Hello %(name)s,\n\n%(inviter)s invites you to %(place)s at Patchbay, where people send and "
            "receive text messages. Open this link within a week to accept:\n\n%(url)s\n\n"
            "If you do not expect this, ignore it."
        )
        % {
            "name": invitation.name,
            "inviter": invitation.inviter,
            "place": place,
            "url": url,
        },
    )
    if not sent:
        with transaction.atomic():
            audit.record(audit.Action.DELETED, invitation)
            invitation.delete()
    return sent
