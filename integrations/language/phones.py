"""Phone numbers as people and services write them, read with the country of the number of ours."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType, ValidationResult

from integrations.language.budget import spend

LONGEST = 64
SHORT_CODE = range(3, 9)  # digits
# Fewer digits are a short code, unless they are a mobile number: in Germany 30123 is a landline too.
SHORTEST = 7
_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_SEPARATORS = frozenset("().-/‐‑‒–—−")
# A mobile number has two spellings where the 1 (Mexico) or 9 (Argentina) was only dialled from abroad.
_TWO_WAYS = re.compile(r"\+(52)1?(\d{10})|\+(54)9?(\d{10})")
_OLD_MEXICAN = re.compile(r"521(\d{10})")


class Reading(NamedTuple):
    """A number that digits can stand for, in E.164; `valid`: in a range that is assigned."""

    number: str
    valid: bool
    mobile: bool


def read(given: str, country: str | None = None) -> str | None:
    """The number in E.164 (ITU-T E.164), or None if the text is no phone number.

    `+`, `00` and the prefix for calls abroad of the two-letter country say that a number is international. Of
    other digits, the first valid reading counts: with the country's own code in front, as dialled in the
    country, with a `+`. Texts come from mobiles: a landline of the country, or a number without the 0 that is
    dialled first there, comes after a mobile number with a `+`.
    """
    if len(given) > LONGEST or (digits := digits_of(given)) is None:
        return None
    region = (country or "").upper()
    return _read(
        digits, region if len(region) == 2 else ""
    )  # what is read is kept, and a template may give any


def digits_of(given: str) -> str | None:
    """The digits as 0–9, after a `+` if there is one; None if there is anything but digits and separators."""
    text = given.strip()
    if text[:4].lower() == "tel:":
        text = text[4:].strip()
    found = []
    for character in text:
        if character.isdecimal():
            found.append(str(unicodedata.decimal(character)))
        elif character in "+＋" and not found:
            found.append("+")
        elif not (character in _SEPARATORS or character.isspace() or unicodedata.category(character) == "Cf"):
            return None
    return "".join(found) if found and found != ["+"] else None


def ways(number: str) -> tuple[str, ...]:
    """The ways in which the owner of a number in E.164 may write it, the official one first.

    Conversations and opt-outs hold for all of these. Another address has one way only.
    """
    found = _TWO_WAYS.fullmatch(number)
    if found is None:
        return (number,)
    if found[1]:
        return f"+52{found[2]}", f"+521{found[2]}"
    return f"+549{found[4]}", f"+54{found[4]}"


def national(number: str) -> str:
    """The national significant number, digits only, of a number in E.164."""
    digits: str = phonenumbers.national_significant_number(phonenumbers.parse(ways(number)[0]))
    return digits


def country_of(number: str) -> str | None:
    """The two-letter country of a number in E.164."""
    country: str | None = phonenumbers.region_code_for_number(phonenumbers.parse(ways(number)[0]))
    return country


def elsewhere(given: str, most: int = 4) -> dict[str, str]:
    """The mobile numbers for which a text is dialled in their countries, with these (two letters)."""
    digits = digits_of(given) or ""
    found: dict[str, str] = {}
    for regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.values():
        for region in regions:
            pattern = _mobile(region)
            if pattern and pattern.fullmatch(digits) and (reading := _national(digits, region)):
                found.setdefault(reading.number, region)
            if len(found) == most:
                return found
    return found


@functools.lru_cache(maxsize=8192)
def _read(digits: str, country: str) -> str | None:
    spend(100)
    if digits.startswith("+0"):
        digits = digits[1:]  # no country code begins with 0: somebody wrote a + before what is dialled
    if digits.startswith("+"):
        reading = _international(digits[1:])
        return reading and reading.number
    if len(digits) < SHORTEST:
        reading = _national(digits, country)
        return reading.number if reading and (reading.mobile or digits.startswith("0")) else None
    possible = None
    for rest in _rests(digits, country):
        reading = _international(rest)
        if reading and reading.valid:
            return reading.number
        possible = possible or reading
    abroad = _international(digits)
    own = abroad if abroad and country and digits.startswith(_code(country)) else None
    if own and own.valid:
        return own.number
    at_home = _national(digits, country)
    abroad_valid = abroad if abroad and abroad.valid else None
    if at_home and abroad_valid:
        as_dialled = digits.startswith(_trunk(country)) or digits == dialled(at_home.number)
        at_home_first = as_dialled and (at_home.mobile or not abroad_valid.mobile)
        return (at_home if at_home_first else abroad_valid).number
    # Ranges are assigned faster than anybody's tables are renewed: with a country code, a number may be new.
    found = at_home or abroad_valid or possible or own or (None if country else abroad)
    return found.number if found and (found.valid or len(digits) not in SHORT_CODE) else None


@functools.lru_cache(maxsize=8192)
def _international(digits: str) -> Reading | None:
    """The number that begins with its country code, if its length is possible."""
    try:
        parsed = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        old = _OLD_MEXICAN.fullmatch(digits)
        today = _international(f"52{old[1]}") if old else None
        return today and today._replace(number=f"+{digits}")
    return _reading(parsed)


def _national(digits: str, country: str) -> Reading | None:
    """The valid number that is dialled so in the country, with or without the 0 that comes first."""
    metadata = PhoneMetadata.metadata_for_region(country) if country else None
    if metadata is None or metadata.general_desc is None:
        return None
    first = _compiled(metadata.national_prefix_for_parsing)
    if len(digits) not in metadata.general_desc.possible_length and not (first and first.match(digits)):
        return None
    try:
        parsed = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None
    national = str(parsed.national_number)
    if parsed.country_code != metadata.country_code or not digits.endswith(national[-4:]):
        return None
    reading = _reading(parsed)
    return reading if reading.valid else None


def _reading(parsed: phonenumbers.PhoneNumber) -> Reading:
    return Reading(
        phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164),
        phonenumbers.is_valid_number(parsed),
        phonenumbers.number_type(parsed) in _MOBILE,
    )


def _rests(digits: str, country: str) -> Iterator[str]:
    """What follows the country's prefix for calls abroad, and 00."""
    metadata = PhoneMetadata.metadata_for_region(country) if country else None
    prefix = _compiled(metadata.international_prefix) if metadata else None
    if prefix and (found := prefix.match(digits)):
        yield digits[found.end() :]
    if digits.startswith("00"):
        yield digits[2:]


@functools.cache
def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


@functools.lru_cache(maxsize=512)
def _code(country: str) -> str:
    return str(phonenumbers.country_code_for_region(country) or "-")


@functools.lru_cache(maxsize=512)
def _trunk(country: str) -> str:
    """The 0 (or 8, 06 …) that is dialled before a number of the same country."""
    metadata = PhoneMetadata.metadata_for_region(country)
    trunk = metadata.national_prefix if metadata else None
    return "" if trunk in (None, "1") else str(trunk)  # 1: North America, where it is left out


def dialled(number: str) -> str:
    """What is dialled for a number in its own country: in China and Colombia, mobiles have no 0."""
    parsed = phonenumbers.parse(number)
    spelled = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(character for character in spelled if character.isdigit())


@functools.lru_cache(maxsize=512)
def _mobile(country: str) -> re.Pattern[str] | None:
    """Mobile numbers of the country, as dialled there."""
    metadata = PhoneMetadata.metadata_for_region(country)
    if metadata is None or not (metadata.mobile and metadata.mobile.national_number_pattern):
        return None
    return re.compile(f"{re.escape(_trunk(country))}(?:{metadata.mobile.national_number_pattern})")
