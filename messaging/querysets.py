"""Sets of rows, each starting from who asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import BigIntegerField, Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from portal.models import Membership, User

if TYPE_CHECKING:
    from messaging.models import Conversation, Message, Number  # noqa: F401 (named in strings below)


def assigned_to(user: User, number: str = "") -> Q:
    """The condition for rows whose number (found by the lookup `number`) is assigned to an active member."""
    prefix = f"{number}__" if number else ""
    own = Membership.objects.filter(user=user, status=Membership.Status.ACTIVE).values("organization")
    return Q(
        **{f"{prefix}assignments__user": user, f"{prefix}organization__in": own},
    )


class NumberQuerySet(models.QuerySet["Number"]):
    def for_user(self, user: User) -> NumberQuerySet:
        """The active numbers that the user sends and receives through."""
        return self.filter(assigned_to(user), active=True)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def for_user(self, user: User) -> ConversationQuerySet:
        """The conversations on the numbers assigned to the user."""
        return self.filter(assigned_to(user, "number"))

    def with_unread(self, user: User) -> ConversationQuerySet:
        """Each with `unread`: how many messages came in that the user has not read."""
        from messaging.models import Message, Reading

        read_to = Reading.objects.filter(conversation=OuterRef(OuterRef("pk")), user=user).values("read_to")
        fresh = (
            Message.objects.filter(
                conversation=OuterRef("pk"),
                direction=Message.Direction.IN,
                id__gt=Coalesce(Subquery(read_to), 0, output_field=BigIntegerField()),
            )
            .order_by()
            .values("conversation")
            .annotate(number=Count("pk"))
            .values("number")
        )
        counted: ConversationQuerySet = self.annotate(unread=Coalesce(Subquery(fresh), 0))
        return counted


class MessageQuerySet(models.QuerySet["Message"]):
    def for_user(self, user: User) -> MessageQuerySet:
        """The messages of the conversations on the numbers assigned to the user."""
        return self.filter(assigned_to(user, "conversation__number"))

    def unread(self, user: User) -> MessageQuerySet:
        """What came in and the user has not read."""
        return self.for_user(user).filter(
            ~Q(conversation__readings__user=user, conversation__readings__read_to__gte=F("id")),
            direction="in",
        )
