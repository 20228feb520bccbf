"""What the users of a number leave in a conversation for each other; the contact never sees it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from messaging.models.conversations import Conversation
from messaging.models.numbers import Number
from portal.models import Organization


class Remark(models.Model):
    """An internal note, or a line that says what somebody did with the conversation.

    No message refers to a remark and nothing that sends reads them. `after` is the key of the message that
    was the last one at that time: it gives the remark its place in the thread.
    """

    class Kind(models.TextChoices):
        NOTE = "note", _("note")
        ASSIGNED = "assigned", _("assigned")
        RELEASED = "released", _("released")
        SNOOZED = "snoozed", _("snoozed")
        OVER = "over", _("snooze over")
        WOKEN = "woken", _("woken")
        CLOSED = "closed", _("closed")
        REOPENED = "reopened", _("reopened")
        BLOCKED = "blocked", _("blocked")
        UNBLOCKED = "unblocked", _("unblocked")
        CONSENT = "consent", _("consent")
        EDITED = "edited", _("contact changed")
        MERGED = "merged", _("merged")
        SEPARATED = "separated", _("separated")

    # Foreign keys have no indexes of their own, since the indexes below start with them.
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="remarks", db_index=False)
    number = models.ForeignKey(Number, models.PROTECT, related_name="remarks", db_index=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="remarks", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    # Nobody: a text of the contact did it, or the time.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True, db_index=False
    )
    # To whom the conversation was assigned.
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True, db_index=False
    )
    text = models.TextField(blank=True)
    until = models.DateTimeField(null=True, blank=True)
    after = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("remark")
        verbose_name_plural = _("remarks")
        indexes = [
            models.Index(fields=["conversation", "after"], name="remark_thread"),
            models.Index(fields=["number", "-id"], name="remark_latest"),
            models.Index(fields=["organization", "created_at"], name="remark_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def is_note(self) -> bool:
        """Whether it is an internal note."""
        return self.kind == self.Kind.NOTE


class Mention(models.Model):
    """That a remark is for a user, until they have seen it: a note that mentions them, or a snooze's end."""

    remark = models.ForeignKey(Remark, models.CASCADE, related_name="mentions")
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="mentions", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("mention")
        verbose_name_plural = _("mentions")
        constraints = [models.UniqueConstraint(fields=["remark", "user"], name="mention_once")]
        indexes = [models.Index(fields=["conversation", "user"], name="mention_of")]

    def __str__(self) -> str:
        return f"{self.user}: {self.remark}"
