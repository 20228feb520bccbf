"""Which pushes still tell something new, to somebody who may read it; asked for all of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence

from messaging.models import Conversation, Mention, Push


def of(pushes: Sequence[Push]) -> list[Push]:
    """Those of what the user has not read, in conversations of which they are told; at most three queries."""
    users = {push.device.user_id for push in pushes}
    conversations = {row.pk: row for push in pushes if (row := _conversation(push)) is not None}
    if not conversations:
        return list(pushes)
    asking = Conversation.objects.told_of().filter(pk__in=conversations).unread_by_each(users)
    read_to: dict[tuple[int, int], int] = {
        (row, reader): read for row, reader, read in asking.values_list("pk", "reader", "read")
    }
    remarks = {push.remark_id for push in pushes if push.remark_id}
    unseen = Mention.objects.filter(remark__in=remarks, user__in=users, seen_at__isnull=True)
    mentioned = set(unseen.values_list("remark", "user")) if remarks else set()
    awake = Conversation.objects.snooze_over().filter(remarks__in=remarks).values_list("pk", flat=True)
    woken = set(awake) if remarks else set()

    def is_news(push: Push) -> bool:
        conversation, user = _conversation(push), push.device.user_id
        if conversation is None:
            return True
        if (conversation.pk, user) not in read_to:
            return False
        if push.remark_id:
            return conversation.pk in woken and (push.remark_id, user) in mentioned
        return read_to[conversation.pk, user] < (push.message_id or 0)

    return [push for push in pushes if is_news(push)]


def _conversation(push: Push) -> Conversation | None:
    """Of what it tells; None for a test."""
    told = push.message or push.remark
    return told.conversation if told is not None else None
