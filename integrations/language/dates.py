"""Dates as texts: how they are read, how they are written, and the formats of strptime and strftime."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_FORMAT = 200
_DIRECTIVE = re.compile(r"%(?:[-_0^#](?=[A-Za-z]))?.?", re.DOTALL)
# What Python reads and writes on every system.
_READ = "aAbBcdfGHIjmMpSuUVwWxXyYzZ%"
_WRITTEN = "aAbBcdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZf%"
_LEAP_SECOND = re.compile(r"(.+T.*59:?)60(.*)", re.IGNORECASE)
_DAY_OF_YEAR = re.compile(r"(\d{4})-?(\d{3})(T.*)?", re.ASCII)
_MAIL_DATE = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} .{5,40}")


def parse_iso(value: str) -> datetime | None:
    """An ISO 8601 or RFC 3339 date in UTC, or None; without an offset it is taken as UTC."""
    return _in_utc(_from_iso, value.strip().replace("z", "Z"))


def _from_iso(value: str) -> datetime:
    """What Python reads, and what it does not: a day of the year (2025-154), and a leap second."""
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        leap = _LEAP_SECOND.fullmatch(value)
    value = f"{leap[1]}59{leap[2]}" if leap else value
    if day := _DAY_OF_YEAR.fullmatch(value):
        begin = datetime.strptime(f"{day[1]} {day[2]}", "%Y %j")
        value = begin.date().isoformat() + (day[3] or "")
    return datetime.fromisoformat(value) + timedelta(seconds=bool(leap))


def parse_date(value: str) -> datetime | None:
    """An ISO 8601, RFC 3339 or RFC 5322 date in UTC, or None; without an offset it is taken as UTC."""
    value = value.strip()
    return _in_utc(parsedate_to_datetime, value) if _MAIL_DATE.fullmatch(value) else parse_iso(value)


def _in_utc(read: Callable[[str], datetime], value: str) -> datetime | None:
    try:
        if not 0 < len(value) <= 64:
            return None
        date = read(value)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None


def iso_text(date: datetime, timespec: str = "auto") -> str:
    """The date as ISO 8601 in UTC; by default, with a fraction of a second only if it has one."""
    return date.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


@functools.lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name, or None."""
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        return None


def wrong_strptime(form: str) -> str:
    """Why dates cannot be read in a format of strptime, or in a time zone, or ""."""
    if "%" not in form:
        return "" if zone_of(form) else f"{form!r} is not a known time zone; a format of dates contains %."
    if unknown := _unknown_directive(form, _READ):
        return unknown
    found = _DIRECTIVE.findall(form)
    if twice := next((each for each in found if each != "%%" and found.count(each) > 1), ""):
        return f"The date format has {twice} twice."
    if {"%c", "%x", "%X"} & set(found) and len(set(found) - {"%%"}) > 1:
        return "The date format has %c, %x or %X next to others, which these contain."
    try:
        datetime.strptime(EPOCH.strftime(form), form)
    except ValueError as error:
        return f"No date can be read in this format: {error}."
    return ""


def wrong_strftime(form: str) -> str:
    """Why dates cannot be written in a format of strftime, or in a time zone, or ""."""
    if "%" not in form:
        return "" if zone_of(form) else f"{form!r} is not a known time zone; a format of dates contains %."
    return _unknown_directive(form, _WRITTEN)


def _knows(directives: str, each: str) -> bool:
    letter = each[1:].lstrip("-_0^#") if directives is _WRITTEN else each[1:]
    return len(letter) == 1 and letter in directives


def _unknown_directive(form: str, known: str) -> str:
    if len(form) > MAX_FORMAT:
        return f"A date format may have at most {MAX_FORMAT} characters."
    wrong = next((each for each in _DIRECTIVE.findall(form) if not _knows(known, each)), "")
    return f"{wrong!r} is not a directive of date formats, such as %Y or %d." if wrong else ""


@functools.lru_cache(maxsize=256)
def is_readable(form: str) -> bool:
    """Whether dates can be read in a format of strptime, or in a time zone."""
    return not wrong_strptime(form)


def is_writable(form: str) -> bool:
    """Whether all directives of a format of strftime are known."""
    return not _unknown_directive(form, _WRITTEN)
