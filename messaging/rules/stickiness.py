"""Session stickiness: for a time, a conversation on a shared number is private to the user who started it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from messaging.errors import Refused
from messaging.models import Assignment, Conversation, Number, WebhookEvent
from portal.models import User


def on_sent(conversation: Conversation, author: User, number: Number, *, started: bool, shared: bool) -> None:
    """Updates, without saving, who may see a conversation in which the author sends a message.

    `started` says that it is the first message, `shared` that the number has several users. Raises Refused
    while the conversation is private to another user; after that time it is opened to all users of the
    number.
    """
    now, hours = timezone.now(), timedelta(hours=number.sticky_hours)
    if started and hours and shared:
        conversation.private_to, conversation.private_until = author, now + hours
    elif conversation.private_to_id is None:
        return
    elif conversation.private_to_id == author.pk:
        _extend(conversation, now + hours)
    elif conversation.private_until is not None and now <= conversation.private_until:
        raise Refused(partial(_private, conversation))
    else:
        _open(conversation)


def on_received(received: Sequence[tuple[WebhookEvent, Conversation]]) -> None:
    """Keeps a conversation private if a reply is received in time, and opens it after a later one."""
    private = [(event, item) for event, item in received if item.private_to_id is not None]
    if not private:
        return
    permitted = _permitted(item for _, item in private)
    for event, item in private:
        assert event.number is not None
        hours = timedelta(hours=event.number.sticky_hours)
        may = (item.number_id, item.private_to_id) in permitted
        if may and hours and item.private_until is not None and event.created_at <= item.private_until:
            _extend(item, event.created_at + hours)
        else:
            _open(item)
    Conversation.objects.bulk_update(
        {item.pk: item for _, item in private}.values(), ["private_to", "private_until"]
    )


def _private(conversation: Conversation) -> str:
    assert conversation.private_until is not None
    return _(
        "%(name)s has a private conversation with this contact until %(time)s. Write to the contact after "
        "that, or ask %(name)s to do it."
    ) % {
        "name": conversation.private_to,
        "time": date_format(timezone.localtime(conversation.private_until), "D j M H:i"),
    }


def _extend(conversation: Conversation, until: datetime) -> None:
    if conversation.private_until is None or conversation.private_until < until:
        conversation.private_until = until


def _open(conversation: Conversation) -> None:
    conversation.private_to, conversation.private_until = None, None


def _permitted(conversations: object) -> set[tuple[int, int | None]]:
    """The number and user of each private conversation whose user still has access to the number."""
    wanted = list(conversations)  # type: ignore[call-overload]
    rows = Assignment.objects.permitted().filter(
        number__in={item.number_id for item in wanted},
        user__in={item.private_to_id for item in wanted},
        user__is_active=True,
    )
    return set(rows.values_list("number", "user"))
