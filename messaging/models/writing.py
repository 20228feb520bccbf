"""What helps users to write: their choices, drafts, and replies that are written once and used often."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from messaging.models.conversations import Conversation
from messaging.models.numbers import Number
from portal.models import Organization, User


class WritingChoices(models.Model):
    """How a user writes. Whoever has chosen nothing has no row."""

    # Enter sends, so that a text is easily sent too early.
    UNDO_SECONDS = 5

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="writing_choices", primary_key=True
    )
    undo_seconds = models.PositiveSmallIntegerField(_("Undo"), default=UNDO_SECONDS)
    signature = models.CharField(_("Signature"), max_length=100, blank=True)

    def __str__(self) -> str:
        return f"{self.user}: {self.undo_seconds} s"


class Draft(models.Model):
    """What a user has begun to write in a conversation; on whichever device they go on."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="drafts", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    text = models.TextField()
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="draft_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.conversation}"


class CannedReplyQuerySet(models.QuerySet["CannedReply"]):
    def for_writing(self, user: User, number: Number) -> CannedReplyQuerySet:
        """Those that the user may choose from when they write from the number."""
        everybody, every_number = Q(owner__isnull=True), Q(number__isnull=True)
        return self.filter(
            everybody | Q(owner=user), every_number | Q(number=number), organization=number.organization_id
        )


class CannedReply(models.Model):
    """A text to choose instead of writing it again: for all of an organization, one number, or one user."""

    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="canned_replies", verbose_name=_("organization")
    )
    number = models.ForeignKey(
        Number,
        models.CASCADE,
        related_name="canned_replies",
        verbose_name=_("number"),
        null=True,
        blank=True,
        help_text=_("Leave empty for all numbers of the organization."),
    )
    # Nobody: all users of the organization, or of the number, may choose it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", null=True, blank=True, editable=False
    )
    name = models.CharField(_("name"), max_length=60)
    text = models.TextField(_("text"), max_length=1600)

    objects = CannedReplyQuerySet.as_manager()

    class Meta:
        verbose_name = _("canned reply")
        verbose_name_plural = _("canned replies")
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name
