"""Receivers: programs outside that are told of events, and the events on their way to them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.encryption import EncryptedBinaryField
from portal.models import Account, Organization


class EventKind(models.TextChoices):
    """What receivers are told of. The values are the `type` in what is sent, and never change."""

    MESSAGE_RECEIVED = "message.received", _("A text arrived")
    MESSAGE_STATUS = "message.status", _("A text that was sent has another status")
    ALERT_RAISED = "alert.raised", _("An alert began")
    ALERT_OVER = "alert.over", _("An alert is over")
    TEST = "test", _("Test")


def new_secret() -> bytes:
    """A key for signatures as Standard Webhooks writes it."""
    return b"whsec_" + base64.b64encode(secrets.token_bytes(32))


class ReceiverQuerySet(models.QuerySet["Receiver"]):
    def of_alerts(self, accounts: Collection[int]) -> ReceiverQuerySet:
        """Those that want alerts: of an organization or, without one, of the account and all in it."""
        return self.filter(account__in=accounts, enabled=True, alerts=True)

    def to_tell(self) -> ReceiverQuerySet:
        """Those whose administrators are to be told now that they were switched off, or on again."""
        return self.filter(tell_at__lte=Now())


class Receiver(models.Model):
    """A program's URL that an organization has events sent to, or an account its alerts.

    While events fail in a row (`failures`, since `failing_since`), it is paused, and then gets a single one.
    After `FAILS_FOR` it is switched off, and `off_reason` says why. For `OLD_SECRET_VALID`, events are signed
    with a replaced secret, too.
    """

    MAX_PER_OWNER = 10
    FAILS_FOR = timedelta(days=3)
    OLD_SECRET_VALID = timedelta(days=1)
    WITHOUT_KEY: ClassVar = {"secret": b"", "old_secret": None, "enabled": False}

    account = models.ForeignKey(Account, models.CASCADE, verbose_name=_("account"), related_name="+")
    organization = models.ForeignKey(
        Organization,
        models.CASCADE,
        verbose_name=_("organization"),
        related_name="+",
        null=True,
        blank=True,
        help_text=_("Leave empty for the alerts of the whole account (account admins only)."),
    )
    url = models.CharField(
        _("address"),
        max_length=1000,
        help_text=_(
            "The https address of your program. It needs no password in it: by the signature your program "
            "knows who sends."
        ),
    )
    received = models.BooleanField(_("Texts that arrive"), default=False)
    statuses = models.BooleanField(
        _("What becomes of the texts that are sent"),
        default=False,
        help_text=_("Each is told once for each status: sent, delivered, read, failed, unknown or canceled."),
    )
    alerts = models.BooleanField(
        _("Alerts"), default=False, help_text=_("When something is wrong, and when it is over.")
    )
    enabled = models.BooleanField(_("switched on"), default=True)
    secret = EncryptedBinaryField(_("secret"), default=new_secret)
    old_secret = EncryptedBinaryField(_("old secret"), null=True)
    old_secret_until = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    paused_until = models.DateTimeField(null=True, editable=False)
    off_reason = models.CharField(max_length=500, blank=True, editable=False)
    tell_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("added"), db_default=Now(), editable=False)

    objects = ReceiverQuerySet.as_manager()

    class Meta:
        verbose_name = _("event receiver")
        verbose_name_plural = _("event receivers")
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["tell_at"], condition=Q(tell_at__isnull=False), name="receiver_tell"),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def secrets(self) -> list[bytes]:
        """The secrets that sign what is sent now, the newest first."""
        old = self.old_secret if self.old_secret_until and self.old_secret_until > timezone.now() else None
        return [bytes(secret) for secret in (self.secret, old) if secret]

    @property
    def place(self) -> str:
        """Its host, by which people know it."""
        return urlsplit(self.url).netloc

    @property
    def owner(self) -> Organization | Account:
        """Whose events it is told of."""
        return self.organization or self.account

    def renew_secret(self) -> str:
        """Makes a new secret and returns it; the one that it replaces is valid for a day."""
        made = new_secret()
        self.old_secret, self.secret = self.secret or None, made
        self.old_secret_until = timezone.now() + self.OLD_SECRET_VALID
        self.save(update_fields=["secret", "old_secret", "old_secret_until"])
        return made.decode()

    def note_success(self) -> None:
        """It works: nothing holds its events back."""
        if self.failures:
            Receiver.objects.filter(pk=self.pk).update(failures=0, failing_since=None, paused_until=None)

    def note_failure(self, seconds: float, reason: str) -> None:
        """Pauses it, and gives up what is too old; switches it off if it has failed for days.

        Events that fail while it is paused were on their way already, and do not make the pause longer.
        """
        running = Receiver.objects.filter(Q(paused_until=None) | Q(paused_until__lte=Now()), pk=self.pk)
        running.update(
            failures=F("failures") + 1,
            failing_since=Coalesce(F("failing_since"), Now()),
            paused_until=Now() + timedelta(seconds=seconds),
        )
        self.events.filter(due_at__isnull=False, expires_at__lte=Now()).update(due_at=None, problem=reason)
        if Receiver.objects.filter(pk=self.pk, failing_since__lt=Now() - self.FAILS_FOR).exists():
            self.switch_off(reason)

    def switch_off(self, reason: str) -> None:
        """Sends nothing more, and has the administrators told why."""
        on = Receiver.objects.filter(pk=self.pk, enabled=True)
        if on.update(enabled=False, off_reason=reason[:500], tell_at=Now()):
            self.give_up(reason)

    def give_up(self, reason: str) -> None:
        """Tries nothing more of what waits; it can be sent again."""
        self.events.filter(due_at__isnull=False).update(due_at=None, problem=reason[:500])

    def start_over(self) -> None:
        """Forgets all failures, as somebody has switched it on again; its alert is over."""
        Receiver.objects.filter(pk=self.pk).update(
            failures=0, failing_since=None, paused_until=None, off_reason="", tell_at=Now()
        )


class OutgoingEventQuerySet(models.QuerySet["OutgoingEvent"]):
    def failed(self) -> OutgoingEventQuerySet:
        """Those that were given up."""
        return self.filter(due_at__isnull=True, delivered_at__isnull=True)

    def send_again(self) -> int:
        """Sends those anew that are not on their way, under the same id; returns how many."""
        return self.filter(due_at__isnull=True, receiver__enabled=True).update(
            due_at=Now(),
            expires_at=Now() + OutgoingEvent.TRIED_FOR,
            delivered_at=None,
            attempts=0,
            status=None,
            problem="",
        )


class OutgoingEvent(models.Model):
    """An event on its way to one receiver, and afterwards the record of it, for as long as raw webhooks.

    The table is the queue: `due_at` is the time of the next attempt, or the end of the lease of whoever makes
    one; null: nothing more is tried. `attempts` counts the claims, and tells them apart. All receivers of an
    event get the same `payload` under the same `uuid`, and none gets it twice by two rows.
    """

    TRIED_FOR = timedelta(days=1)

    receiver = models.ForeignKey(Receiver, models.CASCADE, related_name="events", db_index=False)
    uuid = models.UUIDField()
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    # What is told of a message goes with it.
    message = models.ForeignKey("messaging.Message", models.CASCADE, related_name="+", null=True)
    payload = models.TextField()  # the JSON as it is sent
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True, db_default=Now())
    expires_at = models.DateTimeField()  # no further attempt after that
    attempts = models.PositiveIntegerField(db_default=0)
    tried_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)  # of the last response
    problem = models.CharField(max_length=500, blank=True)

    objects = OutgoingEventQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["receiver", "uuid"], name="outgoing_event_once")]
        indexes = [
            models.Index(
                fields=["receiver", "due_at"], condition=Q(due_at__isnull=False), name="outgoing_event_due"
            ),
            models.Index(fields=["receiver", "-id"], name="outgoing_event_of"),
            models.Index(fields=["created_at"], name="outgoing_event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"

    @property
    def is_waiting(self) -> bool:
        """Whether another attempt is made, or is being made."""
        return self.due_at is not None
