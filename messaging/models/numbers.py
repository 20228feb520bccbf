"""Numbers, their auto-replies, and opt-outs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from messaging import keywords, numbers
from messaging.models.assignments import assigned_to
from messaging.statuses import Direction, QueueState
from portal.models import Account, Organization, User


class NumberQuerySet(models.QuerySet["Number"]):
    def for_user(self, user: User) -> NumberQuerySet:
        """The active numbers through which the user may send and receive."""
        return self.filter(assigned_to(user), active=True)

    def only_countries(self, organizations: Iterable[Organization]) -> dict[int, str]:
        """The country of an organization's numbers in use, by its key, if they are all in one."""
        used = self.filter(organization__in=organizations, active=True).exclude(country="").order_by()
        found: dict[int, set[str]] = defaultdict(set)
        for organization, country in used.values_list("organization", "country").distinct():
            found[organization].add(country)
        return {key: countries.pop() for key, countries in found.items() if len(countries) == 1}


class Number(models.Model):
    """A number of an organization (an "SMS trunk"): E.164, a short code, or a sender name that only sends."""

    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="numbers", editable=False
    )
    organization = models.ForeignKey(
        Organization, models.PROTECT, verbose_name=_("organization"), related_name="numbers"
    )
    integration = models.ForeignKey(
        Integration,
        models.PROTECT,
        verbose_name=_("provider"),
        related_name="numbers",
        null=True,
        blank=True,
        help_text=_("The provider through which messages from this number are sent."),
    )
    number = models.CharField(
        _("number"),
        max_length=20,
        help_text=_("For example +61 8 5555 5555, a short code, or a sender name."),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=numbers.Kind.choices, editable=False)
    country = models.CharField(
        _("country"),
        max_length=2,
        blank=True,
        choices=numbers.countries,
        help_text=_("Numbers without a country code are taken to be in this country."),
    )
    display_name = models.CharField(_("display name"), max_length=120, blank=True)
    inbound_format = models.CharField(
        _("format in webhooks"),
        max_length=10,
        choices=numbers.Format.choices,
        default=numbers.Format.E164,
        help_text=_("How the provider writes this number as the recipient of a message."),
    )
    outbound_format = models.CharField(
        _("format as sender"),
        max_length=10,
        choices=numbers.Format.choices,
        default=numbers.Format.E164,
        help_text=_("How the provider expects this number as the sender of a message."),
    )
    spelling = models.CharField(max_length=20, editable=False)
    sticky_hours = models.PositiveSmallIntegerField(
        _("session stickiness in hours"),
        default=0,
        validators=[MaxValueValidator(720)],
        help_text=_(
            "On a number with several users, how long replies are shown only to the user who started the "
            "conversation. 0 shows them to all users at once; the maximum is 720 (30 days)."
        ),
    )
    header = models.CharField(
        _("header"), max_length=160, blank=True, help_text=_("Added above the text of every message.")
    )
    footer = models.CharField(
        _("footer"), max_length=160, blank=True, help_text=_("Added below the text of every message.")
    )
    keyword_languages = models.CharField(
        _("languages of keywords"), max_length=60, blank=True, default="", db_default=""
    )
    opt_out_keyword = models.CharField(
        _("opt-out keywords"),
        max_length=200,
        blank=True,
        help_text=_("Words that work like STOP, in addition to it. Separate them by commas."),
    )
    opt_out_answer = models.CharField(
        _("reply to STOP"), max_length=480, blank=True, help_text=_("Leave empty for the default text.")
    )
    help_answer = models.CharField(
        _("reply to HELP"), max_length=480, blank=True, help_text=_("Leave empty for the default text.")
    )
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Switch off if the number is no longer used. Its conversations are kept."),
    )
    free_at = models.DateTimeField(null=True, blank=True, editable=False)  # as PropertyValues.free_at
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
                violation_error_message=_("An organization of this account already uses this number."),
            ),
            models.UniqueConstraint(
                fields=["organization", "number"],
                condition=Q(active=True, kind="name"),
                name="name_once_per_organization",
                violation_error_message=_("The organization already has this sender name."),
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
            self.normalise()
        except ValueError as error:
            raise ValidationError({"number": str(error)}) from None
        self.account_id = self.organization.account_id
        # Checked here too, since forms skip constraints on fields that they do not contain.
        others = Number.objects.filter(account_id=self.account_id, number=self.number, active=True)
        taken = _("An organization of this account already uses this number.")
        if self.kind == numbers.Kind.NAME:
            others = others.filter(organization=self.organization_id)
            taken = _("The organization already has this sender name.")
        if self.active and others.exclude(pk=self.pk).exists():
            raise ValidationError({"number": taken})
        if self.integration and self.integration.organization_id != self.organization_id:
            raise ValidationError({"integration": _("This provider is set up for another organization.")})
        if self.opt_out_keyword:
            own = keywords.listed(self.opt_out_keyword)
            if not own or own & (self.words.start | self.words.help):
                raise ValidationError(
                    {"opt_out_keyword": _("Enter a word with letters other than START, YES, HELP and INFO.")}
                )

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.normalise()
        self.account_id = self.organization.account_id
        super().save(*args, **kwargs)
        self._reroute()
        self.release_conversations()

    def release_conversations(self) -> None:
        """Opens private conversations of users who do not share the number, or no longer do."""
        private = self.conversations.filter(private_to__isnull=False)
        users = list(self.assignments.values_list("user", flat=True))
        if self.sticky_hours and len(users) > 1:
            private = private.exclude(private_to__in=users)
        private.update(private_to=None, private_until=None)

    def _reroute(self) -> None:
        """Has waiting messages go through the number's current provider; without one, they fail when due."""
        waiting = self.organization.messages.filter(
            conversation__number=self, direction=Direction.OUT, queue_state=QueueState.WAITING
        )
        waiting.exclude(integration=self.integration_id).update(integration=self.integration_id)

    def normalise(self) -> None:
        """Brings the number into the form in which it is kept. Raises ValueError with a sentence."""
        parsed = numbers.parse(self.number, self.country)
        self.number, self.kind, self.country = parsed.number, parsed.kind, parsed.country or self.country
        self.spelling = numbers.spell(self.number, self.country, self.inbound_format)

    @property
    def words(self) -> keywords.Words:
        """The words for STOP, START and HELP of the languages that were chosen, or else of the country."""
        return keywords.words(self.keyword_languages.split() or keywords.spoken_in(self.country))

    def full_text(self, text: str) -> str:
        """The text as it is sent, between header and footer, each of which starts a new line."""
        return "\n".join(part for part in (self.header, text, self.footer) if part)

    @property
    def sends_to_groups(self) -> bool:
        """Whether one message can be sent to all members of a group; reads the integration's template."""
        ready = Integration.objects.ready().filter(numbers=self).first()
        return ready is not None and ready.compiled.sends_to_groups

    @property
    def as_sender(self) -> str:
        """The number as its provider expects it in `$from$`."""
        return numbers.spell(self.number, self.country, self.outbound_format)


class AutoReply(models.Model):
    """A number's automatic reply to a keyword or, for `*`, to the first message of a conversation."""

    INITIAL = "*"

    number = models.ForeignKey(Number, models.CASCADE, related_name="auto_replies")
    keyword = models.CharField(
        _("keyword"),
        max_length=40,
        help_text=_("The whole message, in upper or lower case; * stands for the first message."),
    )
    text = models.CharField(_("reply"), max_length=480)

    class Meta:
        verbose_name = _("auto-reply")
        verbose_name_plural = _("auto-replies")
        ordering = ["keyword"]
        constraints = [
            models.UniqueConstraint(
                Lower("keyword"),
                "number",
                name="auto_reply_once",
                violation_error_message=_("There is already a reply to this keyword."),
            )
        ]

    def __str__(self) -> str:
        return self.keyword

    def clean(self) -> None:
        asked = keywords.word(self.keyword)
        if self.keyword != self.INITIAL and not asked:
            raise ValidationError({"keyword": _("Enter a word with letters or digits, or a single *.")})
        if asked in keywords.STOP | keywords.HELP:
            raise ValidationError({"keyword": _("Use the fields above for the replies to STOP and HELP.")})


class OptOut(models.Model):
    """A contact's opt-out from the messages of a number."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="opt_outs")
    number = models.ForeignKey(Number, models.CASCADE, related_name="opt_outs", db_index=False)
    address = models.CharField(_("contact"), max_length=numbers.ADDRESS_LENGTH)
    since = models.DateTimeField(_("since"), db_default=Now())

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")
        constraints = [models.UniqueConstraint(fields=["number", "address"], name="opt_out_once")]

    def __str__(self) -> str:
        return f"{self.address}: {self.number}"
