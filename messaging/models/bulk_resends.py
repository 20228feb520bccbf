"""Lists of messages to resend."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class BulkResend(models.Model):
    """A list of messages to resend, which a task processes step by step."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    wanted = models.JSONField(default=list)  # the keys of the messages, in order
    done = models.PositiveIntegerField(default=0)  # how many of them have been processed
    sent = models.PositiveIntegerField(default=0)
    refused = models.JSONField(default=list)  # the first hundred, as [key, reason]
    created_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("bulk resend")
        verbose_name_plural = _("bulk resends")
        indexes = [
            models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="bulk_resend_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.done}/{len(self.wanted)}"
