"""Tells administrators by mail, and programs by events, what has begun and what is over."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from smtplib import SMTPRecipientsRefused

from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models.functions import Now

from integrations.models import Integration
from messaging.alerts import wording
from messaging.alerts.changes import mailed_to, told
from messaging.alerts.review import review_integrations, review_receivers
from messaging.models import Alert, AlertChoice, Receiver
from messaging.receivers import outbox
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
    switched = Receiver.objects.to_tell()
    with transaction.atomic():
        if keys := list(switched.values_list("pk", flat=True)[:MOST]):
            switched.filter(pk__in=keys).update(tell_at=None)
            review_receivers(keys)
    due = Alert.objects.filter(tell_at__lte=Now())
    related = due.select_related("account", "organization", "integration__template", "receiver")
    found = list(related.order_by("pk")[:MOST])
    if not found:
        return
    said = {alert.pk: wording.mail(alert) for alert in found}
    # First, since it is noted once however often the mail server refuses.
    with transaction.atomic():
        outbox.note_alerts((alert, said[alert.pk][0], wording.url(alert)) for alert in found)
    wanted = recipients(found)
    for alert in found:
        # One that has changed since is due again.
        same = due.filter(
            pk=alert.pk, reason=alert.reason, over_at__isnull=alert.over_at is None, mailed=alert.mailed
        )
        if same.update(tell_at=Now() + RETRY_AFTER):
            _tell(alert, *said[alert.pk], wanted[alert.pk])


def _tell(alert: Alert, subject: str, text: str, users: Sequence[User]) -> None:
    try:
        with get_connection() as connection:
            for user in users:
                if user.pk in alert.mailed:
                    continue
                try:
                    EmailMessage(subject, text, to=[user.email], connection=connection).send()
                except (SMTPRecipientsRefused, UnicodeError) as error:
                    mail.failed(error)  # this address is refused whenever it is tried; the others are told
                mailed_to(alert, user)
    except mail.ERRORS as error:
        logger.error("Administrators could not be told by email of %s: %s.", alert, error)
    else:
        told(alert)


def recipients(alerts: Collection[Alert]) -> dict[int, list[User]]:
    """By the keys of alerts, the administrators whom they concern, except those who do not want their kind.

    Three queries, for any number of alerts.
    """
    roles = Membership.objects.filter(
        account__in={alert.account_id for alert in alerts},
        status=Membership.Status.ACTIVE,
        user__is_active=True,
    ).exclude(role=Membership.Role.USER)
    places: dict[tuple[int, int | None], set[int]] = defaultdict(set)
    for account, organization, user, role in roles.values_list("account", "organization", "user", "role"):
        if organization or role == Membership.Role.ACCOUNT_ADMIN:
            places[account, organization].add(user)
    keys = set().union(*places.values())
    users = User.objects.in_bulk(keys)
    unwanted = dict(AlertChoice.objects.filter(user__in=keys).values_list("user", "unwanted"))
    return {
        alert.pk: [
            users[key]
            for key in sorted(
                places[alert.account_id, None] | places[alert.account_id, alert.organization_id]
            )
            if alert.kind not in unwanted.get(key, ())
        ]
        for alert in alerts
    }
