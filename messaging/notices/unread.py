"""What a user has not read, newest conversations first; it takes no longer when there are many messages."""

from __future__ import annotations

from django.db.models import OuterRef, Q, Subquery

from messaging.models import Conversation, Message, Reading
from messaging.statuses import Direction
from portal.models import User

CONVERSATIONS = 30
MESSAGES = 50


def unread(user: User, after: int = 0) -> list[Message]:
    """The user's unread messages whose key is greater than `after`, oldest first, at most `MESSAGES`.

    Two queries read the newest conversations and their newest messages by their indexes.
    """
    read_to = Reading.objects.filter(conversation=OuterRef("pk"), user=user).values("read_to")
    newest = (
        Conversation.objects.for_user(user)
        .wanted()
        .filter(last_message__gt=after)
        .order_by("-last_at")
        .annotate(read_to=Subquery(read_to))
        .values_list("pk", "read_to", "last_message")[:CONVERSATIONS]
    )
    wanted = Q()
    for conversation, read, last in newest:
        if last > (seen := max(read or 0, after)):
            wanted |= Q(conversation=conversation, pk__gt=seen)
    if not wanted:
        return []
    found = Message.objects.filter(wanted, direction=Direction.IN).order_by("-pk")
    return list(found.select_related("sender", "conversation__contact", "conversation__number")[:MESSAGES])[
        ::-1
    ]
