"""Integrations: templates enabled for organizations, with their property values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.language import document
from integrations.models.templates import Template, TemplateRevision, webhook_url
from portal.encryption import EncryptedJSONField
from portal.models import Account, Organization, User


class State(StrEnum):
    """Whether an integration works: the first of these that holds."""

    OFF = "off"
    HELD = "held"  # until an administrator answers where secrets may go
    PAUSED = "paused"  # by the circuit breaker
    TROUBLE = "trouble"
    ON = "on"


# How long trouble lasts that may pass by itself before the administrators are told.
LASTING = timedelta(minutes=5)
NOT_WORKING = (State.HELD, State.PAUSED, State.TROUBLE)


def state_now() -> Case:
    """What `Integration.state` says, as an expression of queries."""
    return Case(
        When(enabled=False, then=Value(State.OFF)),
        When(held_since__isnull=False, then=Value(State.HELD)),
        When(paused_until__isnull=False, then=Value(State.PAUSED)),
        When(~Q(trouble="", arrival_trouble=""), then=Value(State.TROUBLE)),
        default=Value(State.ON),
        output_field=models.CharField(),
    )


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def ready(self) -> IntegrationQuerySet:
        """With all rows that `properties` and `compiled` read, in one query."""
        return self.select_related("organization__account", "template__published", "revision", "values_row")

    def clear_trouble(self) -> None:
        """Shows no more that they do not send; what keeps messages from arriving is still shown."""
        self.update(trouble="", trouble_since=_since_if("arrival_trouble"), tell_at=_told_if("trouble"))

    def clear_arrival_trouble(self) -> None:
        """Shows no more that nothing arrives; what keeps them from sending is still shown."""
        self.update(
            arrival_trouble="", trouble_since=_since_if("trouble"), tell_at=_told_if("arrival_trouble")
        )


def _since_if(other: str) -> Case:
    return Case(When(**{other: ""}, then=Value(None)), default=F("trouble_since"))


def _told_if(trouble: str) -> Case:
    """When to notify the administrators after this trouble, if there was any, is over."""
    return Case(When(**{trouble: ""}, then=F("tell_at")), default=Now())


class Integration(models.Model):
    """A template enabled for one organization, with the organization's own values."""

    organization = models.ForeignKey(
        Organization, models.PROTECT, verbose_name=_("organization"), related_name="integrations"
    )
    template = models.ForeignKey(
        Template, models.PROTECT, verbose_name=_("provider"), related_name="integrations"
    )
    revision = models.ForeignKey(
        TemplateRevision,
        models.PROTECT,
        verbose_name=_("pinned revision"),
        related_name="+",
        null=True,
        blank=True,
        help_text=_("Leave empty to always use the published revision."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    # Why it does not send, and why nothing arrives: the one says nothing about the other.
    trouble = models.CharField(_("trouble"), max_length=500, blank=True, editable=False)
    arrival_trouble = models.CharField(
        _("trouble of what arrives"), max_length=500, blank=True, editable=False, default="", db_default=""
    )
    trouble_since = models.DateTimeField(_("trouble since"), null=True, blank=True, editable=False)
    # The circuit breaker: consecutive failures, and until when only a single probe is sent.
    failures = models.PositiveSmallIntegerField(default=0, editable=False)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True, editable=False)
    pause_seconds = models.PositiveIntegerField(default=0, editable=False)
    tell_at = models.DateTimeField(null=True, blank=True, editable=False)  # when to notify the administrators
    last_sent_at = models.DateTimeField(_("last sent"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # What an administrator must confirm or enter again, in sentences, and whether messages wait for it.
    held_since = models.DateTimeField(_("held since"), null=True, blank=True, editable=False)
    held_reason = models.TextField(_("held because"), blank=True, db_default="", default="", editable=False)
    holds_messages = models.BooleanField(db_default=False, default=False, editable=False)
    # The self test: when it last passed, and what failed when it last ran, in sentences.
    tested_at = models.DateTimeField(_("self test passed"), null=True, blank=True, editable=False)
    tested_problem = models.TextField(blank=True, db_default="", default="", editable=False)

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        verbose_name = _("integration")
        verbose_name_plural = _("integrations")
        ordering = ["template__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "template"],
                name="integration_once",
                violation_error_message=_("This provider is already set up for the organization."),
            )
        ]
        indexes = [
            models.Index(fields=["tell_at"], condition=Q(tell_at__isnull=False), name="integration_tell"),
            # Whether an account has pinned some is asked with each webhook.
            models.Index(fields=["template"], condition=Q(revision__isnull=False), name="integration_pinned"),
        ]

    def __str__(self) -> str:
        return f"{self.template}, {self.organization}"

    @property
    def compiled(self) -> document.Template:
        """The compiled document that the organization uses: the pinned revision, or the published one."""
        revision = self.revision or self.template.published
        if revision is None:
            raise LookupError(f"The template {self.template} has no published revision.")
        return revision.compiled

    @property
    def own_values(self) -> dict[str, Any]:
        """The organization's own property values, including decrypted secrets."""
        try:
            return dict(self.values_row.values)
        except PropertyValues.DoesNotExist:
            return {}

    @property
    def state(self) -> State:
        """Whether the integration works; in queries, `state_now` says it."""
        if not self.enabled:
            return State.OFF
        if self.held_since is not None:
            return State.HELD
        if self.paused_until is not None:
            return State.PAUSED
        return State.TROUBLE if self.problem else State.ON

    @property
    def problem(self) -> str:
        """Why it does not work: what keeps it from sending, else what keeps messages from arriving."""
        return self.trouble or self.arrival_trouble

    def note_trouble(self, text: str) -> None:
        """Says why it does not send, since the first report of trouble."""
        self._note(trouble=text[:500])

    def note_arrival_trouble(self, text: str) -> None:
        """Says why nothing arrives, since the first report of trouble."""
        self._note(arrival_trouble=text[:500])

    def _note(self, **trouble: str) -> None:
        noted = Coalesce("trouble_since", Now())
        # Told of if it lasts: access tokens and polls are tried again after a while.
        told = Coalesce("tell_at", Now() + LASTING)
        Integration.objects.filter(pk=self.pk).update(**trouble, trouble_since=noted, tell_at=told)

    @property
    def account_webhook_url(self) -> str:
        """The webhook URL for all organizations of the account."""
        return webhook_url(self.template.service_id, self.organization.account.accountid)

    @property
    def webhook_url(self) -> str:
        """The webhook URL for this organization alone; `$webhook_url$` in templates."""
        return webhook_url(self.template.service_id, self.organization.orgid)


class PropertyValues(models.Model):
    """Encrypted property values, of one integration or of an account for all its organizations."""

    integration = models.OneToOneField(
        Integration, models.CASCADE, related_name="values_row", null=True, blank=True
    )
    account = models.ForeignKey(Account, models.CASCADE, related_name="+", null=True, blank=True)
    template = models.ForeignKey(Template, models.CASCADE, related_name="+", null=True, blank=True)
    values = EncryptedJSONField(default=dict)
    # For each value that is stored as secret, by its label: the origins to which it may be sent, and who
    # confirmed each, when. Null in rows that version 0.1 has written, until `manage.py install`.
    secret_origins = models.JSONField(null=True, editable=False)
    changed_at = models.DateTimeField(auto_now=True)
    # Whether it has no value, so that the account's apply. Null in rows that version 0.1 has written, until
    # `manage.py install`; such a row counts as not blank.
    blank = models.BooleanField(null=True, editable=False)
    # Rate limits apply to credentials: whoever shares them shares the time of the next request.
    free_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(integration__isnull=False, account__isnull=True, template__isnull=True)
                | Q(integration__isnull=True, account__isnull=False, template__isnull=False),
                name="values_of_one_owner",
            ),
            models.UniqueConstraint(fields=["account", "template"], name="values_of_account"),
        ]
        indexes = [
            # Whether values of version 0.1 are left is asked with webhooks.
            models.Index(fields=["blank"], condition=Q(blank__isnull=True), name="values_not_adopted"),
        ]

    def __str__(self) -> str:
        return f"Values of {self.integration or self.template}"

    def stored_as_secret(self, label: str, document_says: bool) -> bool:
        """Whether the value was secret when it was stored; in a row of version 0.1, the document decides."""
        return document_says if self.secret_origins is None else label in self.secret_origins

    @property
    def open_values(self) -> dict[str, Any]:
        """The values that were not stored as secret."""
        return {
            label: value for label, value in self.values.items() if label not in (self.secret_origins or {})
        }

    def origins_of(self, label: str) -> frozenset[str]:
        """The origins to which the secret with this label may be sent."""
        return frozenset((self.secret_origins or {}).get(label, ()))

    def confirm(self, label: str, origins: Iterable[str], user: User | None) -> None:
        """Lets the secret be sent to these origins, too; the caller saves the row."""
        known = self.secret_origins = dict(self.secret_origins or {})
        by = {"by": user.pk if user else None, "at": timezone.now().isoformat(timespec="seconds")}
        known[label] = dict.fromkeys(origins, by) | known.get(label, {})

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        self.blank = not self.values
        if update_fields is not None and "values" in update_fields:
            update_fields = {*update_fields, "blank"}
        with transaction.atomic():  # with what is kept of the values
            super().save(*args, update_fields=update_fields, **kwargs)


class ComparedValue(models.Model):
    """The digest of a value that webhooks carry, such as an account id: so they find whose they may be.

    `values` are those of an integration, or of an account for all its organizations. Secrets are never here.
    """

    values = models.ForeignKey(PropertyValues, models.CASCADE, related_name="compared")
    account = models.ForeignKey(Account, models.CASCADE, related_name="+", db_index=False)
    template = models.ForeignKey(Template, models.CASCADE, related_name="+", db_index=False)
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["values", "digest"], name="compared_value_once")]
        indexes = [models.Index(fields=["account", "template", "digest"], name="compared_value")]

    def __str__(self) -> str:
        return f"{self.values}: {self.digest[:8]}"
