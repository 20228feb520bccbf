"""What a user has not seen, newest conversations first; it takes no longer when there are many messages."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Max, OuterRef, Q, Subquery

from messaging.models import Conversation, Mention, Message, Number, Reading, Remark
from messaging.models.assignments import assigned_to
from messaging.statuses import Direction
from portal.models import User

CONVERSATIONS = 30
MESSAGES = 50


class Told(NamedTuple):
    """Up to where a user was told: the keys of the last message, and of the last end of a snooze."""

    message: int = 0
    remark: int = 0

    def __str__(self) -> str:
        return f"{self.message}.{self.remark}"

    @classmethod
    def read(cls, text: str) -> Told:
        """What `str` has written; nothing yet, if it is anything else."""
        keys = text.split(".")
        if len(keys) > 2 or not all(key.isdecimal() for key in keys):
            return cls()
        return cls(*(int(key[:18]) for key in keys))

    def through(self, messages: list[Message], ended: list[Remark]) -> Told:
        """Up to where the user is told once they are told of these, too."""
        return Told(
            max([self.message, *(row.pk for row in messages)]), max([self.remark, *(row.pk for row in ended)])
        )


def newest(user: User) -> Told:
    """The newest that a user has been told of who looks at the list now; an index answers for each number."""
    open_ones = Conversation.objects.filter(number=OuterRef("pk"), closed_at__isnull=True)
    last = open_ones.order_by("-last_at").values("last_message")[:1]
    latest = Number.objects.filter(assigned_to(user)).order_by().values_list(Subquery(last), flat=True)
    remark = Mention.objects.filter(user=user).aggregate(newest=Max("remark"))["newest"]
    return Told(max((key for key in latest if key), default=0), remark or 0)


def unread(user: User, after: int = 0, looking_at: int | None = None) -> list[Message]:
    """The user's unread messages whose key is greater than `after`, oldest first, at most `MESSAGES`.

    Those of the conversation that the user is `looking_at` are among them whether or not its page has noted
    them as read meanwhile. Two queries read the newest conversations and their newest messages by their
    indexes.
    """
    read_to = Reading.objects.filter(conversation=OuterRef("pk"), user=user).values("read_to")
    rows = (
        Conversation.objects.for_user(user)
        .wanted()
        .filter(last_message__gt=after)
        .order_by("-last_at")
        .annotate(read_to=Subquery(read_to))
        .values_list("pk", "read_to", "last_message")[:CONVERSATIONS]
    )
    wanted = Q()
    for conversation, read, last in rows:
        seen = after if conversation == looking_at else max(read or 0, after)
        if last > seen:
            wanted |= Q(conversation=conversation, pk__gt=seen)
    if not wanted:
        return []
    found = Message.objects.filter(wanted, direction=Direction.IN).order_by("-pk")
    return list(found.select_related("sender", "conversation__contact", "conversation__number")[:MESSAGES])[
        ::-1
    ]


def ended(user: User, after: int = 0, looking_at: int | None = None) -> list[Remark]:
    """The ends of snoozes that the user has not seen, oldest first, as `unread` gives messages.

    A conversation that was taken up since is not among them.
    """
    mine = Conversation.objects.for_user(user).wanted().snooze_over()
    unseen = Mention.objects.filter(Q(seen_at__isnull=True) | Q(conversation=looking_at), user=user)
    found = Remark.objects.filter(
        kind=Remark.Kind.OVER, pk__gt=after, pk__in=unseen.values("remark"), conversation__in=mine
    )
    related = found.select_related("conversation__contact", "conversation__number")
    return list(related.order_by("-pk")[:MESSAGES])[::-1]
