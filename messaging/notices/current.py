"""Which pushes still tell something new, to somebody who may read it; asked for all of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence

from messaging.models import Assignment, Conversation, Mention, Push, Reading


def of(pushes: Sequence[Push]) -> list[Push]:
    """Those that are neither read nor of a conversation that the user does not see; at most four queries."""
    users = {push.device.user_id for push in pushes}
    conversations = {row.pk: row for push in pushes if (row := _conversation(push)) is not None}
    if not conversations:
        return list(pushes)
    numbers = {row.number_id for row in conversations.values()}
    users_of = Assignment.objects.permitted().filter(number__in=numbers, user__in=users).users_by_number()
    read = Reading.objects.filter(conversation__in=conversations, user__in=users)
    read_to = {(row.conversation_id, row.user_id): row.read_to for row in read}
    remarks = {push.remark_id for push in pushes if push.remark_id}
    unseen = Mention.objects.filter(remark__in=remarks, user__in=users, seen_at__isnull=True)
    mentioned = set(unseen.values_list("remark", "user")) if remarks else set()
    awake = Conversation.objects.snooze_over().filter(remarks__in=remarks).values_list("pk", flat=True)
    woken = set(awake) if remarks else set()

    def is_news(push: Push) -> bool:
        conversation, user = _conversation(push), push.device.user_id
        if conversation is None:
            return True
        sees = user in users_of.get(conversation.number_id, ()) and conversation.private_to_id in (None, user)
        if not sees or conversation.contact.blocked_at is not None:
            return False
        if push.remark_id:
            return conversation.pk in woken and (push.remark_id, user) in mentioned
        return read_to.get((conversation.pk, user), 0) < (push.message_id or 0)

    return [push for push in pushes if is_news(push)]


def _conversation(push: Push) -> Conversation | None:
    """Of what it tells; None for a test."""
    told = push.message or push.remark
    return told.conversation if told is not None else None
