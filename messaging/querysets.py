"""Sets of rows, each starting from who asks for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import BigIntegerField, Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from messaging.database import sql
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


# `assigned_to` for statements that know `number`, a row of numbers, and `new.author`, a user's key.
MAY_SEND = """(
    SELECT TRUE FROM messaging_assignment
    JOIN portal_membership ON portal_membership.user_id = messaging_assignment.user_id
    WHERE messaging_assignment.number_id = number.id AND messaging_assignment.user_id = new.author
    AND portal_membership.organization_id = number.organization_id AND portal_membership.status = 'active'
    LIMIT 1
) IS NOT NULL"""


def not_private(user: User, conversation: str = "") -> Q:
    """The condition for rows of conversations (found by the lookup) that are not private to a colleague."""
    private_to = f"{conversation}__private_to" if conversation else "private_to"
    return Q(**{f"{private_to}__isnull": True}) | Q(**{private_to: user})


class NumberQuerySet(models.QuerySet["Number"]):
    def for_user(self, user: User) -> NumberQuerySet:
        """The active numbers that the user sends and receives through."""
        return self.filter(assigned_to(user), active=True)

    def senders(self, user: User, numbers: Collection[str]) -> list[Number]:
        """Those of `for_user` that are written so, with what sending needs to know of them.

        It is asked with every submission, and the ORM takes ten times as long to write the statement.
        """
        rows = self.raw(
            f"""SELECT number.id, number.number, number.display_name, number.country,
                number.organization_id
            FROM (SELECT CAST(%s AS bigint) AS author) AS new
            JOIN messaging_assignment AS assignment ON assignment.user_id = new.author
            JOIN messaging_number AS number ON number.id = assignment.number_id
            WHERE number.active AND {sql.among("number.number")} AND {MAY_SEND}""",  # noqa: S608 (constants)
            [user.pk, sql.array(numbers)],
        )
        return list(rows)


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
        """The messages of the user's conversations (`ConversationQuerySet.for_user`)."""
        return self.filter(assigned_to(user, "conversation__number") & not_private(user, "conversation"))

    def unread(self, user: User) -> MessageQuerySet:
        """What came in and the user has not read."""
        return self.for_user(user).filter(
            ~Q(conversation__readings__user=user, conversation__readings__read_to__gte=F("id")),
            direction="in",
        )
