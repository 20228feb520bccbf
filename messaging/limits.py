"""Limits against mass sending: by user, number and organization, counted in the table of messages itself."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from messaging.errors import Refused
from messaging.models import Message, Number
from portal.models import User

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def check(author: User, number: Number) -> None:
    """Raises Refused when the author, the number or the organization has sent as much as it may for now."""
    mine = Message.objects.filter(author=author)
    if _full(mine, settings.USER_PER_MINUTE, MINUTE):
        raise Refused(
            _("You have sent %(most)d messages within a minute. Wait a little before the next one.")
            % {"most": settings.USER_PER_MINUTE}
        )
    if _full(mine, settings.USER_PER_HOUR, HOUR):
        raise Refused(
            _("You have sent %(most)d messages within an hour, which is the most. Go on later.")
            % {"most": settings.USER_PER_HOUR}
        )
    if _full(_sent_by(number).filter(conversation__number=number), settings.NUMBER_PER_MINUTE, MINUTE):
        raise Refused(
            _("%(number)s has sent %(most)d messages within a minute. Wait a little before the next one.")
            % {"number": number, "most": settings.NUMBER_PER_MINUTE}
        )
    if _full(_sent_by(number), settings.ORGANIZATION_PER_HOUR, HOUR):
        raise Refused(
            _("%(organization)s has sent %(most)d messages within an hour, which is the most. Go on later.")
            % {"organization": number.organization, "most": settings.ORGANIZATION_PER_HOUR}
        )


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


def _full(sent: QuerySet[Message], most: int, within: timedelta) -> bool:
    """Whether there are so many; no more than that are counted. `most` 0: no limit."""
    return most > 0 and sent.filter(created_at__gt=Now() - within)[:most].count() >= most
