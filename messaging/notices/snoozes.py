"""The end of a snooze: those who have the conversation are told of it as of a new text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Case, F, When

from messaging.models import Assignment, Conversation, Mention, Remark
from messaging.models.conversations import is_asleep
from messaging.notices import arrivals
from messaging.rules import teamwork
from portal.database import bulk

BATCH = 100


def tell_due() -> None:
    """Tells of all snoozes that are over, of each once, even if several processes do this at a time."""
    while _tell(BATCH):
        pass


@transaction.atomic
def _tell(most: int) -> int:
    """Tells of up to so many; returns of how many it need not be asked again."""
    due = Conversation.objects.waking().order_by("wakes_at").values_list("pk", flat=True)
    taken = list(due.select_for_update(skip_locked=True, no_key=True)[:most])
    rows = Conversation.objects.filter(pk__in=taken)
    over = list(rows.wanted().snooze_over().order_by("pk"))
    remarks = teamwork.remark_in_all(over, Remark.Kind.OVER)
    to_tell: dict[int, list[Remark]] = defaultdict(list)
    for row, users in zip(over, _concerned(over), strict=True):
        for user in users:
            to_tell[user].append(remarks[row.pk])
    bulk.insert(
        [
            Mention(remark=remark, conversation_id=remark.conversation_id, user_id=user)
            for user, those in to_tell.items()
            for remark in those
        ]
    )
    arrivals.tell(to_tell)
    # One that was snoozed anew by the version before has its old time here.
    rows.update(wakes_at=Case(When(is_asleep(), then=F("snoozed_until"))))
    return len(taken)


def _concerned(conversations: Sequence[Conversation]) -> list[set[int]]:
    """For each, whoever has it; if nobody has, all users of its number to whom it is not closed."""
    assigned = Assignment.objects.permitted().filter(
        number__in={row.number_id for row in conversations}, user__is_active=True
    )
    users_of = assigned.users_by_number()
    found = []
    for row in conversations:
        users = users_of[row.number_id]
        if row.private_to_id is not None:
            users = users & {row.private_to_id}
        found.append(users & {row.assignee_id} or users)
    return found
