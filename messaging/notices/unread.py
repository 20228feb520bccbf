"""What a user has not seen, newest conversations first; it takes no longer when there are many messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import Max, OuterRef, Q, Subquery, prefetch_related_objects

from messaging.models import Conversation, Mention, Message, Number, Reading, Remark
from messaging.models.assignments import assigned_to
from messaging.models.conversations import has_texts_for
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
    """Up to where a user has been told by looking at the list now; an index answers for each number."""
    open_ones = Conversation.objects.filter(number=OuterRef("pk"), closed_at__isnull=True)
    last = open_ones.order_by("-last_at").values("last_message")[:1]
    latest = Number.objects.filter(assigned_to(user)).order_by().values_list(Subquery(last), flat=True)
    remark = Mention.objects.filter(user=user).aggregate(newest=Max("remark"))["newest"]
    return Told(max((key for key in latest if key), default=0), remark or 0)


def unread(user: User, after: int = 0, looking_at: int | None = None) -> list[Message]:
    """The user's unread messages whose key is greater than `after`, oldest first, at most `MESSAGES`.

    They are those of the newest `CONVERSATIONS` with such messages. Those of the conversation that the user
    is `looking_at` are among them whether or not its page has noted them as read meanwhile. Two queries read
    the conversations in which something was said since, and their newest messages, by their indexes.
    """
    read_to = Reading.objects.filter(conversation=OuterRef("pk"), user=user).values("read_to")
    rows = (
        Conversation.objects.for_user(user)
        .told_of()
        .filter(has_texts_for(user, after) | Q(pk=looking_at), last_message__gt=after)
        .order_by("-last_at")
        .annotate(read_to=Subquery(read_to))
        .values_list("pk", "read_to")[:CONVERSATIONS]
    )
    wanted = Q()
    for conversation, read in rows:
        seen = after if conversation == looking_at else max(read or 0, after)
        wanted |= Q(conversation=conversation, pk__gt=seen)
    if not wanted:
        return []
    found = Message.objects.filter(wanted, direction=Direction.IN).select_related(
        "sender__merged_into", "conversation__contact__merged_into", "conversation__number"
    )
    newest_first = list(found.order_by("-pk")[:MESSAGES])
    _read_members(newest_first)
    return newest_first[::-1]


def ended(user: User, after: int = 0, looking_at: int | None = None) -> list[Remark]:
    """The ends of snoozes that the user has not seen, oldest first, as `unread` gives messages.

    A conversation that was taken up since is not among them.
    """
    mine = Conversation.objects.for_user(user).told_of().snooze_over()
    unseen = Mention.objects.filter(Q(seen_at__isnull=True) | Q(conversation=looking_at), user=user)
    found = Remark.objects.filter(
        kind=Remark.Kind.OVER, pk__gt=after, pk__in=unseen.values("remark"), conversation__in=mine
    ).select_related("conversation__contact__merged_into", "conversation__number")
    newest_first = list(found.order_by("-pk")[:MESSAGES])
    _read_members(newest_first)
    return newest_first[::-1]


def _read_members(rows: Sequence[Message | Remark]) -> None:
    """Reads at once the members of all groups, by which those that have no name are called."""
    contacts = [row.conversation.contact for row in rows]
    prefetch_related_objects([contact for contact in contacts if contact.is_group], "members__merged_into")
