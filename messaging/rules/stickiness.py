"""Session stickiness: on a number of several users a conversation stays with the one who began it."""

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


def written(conversation: Conversation, author: User, number: Number, *, begun: bool) -> None:
    """Notes who may see a conversation that the author writes in (`begun` with this message), unsaved.

    Raises Refused while it is private to a colleague; after the colleague's time it becomes everybody's.
    """
    now, hours = timezone.now(), timedelta(hours=number.sticky_hours)
    if begun and hours and number.assignments.count() > 1:
        conversation.private_to, conversation.private_until = author, now + hours
    elif conversation.private_to_id is None:
        return
    elif conversation.private_to_id == author.pk:
        _prolong(conversation, now + hours)
    elif conversation.private_until is not None and now <= conversation.private_until:
        raise Refused(partial(_private, conversation))
    else:
        _open(conversation)


def answered(arrived: Sequence[tuple[WebhookEvent, Conversation]]) -> None:
    """An answer in time keeps a conversation private; a later one shows it to everybody on the number."""
    private = [(event, item) for event, item in arrived if item.private_to_id is not None]
    if not private:
        return
    present = _present(item for _, item in private)
    for event, item in private:
        assert event.number is not None
        hours = timedelta(hours=event.number.sticky_hours)
        here = (item.number_id, item.private_to_id) in present
        if here and hours and item.private_until is not None and event.created_at <= item.private_until:
            _prolong(item, event.created_at + hours)
        else:
            _open(item)
    Conversation.objects.bulk_update(
        {item.pk: item for _, item in private}.values(), ["private_to", "private_until"]
    )


def _private(conversation: Conversation) -> str:
    assert conversation.private_until is not None
    return _(
        "%(name)s is in a private conversation with this contact until %(time)s. "
        "Ask %(name)s to write for you, or write after that."
    ) % {
        "name": conversation.private_to,
        "time": date_format(timezone.localtime(conversation.private_until), "D j M H:i"),
    }


def _prolong(conversation: Conversation, until: datetime) -> None:
    if conversation.private_until is None or conversation.private_until < until:
        conversation.private_until = until


def _open(conversation: Conversation) -> None:
    conversation.private_to, conversation.private_until = None, None


def _present(conversations: object) -> set[tuple[int, int | None]]:
    """Number and user of those private conversations whose user still works with the number."""
    wanted = list(conversations)  # type: ignore[call-overload]
    rows = Assignment.objects.permitted().filter(
        number__in={item.number_id for item in wanted},
        user__in={item.private_to_id for item in wanted},
        user__is_active=True,
    )
    return set(rows.values_list("number", "user"))
