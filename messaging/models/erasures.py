"""Erasures: what was deleted of a contact, and at whose request."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from portal.encryption import EncryptedJSONField
from portal.models import Organization


def fingerprints(address: str) -> list[str]:
    """What remains of an erased number: whoever knows the number can prove that it was erased.

    The first is stored; the others are those of older secret keys, as long as these are kept.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac("messaging.erasure", address, key, algorithm="sha256").hexdigest() for key in keys]


def masked(address: str) -> str:
    """A number that its owner recognizes, such as +49…17."""
    return f"{address[:3]}…{address[-2:]}"


class Erasure(models.Model):
    """The request to erase a contact of an organization; once that is done, the protocol of it.

    `address` is kept, encrypted, until it is done.
    """

    WITHOUT_KEY: ClassVar = {"address": ""}

    organization = models.ForeignKey(
        Organization, models.PROTECT, verbose_name=_("organization"), related_name="erasures"
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("requested by"),
        related_name="+",
        null=True,
        blank=True,
    )
    requester = models.CharField(_("requested by"), max_length=150)
    address = EncryptedJSONField(default=str)
    masked = models.CharField(_("contact"), max_length=40)
    fingerprint = models.CharField(_("fingerprint"), max_length=64, db_index=True)
    # Whether the account's webhooks, of which nobody knows whose they are, are searched, too.
    whole_account = models.BooleanField(default=False, editable=False)
    with_opt_outs = models.BooleanField(
        _("erase opt-outs, too"),
        default=False,
        help_text=_("Without its opt-outs the contact may get messages again. Usually they have to be kept."),
    )
    counts = models.JSONField(_("erased"), default=dict)
    requested_at = models.DateTimeField(_("requested"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    # Until when one process has it; after a failure it is tried again then.
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")
        indexes = [models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="erasure_waiting")]

    def __str__(self) -> str:
        return self.masked
