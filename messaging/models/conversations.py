"""Conversations with their messages, and how far users have read them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import BigIntegerField, Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from messaging.models.contacts import Contact
from messaging.models.numbers import Assignment, Number, OptOut, assigned_to
from messaging.statuses import Direction, QueueState, Status
from portal.database import text_search  # noqa: F401  (the lookup `has_words`)
from portal.models import Organization, User


def not_private(user: User, conversation: str = "") -> Q:
    """The condition that a conversation, given by its lookup, is not private to another user."""
    private_to = f"{conversation}__private_to" if conversation else "private_to"
    return Q(**{f"{private_to}__isnull": True}) | Q(**{private_to: user})


def is_asleep() -> Q:
    """The condition that a conversation is snoozed at this moment."""
    return Q(snoozed_until__gt=Now())


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def for_user(self, user: User) -> ConversationQuerySet:
        """The conversations on the user's numbers, except those that are private to another user."""
        return self.filter(assigned_to(user, "number") & not_private(user))

    def wanted(self) -> ConversationQuerySet:
        """Those whose contact is not blocked: lists, counts and notifications begin here."""
        return self.filter(contact__blocked_at__isnull=True)

    def open(self) -> ConversationQuerySet:
        """Those in which something may have to be done: neither closed nor snoozed."""
        return self.filter(~is_asleep(), closed_at__isnull=True)

    def unassigned(self) -> ConversationQuerySet:
        """Those that nobody has taken, or that somebody has who no longer uses the number."""
        there = Assignment.objects.permitted().filter(number=OuterRef("number"), user=OuterRef("assignee"))
        return self.filter(Q(assignee__isnull=True) | ~Exists(there))

    def with_unread(self, user: User) -> ConversationQuerySet:
        """Annotates `unread`, the number of inbound messages that the user has not read, and `mentioned`.

        The latter says whether a note that the user has not seen mentions them.
        """
        fresh = self._fresh(user).order_by().values("conversation")
        number = Subquery(fresh.annotate(number=Count("pk")).values("number"))
        unseen = Exists(self._mentions(user))
        counted: ConversationQuerySet = self.annotate(unread=Coalesce(number, 0), mentioned=unseen)
        return counted

    def unread_by(self, user: User) -> ConversationQuerySet:
        """Those for which `with_unread` says so, found faster: most end with what the user has read."""
        read_to = Reading.objects.filter(conversation=OuterRef("pk"), user=user).values("read_to")
        goes_on = Q(last_message__gt=Coalesce(Subquery(read_to), 0, output_field=BigIntegerField()))
        return self.filter(goes_on & Exists(self._fresh(user)) | Exists(self._mentions(user)))

    def _fresh(self, user: User) -> MessageQuerySet:
        """The inbound messages of a conversation that the user has not read."""
        read_to = Reading.objects.filter(conversation=OuterRef(OuterRef("pk")), user=user).values("read_to")
        return Message.objects.filter(
            conversation=OuterRef("pk"),
            direction=Direction.IN,
            id__gt=Coalesce(Subquery(read_to), 0, output_field=BigIntegerField()),
        )

    def _mentions(self, user: User) -> models.QuerySet[models.Model]:
        mentions = Conversation._meta.get_field("mentions").related_model
        assert isinstance(mentions, type) and issubclass(mentions, models.Model)
        return mentions._default_manager.filter(conversation=OuterRef("pk"), user=user, seen_at__isnull=True)


class Conversation(models.Model):
    """All messages between one of our numbers and one contact, which may be a group."""

    # Every message updates the row and its indexes, so foreign keys that no query uses have none.
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="conversations", db_index=False
    )
    number = models.ForeignKey(Number, models.PROTECT, related_name="conversations", db_index=False)
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="conversations")
    last_message = models.ForeignKey("Message", models.SET_NULL, related_name="+", null=True, blank=True)
    last_at = models.DateTimeField(_("last message"), db_default=Now())
    # Session stickiness: private to the user who started it, until a reply arrives after `private_until`.
    private_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True, db_index=False
    )
    private_until = models.DateTimeField(null=True, blank=True)
    # Who of the number's users takes care of it, and whether there is something to take care of.
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True, db_index=False
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = [models.UniqueConstraint(fields=["number", "contact"], name="conversation_once")]
        indexes = [
            # A conversation is in one of these two. The others have few rows.
            models.Index(
                fields=["number", "-last_at"], condition=Q(closed_at__isnull=True), name="conversation_open"
            ),
            models.Index(
                fields=["number", "-last_at"],
                condition=Q(closed_at__isnull=False),
                name="conversation_closed",
            ),
            models.Index(
                fields=["assignee", "-last_at"],
                condition=Q(assignee__isnull=False, closed_at__isnull=True),
                name="conversation_assigned",
            ),
            models.Index(
                fields=["number", "snoozed_until"],
                condition=Q(snoozed_until__isnull=False),
                name="conversation_snoozed",
            ),
            models.Index(
                fields=["private_to"], condition=Q(private_to__isnull=False), name="conversation_private"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact}, {self.number}"

    @property
    def session_over(self) -> bool:
        """Whether the next reply opens a private conversation to all users of the number."""
        return self.private_until is not None and self.private_until < timezone.now()

    @property
    def asleep(self) -> bool:
        """Whether it is snoozed at this moment."""
        return self.snoozed_until is not None and self.snoozed_until > timezone.now()

    @property
    def opted_out(self) -> bool:
        """Whether the contact wants no messages from the number."""
        return OptOut.objects.filter(number=self.number_id, address=self.contact.address).exists()


class Reading(models.Model):
    """How far a user has read a conversation: the key of the last message; and whether they write."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="readings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    read_to = models.BigIntegerField(default=0)
    writing_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="reading_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.conversation} to {self.read_to}"


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
    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="messages", db_index=False)
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
