"""What follows from numbers that were updated together; saving one of them does it by itself."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, Subquery

from messaging.models import Assignment, Conversation, Message, Number
from messaging.statuses import Direction, QueueState


def follow_up(numbers: Sequence[Number]) -> None:
    """Opens conversations that are private to nobody any more, and reroutes waiting messages.

    As `Number.release_conversations` and saving do it, but in three statements for all.
    """
    if not numbers:
        return
    private = Conversation.objects.filter(number__in=numbers, private_to__isnull=False)
    assigned = Assignment.objects.filter(number=OuterRef("number"))
    private.exclude(
        Exists(assigned.filter(user=OuterRef("private_to"))),
        Exists(assigned.exclude(user=OuterRef("private_to"))),
        number__sticky_hours__gt=0,
    ).update(private_to=None, private_until=None)
    current = Conversation.objects.filter(pk=OuterRef("conversation")).values("number__integration")[:1]
    waiting = Message.objects.filter(
        organization__in={number.organization_id for number in numbers},
        conversation__number__in=numbers,
        direction=Direction.OUT,
        queue_state=QueueState.WAITING,
    )
    waiting.filter(conversation__number__integration=None).exclude(integration=None).update(integration=None)
    waiting.exclude(integration=Subquery(current)).update(integration=Subquery(current))
