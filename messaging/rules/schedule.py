"""Times that people choose, and texts that are sent then: changing the time, and taking them back before."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import zones
from messaging.engine import queue
from messaging.engine.attempts import time_of
from messaging.errors import Refused
from messaging.models import Message, Number
from portal.models import User

LATEST = timedelta(days=366)
MORNING, EVENING = time(8), time(22)


def chosen(given: str, choice: str = "", zone: ZoneInfo | None = None) -> datetime:
    """The time that somebody chose, in their time zone. Raises Refused if it is none, or past.

    `choice` is hour, tomorrow, week, or morning: the next 8:00 in the contact's `zone`.
    """
    now = timezone.localtime()
    found: datetime | None = None
    match choice:
        case "hour":
            found = now + timedelta(hours=1)
        case "tomorrow":
            found = _nine(now, 1)
        case "week":
            found = _nine(now, 7 - now.weekday())
        case "morning":
            if zone is None:
                raise Refused(_("Nobody knows the time at the contact’s place. Choose another time."))
            found = morning(zone, now)
        case _at:
            try:
                found = datetime.fromisoformat(given.strip()[:40])
                found = found if found.tzinfo else timezone.make_aware(found)
            except (ValueError, OverflowError):
                found = None
    return checked(found)


def _nine(now: datetime, days: int) -> datetime:
    """9:00 so many days after today; on Monday after the rest of the week."""
    return timezone.make_aware(datetime.combine(now.date() + timedelta(days=days), time(9)))


def checked(at: datetime | None) -> datetime:
    """The time, if something can wait for it. Raises Refused."""
    now = timezone.now()
    if at is None or not now < at < now + LATEST:
        raise Refused(_("Choose a time in the future, within a year."))
    return at


def is_night(zone: ZoneInfo, at: datetime) -> bool:
    """Whether it is between 22:00 and 8:00 there."""
    there = at.astimezone(zone).time()
    return there >= EVENING or there < MORNING


def morning(zone: ZoneInfo, after: datetime) -> datetime:
    """The next 8:00 there."""
    there = after.astimezone(zone)
    day = there.date() if there.time() < MORNING else there.date() + timedelta(days=1)
    return datetime.combine(day, MORNING, tzinfo=zone)


def zone_of(address: str, number: Number) -> ZoneInfo | None:
    """The contact's time zone: of a country with one, or the user's own in the country of the number."""
    country = zones.country_of(address)
    if found := zones.of_country(country):
        return found
    own = timezone.get_current_timezone()
    return own if country and country == number.country and isinstance(own, ZoneInfo) else None


def cancel(message: Message, by: User) -> None:
    """Takes a message back that nothing has tried to send. Raises Refused if it is too late.

    The caller has checked that the user takes part in the conversation.
    """
    if not queue.cancel(message.pk, _("Canceled by %(user)s.") % {"user": by}):
        raise Refused(_("It is too late to cancel this message: it is being sent, or was canceled already."))


def reschedule(message: Message, at: datetime) -> None:
    """Has a scheduled message sent at another time; it expires as long after that as any other.

    Raises Refused if it waits for its time no longer.
    """
    if not queue.reschedule(message.pk, time_of(at), time_of(at + settings.MESSAGE_EXPIRY)):
        raise Refused(_("It is too late to change the time: the message is being sent, or was canceled."))


def send_now(message: Message) -> None:
    """Has a scheduled message sent at once. Raises Refused as `reschedule` does."""
    # SQLite's clock counts whole milliseconds: by it, a moment of now may still be to come.
    reschedule(message, timezone.now() - timedelta(milliseconds=1))
