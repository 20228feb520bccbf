"""How users want to be told of texts, on which devices, and what is still to be told."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from messaging.models.messages import Message
from messaging.models.remarks import Remark
from portal.encryption import EncryptedBinaryField, EncryptedJSONField, SecretCharField

LEASE = timedelta(seconds=90)  # longer than a push takes to be sent


class PushKey(models.Model):
    """One row: the key by which push services recognize this installation (VAPID, RFC 8292), as DER."""

    private = EncryptedBinaryField()

    def __str__(self) -> str:
        return "Key for push services"


class NoticeChoicesQuerySet(models.QuerySet["NoticeChoices"]):
    def due(self) -> NoticeChoicesQuerySet:
        """Those whose users are to be told by mail now."""
        return self.filter(mail_due_at__lte=Now())


class NoticeChoices(models.Model):
    """How a user wants to be told of texts. Whoever has chosen nothing has no row."""

    class Mail(models.TextChoices):
        OFF = "off", _("Never")
        AT_ONCE = "at_once", _("At once")
        LATER = "later", _("When I have not read it for a while")
        DAILY = "daily", _("Once a day")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notice_choices", primary_key=True
    )
    shows_text = models.BooleanField(_("Show the beginning of the text"), default=True)
    sound = models.BooleanField(_("Play a sound"), default=False)
    mail = models.CharField(_("Email"), max_length=10, choices=Mail.choices, default=Mail.OFF)
    mail_minutes = models.PositiveSmallIntegerField(
        _("Minutes"), default=15, validators=[MinValueValidator(1), MaxValueValidator(1440)]
    )
    mail_hour = models.PositiveSmallIntegerField(_("Hour"), default=8, validators=[MaxValueValidator(23)])
    # The next mail; null: there is nothing to tell. A mail tells of messages after `mailed_to`, and of ends
    # of snoozes after `remarks_mailed_to`.
    mail_due_at = models.DateTimeField(null=True)
    mailed_to = models.BigIntegerField(default=0)
    remarks_mailed_to = models.BigIntegerField(default=0, db_default=0)
    # By conversation, up to where letters of their own have told of it, until all letters are sent.
    mailed_apart = models.JSONField(default=dict, db_default={})
    mail_failures = models.PositiveSmallIntegerField(default=0)

    objects = NoticeChoicesQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["mail_due_at"], condition=Q(mail_due_at__isnull=False), name="notice_mail_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.mail}"

    def next_mail(self, now: datetime) -> datetime | None:
        """When a text that arrives now is told by mail; null: never."""
        match self.mail:
            case self.Mail.AT_ONCE:
                return now + timedelta(seconds=30)  # whoever looks at the page reads it first
            case self.Mail.LATER:
                return now + timedelta(minutes=self.mail_minutes)
            case self.Mail.DAILY:
                local = now.astimezone(zoneinfo.ZoneInfo(self.user.time_zone))
                at = local.replace(hour=self.mail_hour, minute=0, second=0, microsecond=0)
                return at if at > local else at + timedelta(days=1)
        return None


class Device(models.Model):
    """A browser in which a user has switched push notices on; it is told while its session lasts.

    `subscription` has the `endpoint` at the push service, the keys `p256dh` and `auth`, and the `session`. It
    is None if its encryption key is lost.
    """

    MAX_PER_USER = 20

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="devices")
    digest = SecretCharField(max_length=64, unique=True)  # of the endpoint
    subscription = EncryptedJSONField(may_be_lost=True)
    name = models.CharField(_("name"), max_length=80)
    created_at = models.DateTimeField(_("since"), db_default=Now())

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name


class PushQuerySet(models.QuerySet["Push"]):
    def due(self) -> PushQuerySet:
        """Those that are to be sent now."""
        return self.filter(due_at__lte=Now())

    def claim(self, most: int, each: int, busy: Mapping[int, int]) -> list[Push]:
        """Takes up to `most` that are due, for this process alone and for the time of the lease.

        `busy` has the number of pushes on their way by user (keys), of which nobody gets more than `each`.
        """
        claims = Counter(busy)
        full = [user for user, count in claims.items() if count >= each]
        taken = []
        with transaction.atomic():
            free = self.due().exclude(device__user__in=full).order_by("due_at")
            locked = free.select_for_update(skip_locked=True, of=("self",))
            for pk, user in locked.values_list("pk", "device__user")[:most]:
                if claims[user] < each:
                    claims[user] += 1
                    taken.append(pk)
            Push.objects.filter(pk__in=taken).update(due_at=Now() + LEASE, attempts=F("attempts") + 1)
        found = Push.objects.filter(pk__in=taken).select_related(
            "device__user__notice_choices",
            "message__sender__merged_into",
            "message__conversation__contact__merged_into",
            "remark__conversation__contact__merged_into",
        )
        # The members are read for the groups that have no name.
        members = "conversation__contact__members__merged_into"
        return list(found.order_by("pk").prefetch_related(f"message__{members}", f"remark__{members}"))


class Push(models.Model):
    """A message, or the end of a snooze, that a device is still to be told of; without either, a test.

    It ends when it is sent.
    """

    RETRY_SECONDS = (10, 60, 300, 900)  # after which it is given up

    device = models.ForeignKey(Device, models.CASCADE, related_name="pushes", db_index=False)
    message = models.ForeignKey(Message, models.CASCADE, related_name="+", null=True)
    remark = models.ForeignKey(Remark, models.CASCADE, related_name="+", null=True)
    due_at = models.DateTimeField(db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    objects = PushQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "message"], name="push_once")]

    def __str__(self) -> str:
        return f"{self.device}: {self.message_id or self.remark or 'test'}"

    def wait(self, seconds: int) -> int | None:
        """For how many seconds it waits for the next try: longer each time, or as the push service asks.

        None: it is given up.
        """
        if self.attempts > len(self.RETRY_SECONDS):
            return None
        return max(self.RETRY_SECONDS[self.attempts - 1], min(seconds, 3600))
