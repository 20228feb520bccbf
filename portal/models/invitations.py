"""Invitations, which are mailed, and become roles when they are accepted."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.encryption import SecretCharField
from portal.models.organizations import Account, Organization
from portal.models.people import Membership, User
from portal.models.tokens import digest_of


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def find(self, key: str) -> Invitation | None:
        """The open invitation with this key, if whoever wrote it may still give that role."""
        since = timezone.now() - Invitation.VALID
        rows = self.filter(digest=digest_of(key), created_at__gt=since)
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
    extension = models.CharField(max_length=20, blank=True, default="", db_default="", editable=False)
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
        self.digest = digest_of(key)
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
        """Gives the user the role, unless they have one there, and ends all invitations like this.

        The role is without the extension if somebody else has got it meanwhile.
        """
        place = {"user": user, "account": self.account, "organization": self.organization}
        with transaction.atomic():
            others = Membership.objects.filter(organization=self.organization, extension=self.extension)
            extension = "" if self.organization is None or others.exists() else self.extension
            given = {"role": self.role, "extension": extension}
            Membership.objects.get_or_create(**place, defaults=given)
            self.like_this().delete()
