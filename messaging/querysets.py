"""Sets of rows, each starting from who asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import BigIntegerField, Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from messaging.statuses import Direction
from portal.models import Membership, User

if TYPE_CHECKING:
    from messaging.models import Assignment, Conversation, Message, Number  # noqa: F401 (named in strings below)


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def permitted(self) -> AssignmentQuerySet:
        """Those that count, which says who may send and receive through which number.

        The user is an active member of the number's organization.
        """
        memberships = Membership.objects.filter(
            user=OuterRef("user"),
            organization=OuterRef("number__organization"),
            status=Membership.Status.ACTIVE,
        )
        return self.filter(Exists(memberships))


def assigned_to(user: User, number: str = "pk") -> Q:
    """The condition for rows whose number (found by the lookup `number`) the user may send through."""
    from messaging.models import Assignment

    return Q(**{f"{number}__in": Assignment.objects.permitted().filter(user=user).values("number")})


def not_private(user: User, conversation: str = "") -> Q:
    """The condition for rows of conversations (found by the lookup) that are not private to a colleague."""
    private_to = f"{conversation}__private_to" if conversation else "private_to"
    return Q(**{f"{private_to}__isnull": True}) | Q(**{private_to: user})


class NumberQuerySet(models.QuerySet["Number"]):
    def for_user(self, user: User) -> NumberQuerySet:
        """The active numbers that the user sends and receives through."""
        return self.filter(assigned_to(user), active=True)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def for_user(self, user: User) -> ConversationQuerySet:
        """The conversations on the numbers assigned to the user, except a colleague's private ones."""
        return self.filter(assigned_to(user, "number") & not_private(user))

    def with_unread(self, user: User) -> ConversationQuerySet:
        """Each with `unread`: how many messages came in that the user has not read."""
        from messaging.models import Message, Reading

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


class MessageQuerySet(models.QuerySet["Message"]):
    def for_user(self, user: User) -> MessageQuerySet:
        """The messages of the user's conversations (`ConversationQuerySet.for_user`)."""
        return self.filter(assigned_to(user, "conversation__number") & not_private(user, "conversation"))

    def unread(self, user: User) -> MessageQuerySet:
        """What came in and the user has not read."""
        return self.for_user(user).filter(
            ~Q(conversation__readings__user=user, conversation__readings__read_to__gte=F("id")),
            direction=Direction.IN,
        )
