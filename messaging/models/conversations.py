"""Conversations with contacts, their messages out and in, and the files of these."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import BigIntegerField, Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from messaging.models.numbers import Number, assigned_to
from messaging.statuses import AttachmentState, Direction, QueueState, Status
from portal.models import Organization, User


class Contact(models.Model):
    """Somebody outside, known to an organization by a number, short code or name."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="contacts", db_index=False)
    address = models.CharField(_("number"), max_length=20)
    name = models.CharField(_("name"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [models.UniqueConstraint(fields=["organization", "address"], name="contact_once")]
        indexes = [models.Index(fields=["address"], name="contact_address")]

    def __str__(self) -> str:
        return self.name or self.address


def not_private(user: User, conversation: str = "") -> Q:
    """The condition for rows of conversations (found by the lookup) that are not private to a colleague."""
    private_to = f"{conversation}__private_to" if conversation else "private_to"
    return Q(**{f"{private_to}__isnull": True}) | Q(**{private_to: user})


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def for_user(self, user: User) -> ConversationQuerySet:
        """The conversations on the numbers assigned to the user, except a colleague's private ones."""
        return self.filter(assigned_to(user, "number") & not_private(user))

    def with_unread(self, user: User) -> ConversationQuerySet:
        """Each with `unread`: how many messages came in that the user has not read."""
        read_to = Reading.objects.filter(conversation=OuterRef(OuterRef("pk")), user=user).values("read_to")
        fresh = (
            Message.objects.filter(
                conversation=OuterRef("pk"),
                direction=Direction.IN,
                id__gt=Coalesce(Subquery(read_to), 0, output_field=BigIntegerField()),
            )
            .order_by()
            .values("conversation")
            .annotate(number=Count("pk"))
            .values("number")
        )
        counted: ConversationQuerySet = self.annotate(unread=Coalesce(Subquery(fresh), 0))
        return counted


class Conversation(models.Model):
    """All that goes between one of our numbers and one contact."""

    # An index is rewritten with each message: those that nobody looks by are left out.
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="conversations", db_index=False
    )
    number = models.ForeignKey(Number, models.PROTECT, related_name="conversations", db_index=False)
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="conversations")
    last_message = models.ForeignKey("Message", models.SET_NULL, related_name="+", null=True, blank=True)
    last_at = models.DateTimeField(_("last message"), db_default=Now())
    # Session stickiness: private to who began it, until an answer comes later than this.
    private_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True, db_index=False
    )
    private_until = models.DateTimeField(null=True, blank=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = [models.UniqueConstraint(fields=["number", "contact"], name="conversation_once")]
        indexes = [
            models.Index(fields=["number", "-last_at"], name="conversation_recent"),
            models.Index(
                fields=["private_to"], condition=Q(private_to__isnull=False), name="conversation_private"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact}, {self.number}"

    @property
    def session_over(self) -> bool:
        """Whether the next answer turns a private conversation into one of all users of the number."""
        return self.private_until is not None and self.private_until < timezone.now()


class Reading(models.Model):
    """Up to which message a user has read a conversation."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="readings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    read_to = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="reading_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.conversation} to {self.read_to}"


class MessageQuerySet(models.QuerySet["Message"]):
    def for_user(self, user: User) -> MessageQuerySet:
        """The messages of the user's conversations (`ConversationQuerySet.for_user`)."""
        return self.filter(assigned_to(user, "conversation__number") & not_private(user, "conversation"))


class Message(models.Model):
    """A text or file, out or in. The table is the queue (`queue_state`); `status` is what a person sees."""

    # What refers to others has no index of its own: those below begin with it.
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
    # The service that it goes out through: the number's when it was written, or moved since.
    integration = models.ForeignKey(
        Integration,
        models.PROTECT,
        related_name="messages",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("service"),
    )
    text = models.TextField(_("text"), blank=True)
    # Why Patchbay wrote it by itself ("opt-out", "help", "initial", "keyword HOURS"); empty: a person did.
    # What came in: how it was understood ("opt-out", "opt-in").
    automatic = models.CharField(max_length=60, blank=True)
    # A message is sent again once; whoever wants it yet again resends the copy.
    resend_of = models.OneToOneField("self", models.SET_NULL, related_name="resent_as", null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    changed_at = models.DateTimeField(_("changed"), db_default=Now())

    status = models.SmallIntegerField(_("status"), choices=Status.choices, default=Status.QUEUED)
    status_code = models.CharField(_("code"), max_length=60, blank=True)
    status_text = models.CharField(_("reason"), max_length=500, blank=True)

    queue_state = models.SmallIntegerField(_("queue"), choices=QueueState.choices, default=QueueState.WAITING)
    next_attempt_at = models.DateTimeField(_("next attempt"), db_default=Now())
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
            models.Index(
                fields=["organization", "-id"],
                condition=Q(status__in=[Status.UNKNOWN, Status.FAILED]),
                name="message_not_sent",
            ),
            models.Index(fields=["created_at"], name="message_age"),
            # What the rules count: our own answers, and what a user or an organization has sent of late.
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
        return f"{self.get_direction_display()} {self.uuid}"

    @property
    def is_outbound(self) -> bool:
        """Whether we sent it."""
        return self.direction == Direction.OUT

    @property
    def status_name(self) -> str:
        """The status as programs, templates and style sheets name it: queued, sent, failed, …"""
        return Status(self.status).name.lower()

    @property
    def arrived(self) -> bool:
        """Whether the provider has it, or the contact."""
        return self.status in (Status.SENT, Status.DELIVERED, Status.READ)

    @property
    def needs_attention(self) -> bool:
        """Whether it was not sent, or may not have been."""
        return self.is_outbound and self.status in (Status.FAILED, Status.UNKNOWN)


class Attachment(models.Model):
    """A file of a message: given to the provider as a signed URL, or fetched from it and kept."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, models.CASCADE, related_name="attachments")
    position = models.PositiveSmallIntegerField(default=0)
    file = models.FileField(blank=True, max_length=200)
    content_type = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    size = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=AttachmentState.choices, default=AttachmentState.KEPT)
    problem = models.CharField(max_length=500, blank=True)
    source_url = models.TextField(blank=True)
    with_auth = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        ordering = ["position", "id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(state=AttachmentState.WAITING), name="attachment_due"
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(self.uuid)

    @property
    def is_image(self) -> bool:
        """Whether browsers may show it in the page."""
        return self.content_type in ("image/jpeg", "image/png", "image/gif", "image/webp")


class BulkResend(models.Model):
    """Many messages sent again in one go, by a task that notes how far it has come."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    wanted = models.JSONField(default=list)  # keys of messages, in order
    done = models.PositiveIntegerField(default=0)  # how many of them were looked at
    sent = models.PositiveIntegerField(default=0)
    refused = models.JSONField(default=list)  # [key, reason], the first hundred
    created_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("resending of many")
        verbose_name_plural = _("resendings of many")
        indexes = [
            models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="bulk_resend_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.done}/{len(self.wanted)}"
