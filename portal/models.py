"""Accounts of resellers, their organizations, users with their roles, and API tokens."""

from __future__ import annotations

import hashlib
import secrets
import zoneinfo
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.audit_entries import AuditEntry
from portal.encryption import EncryptedBinaryField, SecretCharField
from portal.ids import new_id

is_domain = RegexValidator(
    r"\A(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z",
    _("A domain consists of lower-case letters, digits, hyphens and dots, for example acme.example.com."),
)


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
        _("active"), default=True, help_text=_("Switch off to block the user. Their messages are kept.")
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
        return list(self.memberships.filter(status=Membership.Status.ACTIVE))

    @property
    def administered_accounts(self) -> list[int]:
        """The keys of the accounts that the user administers as a whole."""
        return [
            member.account_id
            for member in self.active_memberships
            if member.role == Membership.Role.ACCOUNT_ADMIN and member.organization_id is None
        ]

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
        validators=[RegexValidator(r"\A[0-9*#]+\Z", _("An extension consists of digits, * and #."))],
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


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def find(self, key: str) -> Invitation | None:
        """The open invitation with this key, if whoever wrote it may still give that role."""
        since = timezone.now() - Invitation.VALID
        rows = self.filter(digest=_digest(key), created_at__gt=since)
        found = rows.select_related("inviter", "organization", "account").first()
        return found if found is not None and found.is_allowed() else None


class Invitation(models.Model):
    """A role for whoever reads the mail to an address, until it is accepted, withdrawn, or a week old.

    Whether the address belongs to a user is asked when the invitation is accepted, not before: so inviting
    tells nobody which addresses exist in this installation.
    """

    VALID = timedelta(days=7)
    MOST_PER_HOUR = 50

    email = models.EmailField(_("email address"))
    name = models.CharField(_("name"), max_length=120)
    account = models.ForeignKey(Account, models.CASCADE, verbose_name=_("account"), related_name="+")
    organization = models.ForeignKey(
        Organization,
        models.CASCADE,
        verbose_name=_("organization"),
        related_name="+",
        null=True,
        blank=True,
        help_text=_("Leave empty for the whole account (account admins only)."),
    )
    role = models.CharField(
        _("role"), max_length=20, choices=Membership.Role.choices, default=Membership.Role.USER
    )
    inviter = models.ForeignKey(User, models.CASCADE, verbose_name=_("invited by"), related_name="+")
    digest = SecretCharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("sent"), auto_now_add=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = self.email.lower()

    def open(self) -> str:
        """Stores the invitation in place of earlier ones like it; returns its key, which is the only time."""
        key = secrets.token_urlsafe(32)
        self.digest = _digest(key)
        with transaction.atomic():
            self.like_this().delete()
            self.save()
        return key

    def like_this(self) -> InvitationQuerySet:
        """All invitations of the same address to the same place."""
        return Invitation.objects.filter(
            email=self.email, account=self.account, organization=self.organization
        )

    def is_allowed(self) -> bool:
        """Whether the inviter may give this role."""
        if self.inviter.is_operator or self.account_id in self.inviter.administered_accounts:
            return self.inviter.is_active
        return (
            self.inviter.is_active
            and self.role != Membership.Role.ACCOUNT_ADMIN
            and self.organization_id in self.inviter.administered_organizations
        )

    def accept(self, user: User) -> None:
        """Gives the user the role, unless they have one there, and ends all invitations like this."""
        place = {"user": user, "account": self.account, "organization": self.organization}
        with transaction.atomic():
            Membership.objects.get_or_create(**place, defaults={"role": self.role})
            self.like_this().delete()


class PersonalTokenQuerySet(models.QuerySet["PersonalToken"]):
    @transaction.atomic
    def issue(self, user: User, name: str) -> str:
        """Creates a token and returns it, which is the only time. Raises IntegrityError for a name in use."""
        token = PersonalToken.PREFIX + secrets.token_urlsafe(32)
        self.create(user=user, name=name, digest=_digest(token), beginning=token[: PersonalToken.SHOWN])
        return token

    def find(self, token: str) -> PersonalToken | None:
        """The token, if its user may sign in; None, without a query, for what cannot be a token.

        Of the user only the key is read; the rest is loaded when it is needed. Each request of the API runs
        this statement, and the ORM takes five times as long to write it.
        """
        if len(token) != PersonalToken.LENGTH or not token.startswith(PersonalToken.PREFIX):
            return None
        found = self.raw(
            """SELECT token.* FROM portal_personaltoken AS token
            JOIN portal_user AS person ON person.id = token.user_id
            WHERE token.digest = %s AND person.is_active""",
            [_digest(token)],
        )
        for row in found:
            row.user = User.from_db(self.db, ["id"], [row.user_id])
            return row
        return None


class PersonalToken(models.Model):
    """An API token, with which a program acts as its user; only its digest is stored."""

    PREFIX = "pb_"
    LENGTH = len(PREFIX) + 43
    SHOWN = len(PREFIX) + 5
    MAX_PER_USER = 50
    USE_RESOLUTION = timedelta(minutes=5)

    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="tokens")
    name = models.CharField(_("name"), max_length=60)
    digest = SecretCharField(max_length=64, unique=True, editable=False)
    beginning = models.CharField(_("token"), max_length=12, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    objects = PersonalTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="token_name_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.beginning}…)"

    def note_use(self) -> None:
        """Records the use, at most once in USE_RESOLUTION, so that most requests write nothing."""
        if self.last_used_at is None or self.last_used_at < timezone.now() - self.USE_RESOLUTION:
            PersonalToken.objects.filter(pk=self.pk).update(last_used_at=Now())


class KeyCheck(models.Model):
    """One row, whose value a process can decrypt if it has the keys of this database: see `portal.keys`."""

    value = EncryptedBinaryField()

    def __str__(self) -> str:
        return "Check of the encryption keys"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


__all__ = [
    "Account",
    "AuditEntry",
    "Invitation",
    "KeyCheck",
    "Membership",
    "Organization",
    "PersonalToken",
    "User",
    "is_domain",
]
