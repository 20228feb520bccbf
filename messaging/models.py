"""What: numbers and who uses them, conversations, messages out and in, and the traces of both."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration, Template
from messaging import numbers
from messaging.querysets import ConversationQuerySet, MessageQuerySet, NumberQuerySet
from messaging.statuses import Status
from portal.encryption import EncryptedBinaryField, EncryptedJSONField
from portal.models import Account, Organization


class Number(models.Model):
    """An SMS number of an organization (an "SMS trunk"): E.164, a short code, or a name that only sends."""

    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="numbers", editable=False
    )
    organization = models.ForeignKey(
        Organization, models.PROTECT, verbose_name=_("organization"), related_name="numbers"
    )
    integration = models.ForeignKey(
        Integration,
        models.PROTECT,
        verbose_name=_("sends through"),
        related_name="numbers",
        null=True,
        blank=True,
        help_text=_("The service that carries what is sent from this number."),
    )
    number = models.CharField(
        _("number"), max_length=20, help_text=_("Like +61 8 5555 5555, a short code, or a sender's name.")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=numbers.Kind.choices, editable=False)
    country = models.CharField(
        _("country"),
        max_length=2,
        blank=True,
        choices=numbers.countries,
        help_text=_("Numbers without a country code are read as numbers of this country."),
    )
    display_name = models.CharField(_("display name"), max_length=120, blank=True)
    inbound_format = models.CharField(
        _("how the service writes it"),
        max_length=10,
        choices=numbers.Format.choices,
        default=numbers.Format.E164,
        help_text=_("How webhooks spell this number as the recipient."),
    )
    outbound_format = models.CharField(
        _("how it is sent"),
        max_length=10,
        choices=numbers.Format.choices,
        default=numbers.Format.E164,
        help_text=_("How this number is written as the sender."),
    )
    spelling = models.CharField(max_length=20, editable=False)
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Untick when the number has moved away; its conversations stay."),
    )
    users = models.ManyToManyField(
        settings.AUTH_USER_MODEL, verbose_name=_("users"), through="Assignment", related_name="numbers"
    )
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = NumberQuerySet.as_manager()

    class Meta:
        verbose_name = _("number")
        verbose_name_plural = _("numbers")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "number"],
                condition=Q(active=True) & ~Q(kind="name"),
                name="number_one_active_owner",
                violation_error_message=_("An organization of this account uses the number already."),
            ),
            models.UniqueConstraint(
                fields=["organization", "number"],
                condition=Q(active=True, kind="name"),
                name="name_once_per_organization",
                violation_error_message=_("The organization has this sender already."),
            ),
        ]
        indexes = [
            models.Index(fields=["account", "spelling"], condition=Q(active=True), name="number_spelling")
        ]

    def __str__(self) -> str:
        return f"{self.display_name} ({self.number})" if self.display_name else self.number

    def clean(self) -> None:
        if not self.organization_id:
            return
        try:
            self._normalise()
        except ValueError as error:
            raise ValidationError({"number": str(error)}) from None
        self.account_id = self.organization.account_id
        others = Number.objects.filter(account_id=self.account_id, number=self.number, active=True)
        # Asked here too, since forms do not look at a constraint over fields that they do not show.
        if self.active and self.kind != numbers.Kind.NAME and others.exclude(pk=self.pk).exists():
            raise ValidationError({"number": _("An organization of this account uses the number already.")})
        if self.integration and self.integration.organization_id != self.organization_id:
            raise ValidationError({"integration": _("This service is set up for another organization.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._normalise()
        self.account_id = self.organization.account_id
        super().save(*args, **kwargs)

    def _normalise(self) -> None:
        parsed = numbers.parse(self.number, self.country)
        self.number, self.kind, self.country = parsed.number, parsed.kind, parsed.country or self.country
        self.spelling = numbers.spell(self.number, self.country, self.inbound_format)

    @property
    def as_sender(self) -> str:
        """The number as its service wants it in `$from$`."""
        return numbers.spell(self.number, self.country, self.outbound_format)


class Assignment(models.Model):
    """A user sends and receives through a number."""

    number = models.ForeignKey(Number, models.CASCADE, related_name="assignments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="assignments")

    class Meta:
        verbose_name = _("user of a number")
        verbose_name_plural = _("users of numbers")
        constraints = [models.UniqueConstraint(fields=["number", "user"], name="assignment_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.number}"


class Contact(models.Model):
    """Somebody outside, known to an organization by a number, short code or name."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="contacts")
    address = models.CharField(_("number"), max_length=20)
    name = models.CharField(_("name"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [models.UniqueConstraint(fields=["organization", "address"], name="contact_once")]

    def __str__(self) -> str:
        return self.name or self.address


class Conversation(models.Model):
    """All that goes between one of our numbers and one contact."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="conversations")
    number = models.ForeignKey(Number, models.PROTECT, related_name="conversations")
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="conversations")
    last_message = models.ForeignKey("Message", models.SET_NULL, related_name="+", null=True, blank=True)
    last_at = models.DateTimeField(_("last message"), db_default=Now())

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = [models.UniqueConstraint(fields=["number", "contact"], name="conversation_once")]
        indexes = [models.Index(fields=["number", "-last_at"], name="conversation_recent")]

    def __str__(self) -> str:
        return f"{self.contact}, {self.number}"


class Reading(models.Model):
    """Up to which message a user has read a conversation."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="readings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    read_to = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="reading_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.conversation} to {self.read_to}"


class Message(models.Model):
    """A text or file, out or in. The table is the queue (`queue_state`); `status` is what a person sees."""

    class Direction(models.TextChoices):
        OUT = "out", _("sent")
        IN = "in", _("received")

    class Queue(models.IntegerChoices):
        WAITING = 0, _("waiting")
        CLAIMED = 1, _("claimed")
        DONE = 2, _("done")

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="messages")
    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="messages")
    direction = models.CharField(_("direction"), max_length=3, choices=Direction.choices)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("author"),
    )
    text = models.TextField(_("text"), blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    changed_at = models.DateTimeField(_("changed"), db_default=Now())

    status = models.SmallIntegerField(_("status"), choices=Status.choices, default=Status.QUEUED)
    status_code = models.CharField(_("code"), max_length=60, blank=True)
    status_text = models.CharField(_("reason"), max_length=500, blank=True)

    queue_state = models.SmallIntegerField(_("queue"), choices=Queue.choices, default=Queue.WAITING)
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
                condition=Q(queue_state=1, lease_until__isnull=False) | ~Q(queue_state=1),
                name="message_lease",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at", "id"], condition=Q(queue_state=0), name="message_due"),
            models.Index(fields=["lease_until"], condition=Q(queue_state=1), name="message_leases"),
            models.Index(fields=["conversation"], condition=Q(queue_state=1), name="message_in_flight"),
            models.Index(fields=["conversation", "-id"], name="message_thread"),
            models.Index(fields=["organization", "-id"], name="message_log"),
        ]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} {self.uuid}"


