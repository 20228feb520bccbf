"""Retention: traces go after their days, contents stay."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from messaging.models import DeliveryAttempt, WebhookEvent, WebhookRequest
from messaging.receiving import reports

BATCH = 1000


def run() -> None:
    """Deletes raw webhooks and delivery attempts that are older than the settings keep them."""
    reports.look_at_all()
    waiting = WebhookEvent.objects.filter(
        Q(state=WebhookEvent.State.WAITING)
        | Q(state=WebhookEvent.State.ORPHAN, created_at__gt=Now() - timedelta(hours=reports.ORPHAN_HOURS))
    ).values("request")
    old_requests = WebhookRequest.objects.filter(received_at__lt=Now() - settings.WEBHOOK_RETENTION)
    while keys := list(old_requests.exclude(pk__in=waiting).values_list("pk", flat=True)[:BATCH]):
        WebhookRequest.objects.filter(pk__in=keys).delete()
    old_attempts = DeliveryAttempt.objects.filter(started_at__lt=Now() - settings.ATTEMPT_RETENTION)
    while keys := list(old_attempts.values_list("pk", flat=True)[:BATCH]):
        DeliveryAttempt.objects.filter(pk__in=keys).delete()
