"""What the list of conversations can be narrowed to, and how many there are of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import IntegerField, Subquery
from django.utils.translation import gettext_lazy as _

from messaging.models import Conversation
from messaging.models.conversations import ConversationQuerySet, is_asleep
from portal.models import User

MOST = 100  # are counted; more are shown as 99+


def _open(user: User) -> ConversationQuerySet:
    return _own(user).open()


def _mine(user: User) -> ConversationQuerySet:
    return _own(user).open().filter(assignee=user)


def _unassigned(user: User) -> ConversationQuerySet:
    return _own(user).open().unassigned()


def _snoozed(user: User) -> ConversationQuerySet:
    return _own(user).filter(is_asleep(), closed_at__isnull=True)


def _closed(user: User) -> ConversationQuerySet:
    return _own(user).filter(closed_at__isnull=False)


def _blocked(user: User) -> ConversationQuerySet:
    return Conversation.objects.for_user(user).filter(contact__blocked_at__isnull=False)


def _own(user: User) -> ConversationQuerySet:
    return Conversation.objects.for_user(user).wanted()


# By the value of `show` in the address; the first is what is shown without it.
FILTERS: dict[str, tuple[Any, Callable[[User], ConversationQuerySet]]] = {
    "": (_("Open"), _open),
    "mine": (_("Mine"), _mine),
    "unassigned": (_("Unassigned"), _unassigned),
    "snoozed": (_("Snoozed"), _snoozed),
    "closed": (_("Closed"), _closed),
    "blocked": (_("Blocked"), _blocked),
}


def chosen(user: User, show: str) -> ConversationQuerySet:
    """The user's conversations that a filter shows; an unknown one shows those that are open."""
    _label, conversations = FILTERS.get(show, FILTERS[""])
    return conversations(user)


def counts(user: User) -> dict[str, int]:
    """How many conversations each filter has, up to `MOST`, in one query."""
    columns = {
        f"count_{place}": _counted(found(user)) for place, (_label, found) in enumerate(FILTERS.values())
    }
    rows = User.objects.filter(pk=user.pk).order_by().values_list(*columns.values())
    return dict(zip(FILTERS, rows.first() or [0] * len(FILTERS), strict=True))


def _counted(rows: ConversationQuerySet) -> Subquery:
    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    return Subquery(rows.order_by().values("pk")[:MOST], output_field=IntegerField(), template=template)
