"""What the inbox shows: pages of conversations and messages, and whether they have changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    When,
    prefetch_related_objects,
)
from django.db.models.functions import Now
from django.utils import timezone

from messaging.inbox import filters
from messaging.inbox.search import matching
from messaging.models import (
    Contact,
    Conversation,
    Draft,
    Mention,
    Message,
    Number,
    OptOut,
    Reading,
    Remark,
)
from messaging.models.assignments import assigned_to, not_private
from messaging.models.conversations import ConversationQuerySet
from portal.database import plans
from portal.models import User

CONVERSATIONS, MESSAGES = 30, 50
MOST_UNREAD = 100  # are counted; more are shown as 99+


@dataclass(frozen=True)
class Page:
    """Rows to show, whether there are more, and a fingerprint that changes when they do."""

    rows: list[Any]
    more: bool
    fingerprint: str


@dataclass(frozen=True)
class Listing(Page):
    """A page of conversations, and how many each filter has."""

    counts: dict[str, int]


def conversations(user: User, search: str = "", count: int = CONVERSATIONS, show: str = "") -> Listing:
    """The user's newest conversations, with unread counts and last messages, and the counts.

    These are three queries, two more if there are groups, and one more for a search, which finds them in any
    state but blocked; else `show` names one of `filters.FILTERS`.
    """
    if search:
        with plans.for_these_values():
            matches = matching(Conversation.objects.for_user(user).wanted(), user, search)
            newest = list(matches.order_by("-last_at", "-pk").values_list("pk", flat=True)[: count + 1])
        found = Conversation.objects.filter(pk__in=newest)  # what is shown is read for the page alone
    else:
        found = _newest(user, filters.chosen(user, show), count + 1)
    drafts = Draft.objects.filter(conversation=OuterRef("pk"), user=user).values("text")
    related = (
        found.with_unread(user)
        .annotate(draft=Subquery(drafts))
        .select_related(
            "contact__merged_into",
            "number",
            "last_message__author",
            "last_message__sender__merged_into",
            "assignee",
        )
    )
    rows = list(related.order_by("-last_at", "-pk")[: count + 1])
    shown, counts = rows[:count], filters.counts(user)
    prefetch_related_objects([row.contact for row in shown if row.contact.is_group], "members__merged_into")
    states = [
        (
            *(row.pk, row.contact.title, row.last_message_id, row.unread, row.mentioned, row.draft),  # type: ignore[attr-defined]
            *(row.last_message and row.last_message.changed_at, row.assignee_id, row.closed_at, row.asleep),
        )
        for row in shown
    ]
    return Listing(shown, len(rows) > count, fingerprint([*states, tuple(counts.values())]), counts)


def _newest(user: User, found: ConversationQuerySet, count: int) -> ConversationQuerySet:
    """At least the newest `count` of them, and few others.

    Each number's are read from the end of its index, down to the last that could be among them: ordered by
    time, all conversations of several numbers would have to be read.
    """
    last = found.filter(number=OuterRef("pk")).order_by("-last_at").values("last_at")[count - 1 : count]
    bounds = Number.objects.filter(assigned_to(user)).order_by().values_list("pk", Subquery(last))
    among = Q(pk__in=[])
    for number, time in bounds:
        among |= Q(number=number, last_at__gte=time) if time else Q(number=number)
    return found.filter(among)


def messages(conversation: Conversation, before: int | None = None) -> Page:
    """The newest messages of a conversation (older than the key `before`), oldest first, with their files."""
    found = conversation.messages.select_related(
        "author", "resent_as", "sender__merged_into"
    ).prefetch_related("attachments")
    found = found.order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: MESSAGES + 1])
    shown = rows[MESSAGES - 1 :: -1] if len(rows) > MESSAGES else rows[::-1]
    states = [(row.pk, row.status, row.queue_state, row.changed_at) for row in shown]
    return Page(shown, len(rows) > MESSAGES, fingerprint([*states, (_last_remark(conversation),)]))


def thread_fingerprint(conversation: Conversation) -> str:
    """What `messages(conversation).fingerprint` is now, by two indexed queries."""
    newest = conversation.messages.order_by("-pk").values_list("pk", "status", "queue_state", "changed_at")
    return fingerprint([*list(newest[:MESSAGES])[::-1], (_last_remark(conversation),)])


def _last_remark(conversation: Conversation) -> int | None:
    newest: int | None = conversation.remarks.aggregate(newest=Max("pk"))["newest"]
    return newest


def change_stamp(user: User, opened: int | None = None, count: int = CONVERSATIONS) -> str:
    """A text that changes whenever the list, or the thread of the conversation `opened`, does.

    One query reads the newest `count` conversations of each of the user's numbers that are not closed, the
    latest remark there, and which wakes next; and the newest messages of the opened one, and who has read it
    or writes in it, by their indexes: it takes no longer when there are many.
    """
    read_to = Reading.objects.filter(conversation=OuterRef("pk"), user=user).values("read_to")
    newest = (
        Conversation.objects.wanted()
        .filter(not_private(user), number=OuterRef("pk"), closed_at__isnull=True)
        .order_by("-last_at")
        .values("id", "last_at")
        .annotate(
            status=F("last_message__status"),
            changed_at=F("last_message__changed_at"),
            read_to=Subquery(read_to),
        )
    )
    thread = (
        Message.objects.filter(not_private(user, "conversation"))
        .filter(conversation=opened, conversation__number=OuterRef("pk"))
        .order_by("-id")
        .values("id", "status", "queue_state", "changed_at")
    )
    # Whatever anybody does with a conversation leaves a remark.
    remark = Remark.objects.filter(not_private(user, "conversation"), number=OuterRef("pk")).order_by("-id")
    waking = Conversation.objects.filter(
        not_private(user), number=OuterRef("pk"), snoozed_until__gt=Now()
    ).order_by("snoozed_until")
    others = (
        Reading.objects.filter(not_private(user, "conversation"))
        .filter(conversation=opened, conversation__number=OuterRef("pk"))
        .exclude(user=user)
        .order_by()
        .values("read_to")
        .annotate(writes=Case(When(writing_until__gt=Now(), then=F("user")), default=0))
    )
    totals = (
        Number.objects.filter(assigned_to(user))
        .order_by("pk")
        .values_list(
            "pk",
            _totals(
                newest[:count], "SUM(id)", "MAX(last_at)", "SUM(status)", "MAX(changed_at)", "SUM(read_to)"
            ),
            Subquery(remark.values("id")[:1]),
            Subquery(waking.values("snoozed_until")[:1]),
            _totals(others, "SUM(read_to)", "SUM(writes)"),
            _totals(thread[:MESSAGES], "MAX(id)", "SUM(status)", "SUM(queue_state)", "MAX(changed_at)"),
        )
    )
    return fingerprint(totals)


def _totals(rows: QuerySet[Any, Any], *totals: str) -> Subquery:
    """Aggregates over the rows, as one text."""
    columns = " || ' ' || ".join(f"COALESCE(CAST({total} AS text), '')" for total in totals)
    template = f"(SELECT {columns} FROM (%(subquery)s) AS newest)"  # noqa: S608 (constants)
    return Subquery(rows, output_field=TextField(), template=template)


def unread(user: User) -> int:
    """How many conversations hold something that the user has not read, or a note that mentions them.

    At most `MOST_UNREAD` are counted.
    """
    own = Conversation.objects.for_user(user).told_of()
    return own.unread_by(user).order_by()[:MOST_UNREAD].count()


def unread_of(users: Collection[int]) -> dict[int, int]:
    """The same for several users, given by their keys, in one query; of those who have read all, nothing."""
    found = Conversation.objects.told_of().unread_by_each(users)
    counted = found.order_by().values("reader").annotate(number=Count("pk"))
    return {row["reader"]: min(row["number"], MOST_UNREAD) for row in counted}


def mark_read(conversation: Conversation, user: User) -> None:
    """Notes that the user has seen all of the conversation."""
    newest = conversation.messages.aggregate(newest=Max("pk"))["newest"] or 0
    read, made = Reading.objects.get_or_create(
        conversation=conversation, user=user, defaults={"read_to": newest}
    )
    if not made and read.read_to < newest:
        Reading.objects.filter(pk=read.pk, read_to__lt=newest).update(read_to=newest)
    Mention.objects.filter(conversation=conversation, user=user, seen_at__isnull=True).update(
        seen_at=timezone.now()
    )


def members(conversation: Conversation) -> list[Contact]:
    """The members of a group, each with `opted_out`: whether they want no messages from the number."""
    if not conversation.contact.is_group:
        return []
    out = OptOut.objects.filter(number=conversation.number_id, address=OuterRef("address"))
    return list(conversation.contact.members_in_order.annotate(opted_out=Exists(out)))


def fingerprint(states: Iterable[tuple[Any, ...]]) -> str:
    """A short text that changes when one of the states does."""
    spelled = [
        [item.isoformat() if isinstance(item, datetime) else str(item) for item in state] for state in states
    ]
    return hashlib.sha256(repr(spelled).encode()).hexdigest()[:16]
