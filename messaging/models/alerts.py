"""Alerts about trouble, and which of them each administrator wants."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from messaging.models.receivers import Receiver
from portal.models import Account, Organization, User


class AlertKind(models.TextChoices):
    """What administrators are told about; each can do without."""

    HELD = "held", _("A provider waits for a confirmation")
    SENDING = "sending", _("Messages cannot be sent through a provider")
    ARRIVING = "arriving", _("Messages do not arrive from a provider")
    QUARANTINE = "quarantine", _("The quarantine grows")
    LIMIT = "limit", _("An organization comes near its hourly limit")
    RECEIVER = "receiver", _("A program does not take its events")


class Alert(models.Model):
    """One trouble of an integration, a receiver, an organization or an account; its row is used again.

    Its administrators are told once when it begins, and once when it is over.
    """

    kind = models.CharField(_("kind"), max_length=12, choices=AlertKind.choices)
    # What has the trouble, such as "integration 7": foreign keys may be empty, which no constraint compares.
    subject = models.CharField(max_length=40)
    account = models.ForeignKey(Account, models.CASCADE, related_name="alerts")
    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="alerts", null=True, blank=True
    )
    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="alerts", null=True, blank=True, db_index=False
    )
    receiver = models.ForeignKey(
        Receiver, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    reason = models.TextField(_("reason"), blank=True)
    began_at = models.DateTimeField(_("since"))
    over_at = models.DateTimeField(_("until"), null=True, blank=True)
    # Whether the administrators know of it, and when to tell them what has changed.
    told = models.BooleanField(default=False)
    tell_at = models.DateTimeField(null=True, blank=True)
    # The keys of those who have got the mail about it, until all have.
    mailed = models.JSONField(default=list, db_default=[])
    # It came back soon after it was over: nobody is told until it stays away.
    unsteady = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [models.UniqueConstraint(fields=["kind", "subject"], name="alert_once")]
        indexes = [
            models.Index(fields=["tell_at"], condition=Q(tell_at__isnull=False), name="alert_tell"),
            models.Index(fields=["kind"], condition=Q(over_at__isnull=True), name="alert_open"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.integration or self.organization or self.account}"


class AlertChoice(models.Model):
    """The kinds of alerts that a person does not want; without a row, all are sent."""

    user = models.OneToOneField(User, models.CASCADE, related_name="alert_choice")
    unwanted = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.user}: {', '.join(self.unwanted)}"

    @staticmethod
    def unwanted_by(user: User) -> set[str]:
        """The kinds that the user does not want."""
        row = AlertChoice.objects.filter(user=user).first()
        return set(row.unwanted) if row else set()
