"""What authors of templates keep: the cases of their templates, and requests that they have captured."""

from __future__ import annotations

import secrets
from collections.abc import Container
from datetime import datetime, timedelta
from itertools import chain, count

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models.templates import Template, TemplateRevision
from portal.encryption import EncryptedJSONField
from portal.models import Account

LIFETIME = timedelta(days=1)
NAME_LENGTH = 200


def named_apart(name: str, taken: Container[str]) -> str:
    """The name of a case, with a number after it if it is taken; at most 200 characters."""
    shortened = name[: NAME_LENGTH - 6]
    names = chain([name[:NAME_LENGTH]], (f"{shortened} ({number})" for number in count(2)))
    return next(each for each in names if each not in taken)


class TemplateCase(models.Model):
    """A test of a template: what is sent or received, and what the result must be, as JSON.

    One that was built `by_example` is replaced when the template is built again.
    """

    template = models.ForeignKey(Template, models.CASCADE, verbose_name=_("template"), related_name="cases")
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    source = models.TextField(_("case"))
    by_example = models.BooleanField(_("built by example"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["template", "name"], name="case_name")]

    def __str__(self) -> str:
        return self.name


class PastedSamples(models.Model):
    """What was pasted to build a template by example, and how it was marked, without credentials.

    `revision` is the document that was made of it. It is kept for 30 days after it was saved last. `fields`
    is None if its encryption key is lost.
    """

    KEPT = timedelta(days=30)

    template = models.OneToOneField(Template, models.CASCADE, related_name="pasted")
    revision = models.ForeignKey(TemplateRevision, models.CASCADE, related_name="+")
    fields = EncryptedJSONField(may_be_lost=True)
    saved_at = models.DateTimeField()

    class Meta:
        verbose_name = _("pasted samples")
        verbose_name_plural = _("pasted samples")
        indexes = [models.Index(fields=["saved_at"], name="pasted_samples_saved")]

    def __str__(self) -> str:
        return f"Samples of {self.template}"

    @property
    def until(self) -> datetime:
        """When it is deleted."""
        return self.saved_at + self.KEPT


def new_key() -> str:
    """256 random bits, as they can be part of a URL."""
    return secrets.token_urlsafe(32)


def end_of_life() -> datetime:
    """When a capture that is made now expires."""
    return timezone.now() + LIFETIME


class CaptureQuerySet(models.QuerySet["Capture"]):
    def open(self) -> CaptureQuerySet:
        """Those that still take requests."""
        return self.filter(expires_at__gt=timezone.now())


class Capture(models.Model):
    """A URL that waits for a provider's next requests, for a day; whoever knows its key may use it.

    With `shared`, the page behind the same key shows a provider's developer what Patchbay has understood.
    """

    account = models.ForeignKey(Account, models.CASCADE, verbose_name=_("account"), related_name="captures")
    template = models.ForeignKey(
        Template, models.CASCADE, verbose_name=_("template"), related_name="captures"
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("author"), related_name="+"
    )
    key = models.CharField(max_length=43, unique=True, default=new_key, editable=False)
    shared = models.BooleanField(_("shared"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), default=end_of_life)

    objects = CaptureQuerySet.as_manager()

    class Meta:
        verbose_name = _("capture")
        verbose_name_plural = _("captures")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["expires_at"], name="capture_expires")]

    def __str__(self) -> str:
        return f"Capture {self.pk}"


class CapturedRequestQuerySet(models.QuerySet["CapturedRequest"]):
    def open(self) -> CapturedRequestQuerySet:
        """Those of captures that have not expired."""
        return self.filter(capture__expires_at__gt=timezone.now())


class CapturedRequest(models.Model):
    """A request to the URL of a capture, without credentials, as cases write requests.

    `request` is None if its encryption key is lost.
    """

    capture = models.ForeignKey(Capture, models.CASCADE, related_name="requests")
    request = EncryptedJSONField(may_be_lost=True)
    received_at = models.DateTimeField(auto_now_add=True)

    objects = CapturedRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Request {self.pk}"
