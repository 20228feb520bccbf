"""Webhook requests with their events, and delivery attempts, as they are stored."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.translation import gettext_lazy as _

from integrations.events import HttpResponse, InboundRequest
from integrations.models import Integration, Template
from messaging.models.messages import Message
from messaging.models.numbers import Number
from messaging.statuses import QUARANTINE, EventState, Status, Verdict
from portal.encryption import EncryptedBinaryField, EncryptedJSONField
from portal.models import Account, Organization, User
from portal.permissions import in_reach_of

MAX_FAILED = 1000  # newest failed events
_OF_ATTEMPTS = [status for status in Status.values if status != Status.CANCELED]  # it was never attempted


class WebhookRequestQuerySet(models.QuerySet["WebhookRequest"]):
    def in_quarantine(self, user: User, *, cleared: bool = False) -> WebhookRequestQuerySet:
        """Those in the user's reach that, or whose events, could not be processed; or that were cleared away.

        An organization's admin also gets those that are nobody's and name only the organization's numbers.
        """
        failed = WebhookEvent.objects.filter(
            state=EventState.FAILED, request__cleared_at__isnull=not cleared
        ).order_by("-request")
        # Their keys rather than a subquery, and one condition for each index that answers.
        keys = list(failed.values_list("request", flat=True)[:MAX_FAILED])
        mine, stuck = in_reach_of(user, "organization", "account"), Q(verdict__in=QUARANTINE)
        found = (mine & stuck) | (mine & Q(pk__in=keys)) | self._about(user)
        return self.filter(found, cleared_at__isnull=not cleared)

    def in_reach(self, user: User) -> WebhookRequestQuerySet:
        """Those that the user may open: their own, and what `in_quarantine` adds to them."""
        if user.is_operator:
            return self.all()  # an empty condition adds nothing to another
        return self.filter(in_reach_of(user, "organization", "account") | self._about(user))

    def _about(self, user: User) -> Q:
        if user.is_operator or not user.administered_organizations:
            return Q(pk__in=[])
        whose = user.administered_organizations
        return Q(about__in=whose, organization=None, verdict__in=QUARANTINE)


class WebhookRequest(models.Model):
    """A request that a provider made, or its answer to ReceiveMessages, with the verdict.

    The content is encrypted.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="webhook_requests", db_index=False)
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="webhook_requests", null=True, blank=True, db_index=False
    )
    template = models.ForeignKey(
        Template, models.PROTECT, related_name="+", verbose_name=_("provider"), db_index=False
    )
    integration = models.ForeignKey(
        Integration, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    received_at = models.DateTimeField(_("received"), db_default=Now())
    # The accountid or orgid in the URL, and the caller, as they are needed to reprocess the request.
    owner = models.CharField(max_length=20, blank=True)
    ip = models.CharField(_("caller"), max_length=45, blank=True)
    method = models.CharField(_("method"), max_length=8)
    # Whether it is the answer to ReceiveMessages; then method and path are those of our request.
    polled = models.BooleanField(default=False, db_default=False)
    path = models.CharField(_("path"), max_length=200, blank=True)
    query = EncryptedBinaryField()
    headers = EncryptedJSONField()
    body = EncryptedBinaryField()
    digest = models.CharField(max_length=64)
    verdict = models.CharField(_("verdict"), max_length=16, choices=Verdict.choices)
    reason = models.TextField(_("reason"), blank=True)
    tried = models.JSONField(default=list)
    answer_status = models.PositiveSmallIntegerField(_("response"))
    answer_headers = models.JSONField(default=dict)
    answer_body = models.TextField(blank=True)
    more = models.PositiveIntegerField(_("similar requests"), default=0)
    replayed_at = models.DateTimeField(_("reprocessed"), null=True, blank=True)
    # Of a request in quarantine that is nobody's: the only organization whose numbers it names.
    about = models.ForeignKey(
        Organization, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    cleared_at = models.DateTimeField(_("cleared"), null=True, blank=True)
    cleared_reason = models.CharField(
        _("why it was cleared"), max_length=200, blank=True, default="", db_default=""
    )

    objects = WebhookRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        indexes = [
            models.Index(fields=["account", "-id"], name="webhook_log"),
            models.Index(fields=["organization", "-id"], name="webhook_org_log"),
            models.Index(fields=["integration", "-id"], name="webhook_of_service"),
            models.Index(fields=["digest", "received_at"], name="webhook_digest"),
            models.Index(fields=["received_at"], name="webhook_age"),
            models.Index(
                fields=["account", "-id"],
                condition=Q(verdict__in=[*QUARANTINE]),
                name="webhook_quarantine",
            ),
            models.Index(
                fields=["organization", "-id"],
                condition=Q(verdict__in=[*QUARANTINE]),
                name="webhook_org_quarantine",
            ),
            models.Index(fields=["about", "-id"], condition=Q(about__isnull=False), name="webhook_about"),
            models.Index(
                fields=["account", "template", "-received_at"],
                condition=Q(verdict=Verdict.UNVERIFIED),
                name="webhook_unverified",
            ),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} #{self.pk}"

    @property
    def called(self) -> str:
        """The accountid or orgid in the URL."""
        return self.owner or (self.organization.orgid if self.organization else self.account.accountid)

    @property
    def place(self) -> str:
        """The path of the URL, or the URL that was polled."""
        if self.polled:
            return self.path
        return f"/services/{self.template.service_id}/a{self.called}{self.path}"

    @property
    def response(self) -> HttpResponse:
        """The response to the request."""
        return HttpResponse(self.answer_status, self.answer_headers, self.answer_body.encode())

    def as_received(self) -> InboundRequest:
        """The request as it was received, for reprocessing."""
        query = bytes(self.query).decode("utf-8", "surrogateescape")
        suffix = f"?{iri_to_uri(query)}" if query else ""
        return InboundRequest(
            method=self.method,
            path=self.path,
            query=query,
            headers=self.headers,
            body=bytes(self.body),
            ip=self.ip,
            url=f"{settings.PUBLIC_URL}{escape_uri_path(self.place)}{suffix}",
            polled=self.polled,
        )


class WebhookEvent(models.Model):
    """An event in a webhook request; committed with the request, and processed by a task afterwards."""

    request = models.ForeignKey(WebhookRequest, models.CASCADE, related_name="events")
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="webhook_events", null=True, blank=True, db_index=False
    )
    integration = models.ForeignKey(
        Integration, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    number = models.ForeignKey(
        Number, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    type = models.CharField(_("event"), max_length=10)
    payload = EncryptedJSONField()
    provider_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    key = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 (no two NULLs are equal)
    part_of = models.CharField(max_length=64, blank=True)
    message_uuid = models.UUIDField(default=uuid.uuid4)
    # Whether the event changed the consent of the contact when it was accepted: "optOut" or "optIn".
    consent = models.CharField(max_length=10, blank=True, default="", db_default="")
    message = models.ForeignKey(
        Message, models.SET_NULL, related_name="webhook_events", null=True, blank=True
    )
    state = models.CharField(
        _("state"), max_length=10, choices=EventState.choices, default=EventState.WAITING
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("received"), db_default=Now())

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")
        constraints = [models.UniqueConstraint(fields=["key"], name="event_key")]
        indexes = [
            models.Index(fields=["id"], condition=Q(state=EventState.WAITING), name="event_waiting"),
            models.Index(fields=["provider_id"], condition=Q(state=EventState.ORPHAN), name="event_orphan"),
            models.Index(fields=["provider_id"], condition=~Q(provider_id=""), name="event_provider_id"),
            models.Index(fields=["request"], condition=Q(state=EventState.FAILED), name="event_failed"),
            models.Index(fields=["part_of"], condition=Q(state=EventState.PART), name="event_part"),
            models.Index(fields=["created_at"], condition=Q(state=EventState.PART), name="event_part_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.provider_id}"


class DeliveryAttemptQuerySet(models.QuerySet["DeliveryAttempt"]):
    def sent(self) -> DeliveryAttemptQuerySet:
        """Those by which a provider has accepted a message or a part of it, not the uploads of files."""
        return self.filter(result="sent", part__lte=F("parts"))


class DeliveryAttempt(models.Model):
    """A request to a provider and its response, redacted.

    `part` counts the requests that send a message, from 1 to `parts`; uploads of its files come after these.
    """

    message = models.ForeignKey(Message, models.CASCADE, related_name="delivery_attempts", db_index=False)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+", db_index=False)
    integration = models.ForeignKey(
        Integration, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    part = models.PositiveSmallIntegerField(_("part"), default=1)
    parts = models.PositiveSmallIntegerField(_("parts"), default=1)
    fence = models.PositiveIntegerField()
    started_at = models.DateTimeField(_("started"))
    milliseconds = models.PositiveIntegerField(_("duration (ms)"), default=0)
    method = models.CharField(max_length=8, blank=True)
    url = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    answer_status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer_headers = models.JSONField(default=dict)
    answer_body = models.TextField(blank=True)
    result = models.CharField(_("result"), max_length=14)
    code = models.CharField(max_length=60, blank=True)
    text = models.CharField(_("reason"), max_length=500, blank=True)
    provider_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    status = models.SmallIntegerField(_("status of the part"), choices=Status.choices)

    objects = DeliveryAttemptQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery attempt")
        verbose_name_plural = _("delivery attempts")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "fence", "part"], name="attempt_once"),
            models.CheckConstraint(condition=Q(status__in=_OF_ATTEMPTS), name="attempt_status"),
        ]
        indexes = [
            models.Index(
                fields=["provider_id", "integration"],
                condition=~Q(provider_id=""),
                name="attempt_of_provider_id",
            ),
            models.Index(fields=["started_at"], name="attempt_age"),
            models.Index(fields=["integration", "started_at"], name="attempt_of_service"),
            models.Index(fields=["organization", "-id"], name="attempt_log"),
            models.Index(
                fields=["organization", "-id"], condition=~Q(result="sent"), name="attempt_not_sent"
            ),
            models.Index(
                fields=["organization", "answer_status", "-id"],
                condition=Q(answer_status__gte=300),
                name="attempt_answered_no",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_id}/{self.part}: {self.result}"

    @property
    def upload(self) -> int:
        """The number of the file that the request uploads, from 1; 0 for one that sends."""
        return max(0, self.part - self.parts)
