"""Quotas against mass sending: by user, number and organization, counted in the table of messages itself.

Who counts holds a lock until what it sends is committed, so that no other process counts less than there is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from messaging.errors import LimitReached
from messaging.models import Message, Number
from messaging.statuses import Direction
from portal.database import locks, sql
from portal.models import User

MINUTE = timedelta(minutes=1)

_WORDS = (
    _("You have sent %(most)d messages within a minute. Wait a minute, then try again."),
    _("You have sent %(most)d messages within an hour, which is the limit. Try again later."),
    _("%(number)s has sent %(most)d messages within a minute. Wait a minute, then try again."),
    _("%(organization)s has sent %(most)d messages within an hour, which is the limit. Try again later."),
)


@dataclass
class _Sent:
    """How many messages were sent recently; those in the table are counted up to the limit."""

    minute: int = 0
    hour: int = 0


class Quotas:
    """What authors may still send through numbers, until the caller's transaction ends.

    Two statements for any number of authors and numbers, and none where nothing is limited.
    """

    def __init__(self, wanted: Sequence[tuple[User, Number]]) -> None:
        self._authors = {author.pk: _Sent() for author, _number in wanted}
        self._numbers = {number.pk: _Sent() for _author, number in wanted}
        self._organizations = {number.organization_id: _Sent() for _author, number in wanted}
        if wanted and any(_limits()):
            locks.hold(
                *(locks.key_of(f"messaging.quotas.author.{pk}") for pk in self._authors),
                *(locks.key_of(f"messaging.quotas.organization.{pk}") for pk in self._organizations),
            )
            self._count()

    def take(self, author: User, number: Number) -> LimitReached | None:
        """Counts one more message, or says which limit is reached."""
        mine, here = self._authors[author.pk], self._numbers[number.pk]
        ours = self._organizations[number.organization_id]
        sent = (mine.minute, mine.hour, here.minute, ours.hour)
        for so_far, most, words in zip(sent, _limits(), _WORDS, strict=True):
            if most and so_far >= most:
                return LimitReached(partial(_said, words, most, number))
        for counted in (mine, here, ours):
            counted.minute, counted.hour = counted.minute + 1, counted.hour + 1
        return None

    def _count(self) -> None:
        user_minute, user_hour, number_minute, organization_hour = _limits()
        of_author = "FROM messaging_message WHERE author_id = given.value"
        of_organization = (
            f"FROM messaging_message WHERE organization_id = given.value AND direction = '{Direction.OUT}'"
        )
        of_number = f"""FROM messaging_message
            JOIN messaging_conversation AS conversation ON conversation.id = conversation_id
            WHERE messaging_message.organization_id = number.organization_id AND direction = '{Direction.OUT}'
            AND conversation.number_id = number.id"""
        kinds = (self._authors, self._numbers, self._organizations)
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT 0, given.value,
                    {_recent(of_author, 60, user_minute)}, {_recent(of_author, 3600, user_hour)}
                FROM {sql.each()}
                UNION ALL
                SELECT 1, number.id, {_recent(of_number, 60, number_minute)}, 0
                FROM {sql.each()} JOIN messaging_number AS number ON number.id = given.value
                UNION ALL
                SELECT 2, given.value, 0, {_recent(of_organization, 3600, organization_hour)}
                FROM {sql.each()}""",  # noqa: S608 (constants and settings)
                [sql.array(kind) for kind in kinds],
            )
            for kind, key, minute, hour in cursor.fetchall():
                kinds[kind][key] = _Sent(minute, hour)


def left_of_numbers(numbers: Collection[Number]) -> dict[int, float]:
    """How many more messages each number (by its key) may send now, in one query."""
    if settings.NUMBER_PER_MINUTE == 0:
        return dict.fromkeys((number.pk for number in numbers), math.inf)
    sent = Message.objects.filter(
        organization__in={number.organization_id for number in numbers},
        direction=Direction.OUT,
        created_at__gt=Now() - MINUTE,
        conversation__number__in=numbers,
    )
    counts = dict(sent.order_by().values_list("conversation__number").annotate(Count("pk")))
    return {number.pk: settings.NUMBER_PER_MINUTE - counts.get(number.pk, 0) for number in numbers}


def _limits() -> tuple[int, int, int, int]:
    """Per user and minute, per user and hour, per number and minute, per organization and hour; 0: none."""
    return (
        settings.USER_PER_MINUTE,
        settings.USER_PER_HOUR,
        settings.NUMBER_PER_MINUTE,
        settings.ORGANIZATION_PER_HOUR,
    )


def _recent(source: str, seconds: int, most: int) -> str:
    """How many there are within the time; no more than `most` are counted."""
    when = f"messaging_message.created_at > {sql.later(str(-seconds))}"
    return f"(SELECT COUNT(*) FROM (SELECT 1 {source} AND {when} LIMIT {most}) AS recent)"  # noqa: S608 (as above)


def _said(words: str | Promise, most: int, number: Number) -> str:
    return str(words) % {"most": most, "number": number, "organization": number.organization}
