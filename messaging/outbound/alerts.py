"""Notifies administrators by email when the circuit breaker of an integration opens or closes."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import Integration
from portal.models import Membership, User

logger = logging.getLogger(__name__)

# When a notification is retried that the mail server did not accept.
RETRY_AFTER = timedelta(minutes=5)


def send_due() -> None:
    """Sends all notifications that are due, each once, even if several processes do this at a time."""
    due = Integration.objects.filter(tell_at__lte=Now())
    for key in list(due.values_list("pk", flat=True)[:100]):
        if not due.filter(pk=key).update(tell_at=Now() + RETRY_AFTER):
            continue
        integration = Integration.objects.select_related("organization__account", "template").get(pk=key)
        try:
            _notify(integration)
        except OSError as error:  # the base class of smtplib's errors, too
            logger.error("Administrators could not be notified about %s by email: %s.", integration, error)
        else:
            # If the breaker has changed meanwhile, another notification is due already and must be kept.
            Integration.objects.filter(pk=key, tell_at__gt=Now()).update(tell_at=None)


def admins_of(integration: Integration) -> list[User]:
    """The users who administer the integration's organization, or its account."""
    organization = integration.organization
    of_organization = Q(organization=organization) & ~Q(role=Membership.Role.USER)
    of_account = Q(
        account=organization.account, organization__isnull=True, role=Membership.Role.ACCOUNT_ADMIN
    )
    members = Membership.objects.filter(of_organization | of_account, status=Membership.Status.ACTIVE)
    return list(User.objects.filter(is_active=True, memberships__in=members).distinct().order_by("pk"))


def _notify(integration: Integration) -> None:
    names = {"provider": integration.template.name, "organization": integration.organization.name}
    if integration.held_since is not None:
        subject = _("%(provider)s needs your confirmation for %(organization)s") % names
        text = _(
            "%(reason)s\n\n"
            "Until you confirm it, Patchbay sends nothing there, and what needs it waits. Confirm only an "
            "address that you know to be the provider's:\n\n%(url)s"
        )
    elif integration.paused_until is not None:
        subject = _("%(provider)s is paused for %(organization)s") % names
        text = _(
            "Messages of %(organization)s cannot be sent through %(provider)s at the moment:\n\n"
            "%(reason)s\n\n"
            "The messages wait in the queue, and Patchbay sends a single one from time to time. The others "
            "follow when it is accepted, or when you save other credentials:\n\n%(url)s"
        )
    elif integration.arrival_trouble:
        subject = _("%(provider)s sends again for %(organization)s, but nothing arrives") % names
        text = _(
            "The waiting messages of %(organization)s are being sent through %(provider)s. But it cannot be "
            "asked for what has arrived:\n\n%(reason)s\n\n%(url)s"
        )
    else:
        subject = _("%(provider)s has recovered for %(organization)s") % names
        text = _(
            "%(provider)s works again. The waiting messages of %(organization)s are being sent.\n\n%(url)s"
        )
    page = reverse("admin:integrations_setup", args=[integration.organization_id, integration.template_id])
    body = text % {
        **names,
        "reason": integration.held_reason or integration.problem,
        "url": f"{settings.PUBLIC_URL}{page}",
    }
    line = " ".join(subject.split())  # names may contain line breaks
    mails = [EmailMessage(line, body, to=[user.email]) for user in admins_of(integration)]
    get_connection().send_messages(mails)
