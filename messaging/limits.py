"""Limits against mass sending: by user, number and organization, counted in the table of messages itself."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
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
    if number_is_full(number):
        raise Refused(
            _("%(number)s has sent %(most)d messages within a minute. Wait a little before the next one.")
            % {"number": number, "most": settings.NUMBER_PER_MINUTE}
        )
    if _full(_sent_by(number), settings.ORGANIZATION_PER_HOUR, HOUR):
        raise Refused(
            _("%(organization)s has sent %(most)d messages within an hour, which is the most. Go on later.")
            % {"organization": number.organization, "most": settings.ORGANIZATION_PER_HOUR}
        )


def number_is_full(number: Number) -> bool:
    """Whether the number has sent as much as it may for now, automatic answers included."""
    return _full(_sent_by(number).filter(conversation__number=number), settings.NUMBER_PER_MINUTE, MINUTE)


def _sent_by(number: Number) -> QuerySet[Message]:
    return Message.objects.filter(organization_id=number.organization_id, direction=Message.Direction.OUT)


def _full(sent: QuerySet[Message], most: int, within: timedelta) -> bool:
    """Whether there are so many; no more than that are counted. `most` 0: no limit."""
    return most > 0 and sent.filter(created_at__gt=Now() - within)[:most].count() >= most
