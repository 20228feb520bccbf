"""What OAuth2 gave an integration."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from integrations.models.integrations import Integration
from portal.encryption import EncryptedJSONField


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def good(self) -> AccessTokenQuerySet:
        """Those that are there and have not expired."""
        return self.exclude(granted_at=None).exclude(expires_at__lte=timezone.now())


class AccessToken(models.Model):
    """An access token and what renews it: encrypted, renewed under a lease that `fence` tells apart."""

    integration = models.OneToOneField(Integration, models.CASCADE, related_name="access_token")
    secrets = EncryptedJSONField(default=dict)  # access_token, refresh_token
    granted_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    renew_at = models.DateTimeField(null=True, db_index=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    refused_at = models.DateTimeField(null=True)  # when a 401 last asked for another

    objects = AccessTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Access of {self.integration}"

    @property
    def is_good(self) -> bool:
        """Whether there is a token, and it has not expired."""
        return self.granted_at is not None and (self.expires_at is None or self.expires_at > timezone.now())
