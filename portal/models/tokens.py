"""API tokens, with which programs act as their users."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.encryption import SecretCharField
from portal.models.people import User


def digest_of(token: str) -> str:
    """What is stored in place of a token or key that only its holder knows."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class PersonalTokenQuerySet(models.QuerySet["PersonalToken"]):
    @transaction.atomic
    def issue(self, user: User, name: str) -> str:
        """Creates a token and returns it, which is the only time. Raises IntegrityError for a name in use."""
        token = PersonalToken.PREFIX + secrets.token_urlsafe(32)
        self.create(user=user, name=name, digest=digest_of(token), beginning=token[: PersonalToken.SHOWN])
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
            [digest_of(token)],
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
