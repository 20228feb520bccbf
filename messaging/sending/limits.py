"""Limits against mass sending: by user, number and organization, counted in the table of messages itself."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from messaging.errors import Refused
from messaging.models import Message, Number
from portal.models import User

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def check(author: User, number: Number) -> None:
    """Raises Refused when the author, the number or the organization has sent as much as it may for now.

    It takes one query, and none where nothing is limited.
    """
    mine, here = Message.objects.filter(author=author), _sent_by(number)
    limits = [
        (mine, settings.USER_PER_MINUTE, MINUTE),
        (mine, settings.USER_PER_HOUR, HOUR),
        (here.filter(conversation__number=number), settings.NUMBER_PER_MINUTE, MINUTE),
        (here, settings.ORGANIZATION_PER_HOUR, HOUR),
    ]
    words = [
        _("You have sent %(most)d messages within a minute. Wait a little before the next one."),
        _("You have sent %(most)d messages within an hour, which is the most. Go on later."),
        _("%(number)s has sent %(most)d messages within a minute. Wait a little before the next one."),
        _("%(organization)s has sent %(most)d messages within an hour, which is the most. Go on later."),
    ]
    for full, (_sent, most, _within), sentence in zip(_full(limits), limits, words, strict=True):
        if full:
            raise Refused(sentence % {"most": most, "number": number, "organization": number.organization})


def room(numbers: Collection[Number]) -> dict[int, float]:
    """How many more messages each number (by its key) may send for now, in one query."""
    if settings.NUMBER_PER_MINUTE == 0:
        return dict.fromkeys((number.pk for number in numbers), math.inf)
    sent = Message.objects.filter(
        organization__in={number.organization_id for number in numbers},
        direction=Message.Direction.OUT,
        created_at__gt=Now() - MINUTE,
        conversation__number__in=numbers,
    )
    counts = dict(sent.order_by().values_list("conversation__number").annotate(Count("pk")))
    return {number.pk: settings.NUMBER_PER_MINUTE - counts.get(number.pk, 0) for number in numbers}


def _sent_by(number: Number) -> QuerySet[Message]:
    return Message.objects.filter(organization_id=number.organization_id, direction=Message.Direction.OUT)


def _full(limits: Sequence[tuple[QuerySet[Message], int, timedelta]]) -> list[bool]:
    """Whether there are so many within the time, for each; no more than that are counted. 0: no limit."""
    counts: list[str] = []
    parameters: list[Any] = []
    for sent, most, within in limits:
        if most > 0:
            recent = sent.filter(created_at__gt=Now() - within).order_by().values("pk")[:most]
            statement, given = recent.query.sql_with_params()
            counts.append(f"(SELECT COUNT(*) FROM ({statement}) AS recent) >= %s")  # noqa: S608 (from the ORM)
            parameters += [*given, most]
    if not counts:
        return [False] * len(limits)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(counts)}", parameters)
        found = iter(cursor.fetchone())
    return [most > 0 and bool(next(found)) for _sent, most, _within in limits]
