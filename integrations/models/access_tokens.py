"""The access tokens of integrations."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from integrations.models.integrations import Integration
from portal.encryption import EncryptedJSONField


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def good(self) -> AccessTokenQuerySet:
        """The tokens that have been granted and have not expired."""
        return self.exclude(granted_at=None).exclude(expires_at__lte=timezone.now())

    def due(self) -> AccessTokenQuerySet:
        """The tokens to renew now, of integrations that are in use and not held; no process is at it."""
        now = timezone.now()
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        # One that is switched off needs access until it is unsubscribed.
        used = Q(integration__enabled=True) | Q(integration__subscription__subscribed_at__isnull=False)
        return self.filter(free, used, renew_at__lte=now, integration__holds_messages=False)


class AccessToken(models.Model):
    """An integration's access and refresh token, encrypted; renewed under a lease with the number `fence`."""

    integration = models.OneToOneField(Integration, models.CASCADE, related_name="access_token")
    secrets = EncryptedJSONField(default=dict)  # access_token, refresh_token
    granted_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    renew_at = models.DateTimeField(null=True, db_index=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    refused_at = models.DateTimeField(null=True)  # when a 401 last caused a renewal

    objects = AccessTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Access token of {self.integration}"

    @property
    def is_good(self) -> bool:
        """Whether there is a token that has not expired."""
        return self.granted_at is not None and (self.expires_at is None or self.expires_at > timezone.now())
