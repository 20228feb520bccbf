"""Tells the admins of an integration by e-mail that its breaker has opened, and that it has closed."""

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

# An e-mail that could not be handed over is tried again.
AGAIN = timedelta(minutes=5)


def send_due() -> None:
    """Tells of every integration that is due, once however many processes do so at the same time."""
    due = Integration.objects.filter(tell_at__lte=Now())
    for key in list(due.values_list("pk", flat=True)[:100]):
        if not due.filter(pk=key).update(tell_at=Now() + AGAIN):
            continue
        integration = Integration.objects.select_related("organization__account", "template").get(pk=key)
        try:
            _tell(integration)
        except OSError as error:  # smtplib's errors are some too
            logger.error("Admins could not be told of %s by e-mail: %s.", integration, error)
        else:
            # What has changed meanwhile is due already, and is told too.
            Integration.objects.filter(pk=key, tell_at__gt=Now()).update(tell_at=None)


def admins_of(integration: Integration) -> list[User]:
    """The people who administer its organization, or the account."""
    organization = integration.organization
    of_organization = Q(organization=organization) & ~Q(role=Membership.Role.USER)
    of_account = Q(
        account=organization.account, organization__isnull=True, role=Membership.Role.ACCOUNT_ADMIN
    )
    members = Membership.objects.filter(of_organization | of_account, status=Membership.Status.ACTIVE)
    return list(User.objects.filter(is_active=True, memberships__in=members).distinct().order_by("pk"))


def _tell(integration: Integration) -> None:
    names = {"service": integration.template.name, "organization": integration.organization.name}
    if integration.paused_until is not None:
        subject = _("%(service)s of %(organization)s is paused") % names
        text = _(
            "%(service)s takes no messages of %(organization)s:\n\n%(reason)s\n\n"
            "Messages wait, and one is tried from time to time. All of them are sent when it works again, "
            "or when you enter other credentials:\n\n%(url)s"
        )
    else:
        subject = _("%(service)s of %(organization)s goes on") % names
        text = _("The messages of %(organization)s that waited for %(service)s are on their way.\n\n%(url)s")
    page = reverse("admin:integrations_setup", args=[integration.organization_id, integration.template_id])
    body = text % {**names, "reason": integration.trouble, "url": f"{settings.PUBLIC_URL}{page}"}
    line = " ".join(subject.split())  # a name may hold anything
    mails = [EmailMessage(line, body, to=[user.email]) for user in admins_of(integration)]
    get_connection().send_messages(mails)
