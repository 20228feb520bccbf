"""A text has come, or a snooze is over: whom to tell of it, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from messaging.models import Assignment, Device, Message, NoticeChoices, Push, Remark
from portal import mail
from portal.database import bulk

# Whoever looks at the conversation reads a text within this time, and is not told of it.
LOOKING = timedelta(seconds=8)


def note(messages: Sequence[Message]) -> None:
    """Notes whom to tell of messages that arrive, in the transaction that files them.

    Those who have neither a device nor chosen mail cost one query for all messages, and nothing is stored.
    """
    numbers = {message.conversation.number_id for message in messages}
    wants_push = Exists(Device.objects.filter(user=OuterRef("user")))
    wants_mail = Exists(_mailed().filter(user=OuterRef("user")))
    assigned = Assignment.objects.permitted().filter(
        Q(wants_push) | Q(wants_mail), number__in=numbers, user__is_active=True
    )
    users_of = assigned.users_by_number()
    if not users_of:
        return
    to_tell: dict[int, list[Message]] = defaultdict(list)
    for message in messages:
        only = message.conversation.private_to_id
        for user in users_of[message.conversation.number_id]:
            if only in (None, user):
                to_tell[user].append(message)
    tell(to_tell)


def tell(to_tell: Mapping[int, Sequence[Message | Remark]]) -> None:
    """Has users told, each as they have chosen, of messages and of ends of snoozes, in this transaction."""
    now = timezone.now()
    devices = Device.objects.filter(user__in=to_tell).order_by("pk").values_list("pk", "user")
    bulk.insert(
        [
            Push(device_id=device, due_at=now + LOOKING, attempts=0, **_named(what))
            for device, user in devices
            for what in to_tell[user]
        ]
    )
    at: dict[datetime | None, list[int]] = defaultdict(list)
    for choices in _mailed().filter(user__in=to_tell, mail_due_at=None).select_related("user"):
        at[choices.next_mail(now)].append(choices.pk)
    for due_at, keys in at.items():
        NoticeChoices.objects.filter(pk__in=keys, mail_due_at=None).update(mail_due_at=due_at)


def _mailed() -> QuerySet[NoticeChoices]:
    """The choices of those who want mail, if any can be sent."""
    if not mail.is_configured():
        return NoticeChoices.objects.none()
    return NoticeChoices.objects.exclude(mail=NoticeChoices.Mail.OFF)


def _named(what: Message | Remark) -> dict[str, Any]:
    return {"message": what} if isinstance(what, Message) else {"remark": what}
