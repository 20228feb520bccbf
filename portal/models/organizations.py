"""Accounts of resellers, and their organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from portal.ids import new_id

if TYPE_CHECKING:
    from portal.models.people import User

is_domain = RegexValidator(
    r"\A(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z",
    _("A domain consists of lower-case letters, digits, hyphens and dots, for example acme.example.com."),
)


class SecondFactor(models.TextChoices):
    """Of whom a second factor is required."""

    NOBODY = "nobody", _("nobody")
    ADMINS = "admins", _("admins")
    EVERYBODY = "everybody", _("everybody")


class Account(models.Model):
    """A reseller, who owns organizations and templates."""

    accountid = models.CharField(_("account id"), max_length=20, unique=True, editable=False, default=new_id)
    name = models.CharField(_("name"), max_length=120)
    # For how many days the account's data are kept; empty: as the installation's settings say.
    message_days = models.PositiveSmallIntegerField(_("messages"), null=True, blank=True)
    file_days = models.PositiveSmallIntegerField(_("files"), null=True, blank=True)
    attempt_days = models.PositiveSmallIntegerField(_("delivery attempts"), null=True, blank=True)
    webhook_days = models.PositiveSmallIntegerField(_("raw webhooks"), null=True, blank=True)
    audit_days = models.PositiveSmallIntegerField(_("audit"), null=True, blank=True)
    second_factor = models.CharField(
        _("second factor required of"),
        max_length=10,
        choices=SecondFactor.choices,
        default=SecondFactor.NOBODY,
        db_default=SecondFactor.NOBODY,
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def administered_by(self, user: User) -> OrganizationQuerySet:
        """The organizations whose settings the user may change."""
        if user.is_operator:
            return self
        return self.filter(
            Q(pk__in=user.administered_organizations) | Q(account__in=user.administered_accounts)
        )


class Organization(models.Model):
    """A customer of an account. Its domain is unique and never changes."""

    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="organizations"
    )
    orgid = models.CharField(_("organization id"), max_length=20, unique=True, editable=False, default=new_id)
    name = models.CharField(_("name"), max_length=120)
    domain = models.CharField(
        _("domain"),
        max_length=253,
        unique=True,
        validators=[is_domain],
        help_text=_("The domain must be unique in this installation and cannot be changed later."),
    )

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
