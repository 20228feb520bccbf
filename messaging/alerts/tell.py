"""Tells administrators by mail what has begun and what is over."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPRecipientsRefused

from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from integrations.models import Integration
from messaging.alerts import wording
from messaging.alerts.changes import told
from messaging.alerts.review import review_integrations
from messaging.models import Alert, AlertChoice
from portal import mail
from portal.models import Membership, User

logger = logging.getLogger(__name__)

# When it is tried again to send what the mail server did not accept.
RETRY_AFTER = timedelta(minutes=5)
MOST = 100  # of a turn


def send_due() -> None:
    """Sends all notifications that are due, each once, even if several processes do this at a time."""
    changed = Integration.objects.filter(tell_at__lte=Now())
    with transaction.atomic():
        if keys := list(changed.values_list("pk", flat=True)[:MOST]):
            # Before the look: what changes after it is due again.
            changed.filter(pk__in=keys).update(tell_at=None)
            review_integrations(keys)
    due = Alert.objects.filter(tell_at__lte=Now())
    for key in list(due.values_list("pk", flat=True)[:MOST]):
        if due.filter(pk=key).update(tell_at=Now() + RETRY_AFTER):
            rows = Alert.objects.select_related("account", "organization", "integration__template")
            _tell(rows.get(pk=key))


def _tell(alert: Alert) -> None:
    subject, text = wording.mail(alert)
    try:
        with get_connection() as connection:
            for user in recipients(alert):
                try:
                    EmailMessage(subject, text, to=[user.email], connection=connection).send()
                except (SMTPRecipientsRefused, UnicodeError) as error:
                    mail.failed(error)  # this address is refused whenever it is tried; the others are told
    except OSError as error:  # the base class of smtplib's errors, too
        logger.error("Administrators could not be told by email of %s: %s.", alert, error)
    else:
        told(alert)


def recipients(alert: Alert) -> list[User]:
    """The administrators whom the alert concerns, except those who do not want its kind."""
    reach = Q(account=alert.account, organization__isnull=True, role=Membership.Role.ACCOUNT_ADMIN)
    if alert.organization is not None:
        reach |= Q(organization=alert.organization) & ~Q(role=Membership.Role.USER)
    members = Membership.objects.filter(reach, status=Membership.Status.ACTIVE)
    users = User.objects.filter(is_active=True, memberships__in=members).distinct().order_by("pk")
    choices = AlertChoice.objects.filter(user__in=users)
    unwanted = {choice.user_id for choice in choices if alert.kind in choice.unwanted}
    return [user for user in users if user.pk not in unwanted]
