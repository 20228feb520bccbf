"""Retention: old traces are deleted, contents stay."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from messaging.inbound import delivery_reports
from messaging.models import DeliveryAttempt, WebhookEvent, WebhookRequest
from messaging.statuses import EventState
from portal.models import AuditEntry

BATCH = 1000


def clean_up() -> None:
    """Deletes webhooks, delivery attempts and audit entries that are older than the settings keep them."""
    delivery_reports.release_all()
    waiting = WebhookEvent.objects.filter(
        Q(state=EventState.WAITING)
        | Q(
            state=EventState.ORPHAN,
            created_at__gt=Now() - timedelta(hours=delivery_reports.ORPHAN_HOURS),
        )
    ).values("request")
    old_requests = WebhookRequest.objects.filter(received_at__lt=Now() - settings.WEBHOOK_RETENTION)
    while keys := list(old_requests.exclude(pk__in=waiting).values_list("pk", flat=True)[:BATCH]):
        WebhookRequest.objects.filter(pk__in=keys).delete()
    old_attempts = DeliveryAttempt.objects.filter(started_at__lt=Now() - settings.ATTEMPT_RETENTION)
    while keys := list(old_attempts.values_list("pk", flat=True)[:BATCH]):
        DeliveryAttempt.objects.filter(pk__in=keys).delete()
    AuditEntry.objects.expire(timezone.now() - settings.AUDIT_RETENTION)
