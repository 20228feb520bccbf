"""The files of messages."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from integrations.language.values import cleaned, dump, load
from messaging.models.messages import Message
from messaging.statuses import AttachmentState
from portal.encryption import EncryptedJSONField


class Attachment(models.Model):
    """A file of a message, offered to the provider under a signed URL or fetched from the provider."""

    WITHOUT_KEY: ClassVar = {"uploaded": None}

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, models.CASCADE, related_name="attachments")
    position = models.PositiveSmallIntegerField(default=0)
    file = models.FileField(blank=True, max_length=200)
    content_type = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    size = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=AttachmentState.choices, default=AttachmentState.KEPT)
    problem = models.CharField(max_length=500, blank=True)
    # What its upload to a provider bound, and through which integration; a copy is uploaded again.
    uploaded = EncryptedJSONField(null=True, blank=True)
    source_url = models.TextField(blank=True)
    with_auth = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        ordering = ["position", "id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(state=AttachmentState.WAITING), name="attachment_due"
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(self.uuid)

    def uploaded_through(self, integration: int) -> dict[str, Any] | None:
        """What the upload of the file through an integration bound; None if it is not uploaded there."""
        if not self.uploaded or self.uploaded["integration"] != integration:
            return None
        bound: dict[str, Any] = load(self.uploaded["bound"])
        return bound

    def set_uploaded(self, integration: int, bound: Mapping[str, Any]) -> None:
        """Sets what its upload through an integration bound; the caller saves it."""
        self.uploaded = {"integration": integration, "bound": dump(cleaned(bound))}

    @property
    def is_image(self) -> bool:
        """Whether browsers can show the file as an image."""
        return self.content_type in ("image/jpeg", "image/png", "image/gif", "image/webp")
