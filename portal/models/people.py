"""Users, and their roles in organizations and accounts."""

from __future__ import annotations

import hashlib
import zoneinfo
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from portal.encryption import SecretCharField
from portal.ids import new_id
from portal.models.organizations import Account, Organization, SecondFactor

is_extension = RegexValidator(r"\A[0-9*#]+\Z", _("An extension consists of digits, * and #."))


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user who signs in with this address; without a password, signing in is impossible."""
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """An operator; called by Django's `createsuperuser`."""
        return self.create_user(email, password, **{**fields, "is_operator": True})

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser):
    """A person who signs in with an email address and whose memberships say what they may do."""

    password = SecretCharField(_("password"), max_length=128)
    email = models.EmailField(
        _("email address"),
        unique=True,
        error_messages={"unique": _("A user with this email address already exists.")},
    )
    name = models.CharField(_("name"), max_length=120)
    is_operator = models.BooleanField(
        _("operator"), default=False, help_text=_("Operators run the installation and may do everything.")
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Who is not active cannot sign in.")
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="UTC",
        choices=[
            (zone, zone.replace("_", " ")) for zone in sorted(zoneinfo.available_timezones() - {"localtime"})
        ],
    )
    date_joined = models.DateTimeField(_("joined"), auto_now_add=True)
    # Part of what sessions are checked against, so that a new mark ends all of them.
    session_mark = models.CharField(max_length=20, default="", db_default="", editable=False)

    hides_first_run = models.BooleanField(default=False, db_default=False, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["name", "email"]

    def __str__(self) -> str:
        return self.name or self.email

    def clean(self) -> None:
        self.email = self.email.lower()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Whoever is blocked or gets a new password loses their sessions and tokens, for good.

        A changed password ends the sessions by itself; allauth keeps the one in which users change their own.
        """
        has_new_password = self._password is not None  # type: ignore[attr-defined]  # until it is saved
        if not self.is_active:
            self.session_mark = new_id()
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "session_mark"}
        with transaction.atomic():
            super().save(*args, **kwargs)
            if has_new_password or not self.is_active:
                self.tokens.all().delete()

    def get_session_auth_hash(self) -> str:
        return self._marked(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._marked, super().get_session_auth_fallback_hash())

    def _marked(self, digest: str) -> str:
        return (
            hashlib.sha256(f"{digest}{self.session_mark}".encode()).hexdigest()
            if self.session_mark
            else digest
        )

    @cached_property
    def active_memberships(self) -> list[Membership]:
        """The user's roles that are not blocked, read once for each instance."""
        return list(self.memberships.filter(status=Membership.Status.ACTIVE).select_related("account"))

    @property
    def second_factor_required_by(self) -> str | None:
        """What requires a second factor of the user: an account's name, "" for the installation, or None."""
        if _concerns(settings.SECOND_FACTOR, self.is_staff):
            return ""
        for member in self.active_memberships:
            if _concerns(member.account.second_factor, member.role != Membership.Role.USER):
                return member.account.name
        return None

    @property
    def administered_accounts(self) -> list[int]:
        """The keys of the accounts that the user administers as a whole."""
        return [
            member.account_id
            for member in self.active_memberships
            if member.role == Membership.Role.ACCOUNT_ADMIN and member.organization_id is None
        ]

    @cached_property
    def organizations_in_reach(self) -> list[int]:
        """The keys of all organizations that the user administers, read once for each instance.

        Not for operators, who administer everything.
        """
        whole = self.administered_accounts
        of_accounts = Organization.objects.filter(account__in=whole).order_by() if whole else ()
        return [*self.administered_organizations, *(organization.pk for organization in of_accounts)]

    @property
    def administers_accounts(self) -> bool:
        """Whether the user administers all accounts, or some as a whole."""
        return self.is_operator or bool(self.administered_accounts)

    @property
    def administered_organizations(self) -> list[int]:
        """The keys of the single organizations that the user administers."""
        return [
            member.organization_id
            for member in self.active_memberships
            if member.role != Membership.Role.USER and member.organization_id is not None
        ]

    @property
    def own_organizations(self) -> list[int]:
        """The keys of the organizations in which the user has a role of their own."""
        return [
            member.organization_id for member in self.active_memberships if member.organization_id is not None
        ]

    @property
    def is_superuser(self) -> bool:
        return self.is_operator

    @property
    def is_staff(self) -> bool:
        """Whether the user may enter the administration: operators and admins, but not the role user."""
        return self.is_active and (
            self.is_operator or bool(self.administered_accounts or self.administered_organizations)
        )

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_perms(self, perm_list: Any, obj: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff

    def get_full_name(self) -> str:
        return str(self)


def _concerns(rule: str, is_admin: bool) -> bool:
    return rule == SecondFactor.EVERYBODY or (rule == SecondFactor.ADMINS and is_admin)


class Membership(models.Model):
    """A user's role in one organization or, for account admins, in an account as a whole."""

    class Role(models.TextChoices):
        ACCOUNT_ADMIN = "account_admin", _("account admin")
        ORGANIZATION_ADMIN = "organization_admin", _("organization admin")
        USER = "user", _("user")

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        BLOCKED = "blocked", _("blocked")

    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="memberships")
    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="memberships"
    )
    organization = models.ForeignKey(
        Organization,
        models.PROTECT,
        verbose_name=_("organization"),
        related_name="memberships",
        null=True,
        blank=True,
        help_text=_("Leave empty for the whole account (account admins only)."),
    )
    role = models.CharField(_("role"), max_length=20, choices=Role.choices, default=Role.USER)
    extension = models.CharField(
        _("extension"),
        max_length=20,
        blank=True,
        validators=[is_extension],
        help_text=_("The user's extension in the organization's domain, for example 101."),
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)

    class Meta:
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        constraints = [
            models.CheckConstraint(
                condition=Q(role="account_admin") | Q(organization__isnull=False),
                name="membership_organization",
                violation_error_message=_("Choose an organization."),
            ),
            models.UniqueConstraint(
                fields=["user", "organization"],
                condition=Q(organization__isnull=False),
                name="membership_once_per_organization",
                violation_error_message=_("The user already has a role in this organization."),
            ),
            models.UniqueConstraint(
                fields=["user", "account"],
                condition=Q(organization__isnull=True),
                name="membership_once_per_account",
                violation_error_message=_("The user already has a role in this account."),
            ),
            models.UniqueConstraint(
                fields=["organization", "extension"],
                condition=~Q(extension=""),
                name="membership_extension",
                violation_error_message=_("Another user of the organization has this extension."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}, {self.organization or self.account}"

    def clean(self) -> None:
        if self.organization and self.account_id and self.organization.account_id != self.account_id:
            raise ValidationError({"organization": _("This organization belongs to another account.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.organization:
            self.account_id = self.organization.account_id
        super().save(*args, **kwargs)
