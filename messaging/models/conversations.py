"""Conversations, and how far users have read them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import BigIntegerField, Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.models.assignments import Assignment, assigned_to, not_private
from messaging.models.contacts import Contact
from messaging.models.messages import Message, MessageQuerySet
from messaging.models.numbers import Number, OptOut
from messaging.statuses import Direction
from portal.models import Membership, Organization, User


def is_asleep() -> Q:
    """The condition that a conversation is snoozed at this moment."""
    return Q(snoozed_until__gt=Now())


def has_texts_for(user: User, after: int = 0) -> Q:
    """The condition that a user has not read texts of a conversation whose keys are greater than `after`.

    Found fast: most conversations end with what the user has read.
    """
    read_to = Reading.objects.filter(conversation=OuterRef("pk"), user=user).values("read_to")
    goes_on = Q(last_message__gt=Coalesce(Subquery(read_to), 0, output_field=BigIntegerField()))
    return goes_on & Q(Exists(_fresh(user).filter(pk__gt=after)))


def _fresh(user: User) -> MessageQuerySet:
    """The inbound messages of a conversation that the user has not read."""
    read_to = Reading.objects.filter(conversation=OuterRef(OuterRef("pk")), user=user).values("read_to")
    return Message.objects.filter(
        conversation=OuterRef("pk"),
        direction=Direction.IN,
        id__gt=Coalesce(Subquery(read_to), 0, output_field=BigIntegerField()),
    )


def _mentions(user: User | OuterRef) -> models.QuerySet[models.Model]:
    """What is for the user in a conversation, and they have not seen."""
    mentions = apps.get_model("messaging", "Mention")._default_manager
    return mentions.filter(conversation=OuterRef("pk"), user=user, seen_at__isnull=True)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def for_user(self, user: User) -> ConversationQuerySet:
        """The conversations on the user's numbers, except those that are private to another user."""
        return self.filter(assigned_to(user, "number") & not_private(user))

    def wanted(self) -> ConversationQuerySet:
        """Those whose contact is not blocked: lists, counts and notifications begin here."""
        return self.filter(contact__blocked_at__isnull=True)

    def told_of(self) -> ConversationQuerySet:
        """Those of which users are told: the number of unread, notices, mail and push begin here.

        One that is closed is not among them, whoever of the number's users has closed it.
        """
        return self.wanted().filter(closed_at__isnull=True)

    def open(self) -> ConversationQuerySet:
        """Those in which something may have to be done: neither closed nor snoozed."""
        return self.filter(~is_asleep(), closed_at__isnull=True)

    def snooze_over(self) -> ConversationQuerySet:
        """Those whose snooze has ended, and that nobody has taken up since."""
        return self.filter(snoozed_until__lte=Now(), closed_at__isnull=True)

    def waking(self) -> ConversationQuerySet:
        """Those of whose end of a snooze somebody is to be told now."""
        return self.filter(wakes_at__lte=Now())

    def unassigned(self) -> ConversationQuerySet:
        """Those that nobody has taken, or that somebody has who no longer uses the number."""
        there = Assignment.objects.permitted().filter(number=OuterRef("number"), user=OuterRef("assignee"))
        return self.filter(Q(assignee__isnull=True) | ~Exists(there))

    def with_unread(self, user: User) -> ConversationQuerySet:
        """Annotates `unread`, the number of inbound messages that the user has not read, and `mentioned`.

        The latter says whether a note that the user has not seen mentions them.
        """
        fresh = _fresh(user).order_by().values("conversation")
        number = Subquery(fresh.annotate(number=Count("pk")).values("number"))
        unseen = Exists(_mentions(user))
        counted: ConversationQuerySet = self.annotate(unread=Coalesce(number, 0), mentioned=unseen)
        return counted

    def unread_by(self, user: User) -> ConversationQuerySet:
        """Those for which `with_unread` says so."""
        return self.filter(has_texts_for(user) | Exists(_mentions(user)))

    def unread_by_each(self, users: Collection[int]) -> models.QuerySet[Any, Any]:
        """What `for_user` and `unread_by` return for each of several users, given by their keys.

        The rows are annotated with the `reader`, and with `read`, the key up to where they have read it.
        """
        reader = OuterRef("reader")
        permitted = Membership.objects.filter(
            user=reader, organization=OuterRef("organization"), status=Membership.Status.ACTIVE
        )
        read_to = Reading.objects.filter(conversation=OuterRef("pk"), user=reader).values("read_to")
        fresh = Message.objects.filter(
            conversation=OuterRef("pk"), direction=Direction.IN, pk__gt=OuterRef("read")
        )
        return (
            self.annotate(reader=F("number__assignments__user"))
            .filter(Exists(permitted), reader__in=users)
            .filter(Q(private_to__isnull=True) | Q(private_to=F("reader")))
            .annotate(read=Coalesce(Subquery(read_to), 0, output_field=BigIntegerField()))
            .filter(Q(Exists(fresh), last_message__gt=F("read")) | Q(Exists(_mentions(reader))))
        )


class Conversation(models.Model):
    """All messages between one of our numbers and one contact, which may be a group."""

    # Every message updates the row and its indexes, so foreign keys that no query uses have none.
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="conversations", db_index=False
    )
    number = models.ForeignKey(Number, models.PROTECT, related_name="conversations", db_index=False)
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="conversations")
    last_message = models.ForeignKey(Message, models.SET_NULL, related_name="+", null=True, blank=True)
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
    # When the users are told that the snooze is over; null once they are.
    wakes_at = models.DateTimeField(null=True, blank=True, editable=False)
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
                fields=["wakes_at"], condition=Q(wakes_at__isnull=False), name="conversation_waking"
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
        """Whether the contact wants no messages from the number; of a group, all members."""
        out = OptOut.objects.filter(number=self.number_id, address=OuterRef("address"))
        who = self.contact.members if self.contact.is_group else Contact.objects.filter(pk=self.contact_id)
        return not who.filter(~Exists(out)).exists()


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
