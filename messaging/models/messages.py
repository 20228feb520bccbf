"""Messages: what was said, and the queue of what is to be sent."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from messaging.models.assignments import assigned_to, not_private
from messaging.models.contacts import Contact
from messaging.statuses import Direction, QueueState, Status
from portal.database import text_search  # noqa: F401  (the lookup `has_words`)
from portal.models import Organization, User


class MessageQuerySet(models.QuerySet["Message"]):
    def for_user(self, user: User) -> MessageQuerySet:
        """The messages of the conversations that `ConversationQuerySet.for_user` returns."""
        return self.filter(assigned_to(user, "conversation__number") & not_private(user, "conversation"))

    def containing(self, text: str) -> MessageQuerySet:
        """The messages in whose text each word of `text` begins some word; an index answers."""
        return self.filter(text__has_words=text)


class Message(models.Model):
    """An outbound or inbound message. The table is the queue (`queue_state`); users see the `status`."""

    # Foreign keys have no indexes of their own, since the indexes below start with them.
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="messages", db_index=False)
    conversation = models.ForeignKey("Conversation", models.PROTECT, related_name="messages", db_index=False)
    direction = models.CharField(_("direction"), max_length=3, choices=Direction.choices)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("author"),
    )
    # The integration to send through; it follows the number's as long as the message waits.
    integration = models.ForeignKey(
        Integration,
        models.PROTECT,
        related_name="messages",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("provider"),
    )
    # Inbound, in a group: the member who wrote it.
    sender = models.ForeignKey(
        Contact,
        models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("sender"),
    )
    text = models.TextField(_("text"), blank=True)
    # Outbound: the trigger of an auto-reply ("opt-out", "help", "initial", "keyword HOURS"); empty for users'
    # messages. Inbound: how the text was understood ("opt-out", "opt-in").
    automatic = models.CharField(max_length=60, blank=True)
    # A message is resent once; after that, its copy can be resent.
    resend_of = models.OneToOneField("self", models.SET_NULL, related_name="resent_as", null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    changed_at = models.DateTimeField(_("changed"), db_default=Now())

    status = models.SmallIntegerField(_("status"), choices=Status.choices, default=Status.QUEUED)
    status_code = models.CharField(_("code"), max_length=60, blank=True)
    status_text = models.CharField(_("reason"), max_length=500, blank=True)

    queue_state = models.SmallIntegerField(_("queue"), choices=QueueState.choices, default=QueueState.WAITING)
    next_attempt_at = models.DateTimeField(_("next attempt"), db_default=Now())
    # When it is to be sent at the earliest, if not at once: its author chose a time, or may still undo it.
    send_at = models.DateTimeField(_("to be sent"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"))
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="message_status"),
            models.CheckConstraint(
                condition=Q(queue_state=QueueState.CLAIMED, lease_until__isnull=False)
                | ~Q(queue_state=QueueState.CLAIMED),
                name="message_lease",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(queue_state=QueueState.WAITING),
                name="message_any_due",
            ),
            models.Index(
                fields=["integration", "next_attempt_at", "id"],
                condition=Q(queue_state=QueueState.WAITING),
                name="message_due_of",
            ),
            models.Index(
                fields=["lease_until"], condition=Q(queue_state=QueueState.CLAIMED), name="message_leases"
            ),
            models.Index(
                fields=["conversation"], condition=Q(queue_state=QueueState.CLAIMED), name="message_in_flight"
            ),
            models.Index(fields=["conversation", "-id"], name="message_thread"),
            models.Index(fields=["organization", "-id"], name="message_log"),
            models.Index(fields=["integration", "-id"], name="message_of_service"),
            models.Index(
                fields=["organization", "-id"],
                condition=Q(status__in=[Status.UNKNOWN, Status.FAILED]),
                name="message_not_sent",
            ),
            models.Index(fields=["created_at"], name="message_age"),
            models.Index(fields=["sender"], condition=Q(sender__isnull=False), name="message_in_group"),
            # For auto-replies and quotas: recent auto-replies, and messages of a user or an organization.
            models.Index(
                fields=["conversation", "created_at"],
                condition=Q(direction=Direction.OUT) & ~Q(automatic=""),
                name="message_automatic",
            ),
            models.Index(
                fields=["author", "created_at"], condition=Q(author__isnull=False), name="message_of_author"
            ),
            models.Index(
                fields=["organization", "created_at"],
                condition=Q(direction=Direction.OUT),
                name="message_sent_by",
            ),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.uuid}"

    @property
    def is_inbound(self) -> bool:
        """Whether the message was received."""
        return self.direction == Direction.IN

    @property
    def has_failed(self) -> bool:
        """Whether an outbound message failed."""
        return self.direction == Direction.OUT and self.status == Status.FAILED

    @property
    def is_unknown(self) -> bool:
        """Whether an outbound message got no response, so that it may or may not have been sent."""
        return self.direction == Direction.OUT and self.status == Status.UNKNOWN

    @property
    def is_waiting(self) -> bool:
        """Whether an outbound message waits in the queue."""
        return self.direction == Direction.OUT and self.queue_state == QueueState.WAITING

    @property
    def may_cancel(self) -> bool:
        """Whether nothing has been tried to send it, so that it can still be canceled."""
        return self.is_waiting and self.attempts == 0

    @property
    def is_scheduled(self) -> bool:
        """Whether its time to be sent is still to come."""
        return self.may_cancel and self.send_at is not None and self.send_at > timezone.now()

    @property
    def is_outbound(self) -> bool:
        """Whether the message was sent from here, or is about to be."""
        return self.direction == Direction.OUT

    @property
    def status_name(self) -> str:
        """The name of the status in the API, templates and style sheets: queued, sent, failed, …"""
        return Status(self.status).name.lower()

    @property
    def arrived(self) -> bool:
        """Whether the provider accepted the message, or the contact received it."""
        return self.status in (Status.SENT, Status.DELIVERED, Status.READ)

    @property
    def needs_attention(self) -> bool:
        """Whether an outbound message failed or its outcome is unknown."""
        return self.is_outbound and self.status in (Status.FAILED, Status.UNKNOWN)
