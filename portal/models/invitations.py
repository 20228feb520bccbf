"""Invitations, which are mailed, and become roles when they are accepted."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.encryption import SecretCharField
from portal.models.organizations import Account, Organization
from portal.models.people import Membership, User, is_extension
from portal.models.tokens import digest_of
from portal.signals import invitation_accepted


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def unexpired(self) -> InvitationQuerySet:
        """Those that are younger than `Invitation.VALID`."""
        return self.filter(created_at__gt=timezone.now() - Invitation.VALID)

    def find(self, key: str) -> Invitation | None:
        """The open invitation with this key, if whoever wrote it may still give that role."""
        rows = self.unexpired().filter(digest=digest_of(key))
        found = rows.select_related("inviter", "organization", "account").first()
        return found if found is not None and found.is_allowed() else None

    def open_to(self, email: str) -> list[Invitation]:
        """The open invitations of an address, newest first, whose writers may still give the roles."""
        rows = self.unexpired().filter(email=email).select_related("inviter", "organization", "account")
        return [row for row in rows if row.is_allowed()]


class Invitation(models.Model):
    """A role for whoever reads the mail to an address, until it is accepted, withdrawn, or a week old.

    Whether the address belongs to a user is asked when the invitation is accepted, not before: so inviting
    tells nobody which addresses exist in this installation.
    """

    VALID = timedelta(days=7)
    KEPT = timedelta(days=30)  # so that it can be sent again
    MOST_PER_HOUR = 200  # of one inviter, in whichever way they invite

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
    extension = models.CharField(
        _("extension"),
        max_length=20,
        blank=True,
        default="",
        db_default="",
        validators=[is_extension],
        help_text=_("Their extension in the organization's domain, for example 101."),
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
        """Stores the invitation in place of an earlier one like it; returns its key, which is the only time.

        It keeps what was planned for the earlier one.
        """
        key = secrets.token_urlsafe(32)
        self.digest, self.created_at = digest_of(key), timezone.now()
        with transaction.atomic():
            self.pk = self.like_this().values_list("pk", flat=True).first()
            self.like_this().exclude(pk=self.pk).delete()
            self.save()
        return key

    def renew(self) -> str:
        """Opens the invitation for another week; returns its new key, and the old one ends."""
        key = secrets.token_urlsafe(32)
        self.digest, self.created_at = digest_of(key), timezone.now()
        self.save(update_fields=["digest", "created_at", "inviter"])
        return key

    @property
    def has_expired(self) -> bool:
        """Whether its link opens nothing any more, until it is sent again."""
        return self.created_at <= timezone.now() - self.VALID

    def like_this(self) -> InvitationQuerySet:
        """All invitations of the same address to the same place."""
        return Invitation.objects.filter(
            email=self.email, account=self.account, organization=self.organization
        )

    def is_open_already(self) -> bool:
        """Whether an equal invitation, whose name may differ, is stored and its link still gives the role."""
        equal = self.like_this().unexpired().filter(role=self.role, extension=self.extension)
        return any(row.is_allowed() for row in equal.select_related("inviter"))

    def is_allowed(self, by: User | None = None) -> bool:
        """Whether the inviter, or another user, may give this role."""
        giver = by or self.inviter
        if giver.is_operator or self.account_id in giver.administered_accounts:
            return giver.is_active
        return (
            giver.is_active
            and self.role != Membership.Role.ACCOUNT_ADMIN
            and self.organization_id in giver.administered_organizations
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
            invitation_accepted.send(sender=None, invitation=self, user=user)
            self.like_this().delete()
