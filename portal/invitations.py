"""Inviting people: the link, and the mail with it."""

from __future__ import annotations

from django.utils.translation import gettext as _

from portal import mail
from portal.models import Invitation


def link(invitation: Invitation) -> str:
    """Opens the invitation; its link, for whoever cannot send it by mail."""
    return mail.url("invitation", invitation.open())


def send(invitation: Invitation) -> bool:
    """Opens the invitation and mails its link; returns False, and opens nothing, if no mail can be sent."""
    url = link(invitation)
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
        invitation.delete()
    return sent