class Attachment(models.Model):
    """A file of a message: given to the provider as a signed URL, or fetched from it and kept."""

    class State(models.TextChoices):
        WAITING = "waiting", _("being fetched")
        KEPT = "kept", _("kept")
        FAILED = "failed", _("not fetched")

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, models.CASCADE, related_name="attachments")
    position = models.PositiveSmallIntegerField(default=0)
    file = models.FileField(blank=True, max_length=200)
    content_type = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    size = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.KEPT)
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
            models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="attachment_due"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.uuid)

    @property
    def is_image(self) -> bool:
        """Whether browsers may show it in the page."""
        return self.content_type in ("image/jpeg", "image/png", "image/gif", "image/webp")


class OptOut(models.Model):
    """A contact who wants no messages from a number."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="opt_outs")
    number = models.ForeignKey(Number, models.CASCADE, related_name="opt_outs")
    address = models.CharField(_("contact"), max_length=20)
    since = models.DateTimeField(_("since"), db_default=Now())

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")
        constraints = [models.UniqueConstraint(fields=["number", "address"], name="opt_out_once")]

    def __str__(self) -> str:
        return f"{self.address}: {self.number}"


class WebhookRequest(models.Model):
    """Every request that a service made, whatever became of it; its bytes are encrypted."""

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        DUPLICATE = "duplicate", _("duplicate")
        IGNORED = "ignored", _("ignored")
        UNMATCHED = "unmatched", _("unmatched")
        UNKNOWN_NUMBER = "unknown_number", _("unknown number")
        DISABLED = "disabled", _("integration disabled")
        UNPARSABLE = "unparsable", _("unreadable")
        UNVERIFIED = "unverified", _("bad signature")

    account = models.ForeignKey(Account, models.PROTECT, related_name="webhook_requests")
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="webhook_requests", null=True, blank=True
    )
    template = models.ForeignKey(Template, models.PROTECT, related_name="+", verbose_name=_("service"))
    integration = models.ForeignKey(Integration, models.PROTECT, related_name="+", null=True, blank=True)
    received_at = models.DateTimeField(_("received"), db_default=Now())
    method = models.CharField(_("method"), max_length=8)
    path = models.CharField(_("path"), max_length=200, blank=True)
    query = EncryptedBinaryField()
    headers = EncryptedJSONField()
    body = EncryptedBinaryField()
    digest = models.CharField(max_length=64)
    verdict = models.CharField(_("verdict"), max_length=16, choices=Verdict.choices)
    reason = models.TextField(_("reason"), blank=True)
    tried = models.JSONField(default=list)
    answer_status = models.PositiveSmallIntegerField(_("answer"))
    answer_headers = models.JSONField(default=dict)
    answer_body = models.TextField(blank=True)
    more = models.PositiveIntegerField(_("more like it"), default=0)

    class Meta:
        verbose_name = _("webhook request")
        verbose_name_plural = _("webhook requests")
        indexes = [
            models.Index(fields=["account", "-id"], name="webhook_log"),
            models.Index(fields=["organization", "-id"], name="webhook_org_log"),
            models.Index(fields=["digest", "received_at"], name="webhook_digest"),
            models.Index(fields=["received_at"], name="webhook_age"),
            models.Index(
                fields=["account", "template", "-received_at"],
                condition=Q(verdict="unverified"),
                name="webhook_unverified",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.template} {self.received_at:%Y-%m-%d %H:%M:%S}"


class WebhookEvent(models.Model):
    """One thing that a webhook request said; committed with it, filed by a task afterwards."""

    class State(models.TextChoices):
        WAITING = "waiting", _("to be filed")
        DONE = "done", _("filed")
        ORPHAN = "orphan", _("waits for its message")
        PART = "part", _("waits for the other parts")
        FAILED = "failed", _("could not be filed")

    request = models.ForeignKey(WebhookRequest, models.CASCADE, related_name="events")
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="webhook_events", null=True, blank=True
    )
    integration = models.ForeignKey(Integration, models.PROTECT, related_name="+", null=True, blank=True)
    number = models.ForeignKey(Number, models.PROTECT, related_name="+", null=True, blank=True)
    type = models.CharField(_("event"), max_length=10)
    payload = EncryptedJSONField()
    provider_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    key = models.CharField(max_length=64, unique=True, null=True, blank=True)
    part_of = models.CharField(max_length=64, blank=True)
    message_uuid = models.UUIDField(default=uuid.uuid4)
    message = models.ForeignKey(
        Message, models.SET_NULL, related_name="webhook_events", null=True, blank=True
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("received"), db_default=Now())

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")
        indexes = [
            models.Index(fields=["id"], condition=Q(state="waiting"), name="event_waiting"),
            models.Index(fields=["provider_id"], condition=Q(state="orphan"), name="event_orphan"),
            models.Index(fields=["part_of"], condition=Q(state="part"), name="event_part"),
            models.Index(fields=["created_at"], condition=Q(state="part"), name="event_part_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.provider_id}"


class DeliveryAttempt(models.Model):
    """One request to a provider and its answer, redacted; `part` counts a message's requests from 1."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="delivery_attempts")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    integration = models.ForeignKey(Integration, models.PROTECT, related_name="+", null=True, blank=True)
    part = models.PositiveSmallIntegerField(_("part"), default=1)
    parts = models.PositiveSmallIntegerField(_("parts"), default=1)
    fence = models.PositiveIntegerField()
    started_at = models.DateTimeField(_("started"))
    milliseconds = models.PositiveIntegerField(_("took ms"), default=0)
    method = models.CharField(max_length=8, blank=True)
    url = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    answer_status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer_headers = models.JSONField(default=dict)
    answer_body = models.TextField(blank=True)
    result = models.CharField(_("result"), max_length=14)
    code = models.CharField(max_length=60, blank=True)
    text = models.CharField(_("in words"), max_length=500, blank=True)
    provider_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    status = models.SmallIntegerField(_("status of the part"), choices=Status.choices)

    class Meta:
        verbose_name = _("delivery attempt")
        verbose_name_plural = _("delivery attempts")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "fence", "part"], name="attempt_once"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="attempt_status"),
        ]
        indexes = [
            models.Index(
                fields=["integration", "provider_id"],
                condition=~Q(provider_id=""),
                name="attempt_provider_id",
            ),
            models.Index(fields=["started_at"], name="attempt_age"),
        ]

    def __str__(self) -> str:
        return f"{self.message_id}/{self.part}: {self.result}"
