"""Numbers as people and providers write them: E.164, short codes, senders' names, and national spellings."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import phonenumbers
from django.db import models
from django.utils.translation import gettext as translated
from django.utils.translation import gettext_lazy as _

from integrations import senders
from integrations.language import phones

ADDRESS_LENGTH = senders.LONGEST
# National numbers that are shorter than this are found in texts by chance.
SHORTEST_NATIONAL = 6


class Kind(models.TextChoices):
    E164 = "e164", _("phone number")
    SHORT = "short", _("short code")
    NAME = "name", _("sender's name")


class Format(models.TextChoices):
    """How a number is spelled, by the example of +61 8 5555 5555."""

    E164 = "e164", _("+61855555555")
    INTERNATIONAL = "intl", _("61855555555 (without +)")
    NATIONAL = "national", _("855555555 (national)")
    NATIONAL0 = "national0", _("0855555555 (national, as dialled)")


@dataclass(frozen=True)
class Parsed:
    """A number as it is kept."""

    number: str
    kind: Kind
    country: str


def parse(given: str, country: str = "") -> Parsed:
    """The number to send from that somebody wrote, read with the two-letter country.

    Raises ValueError with a sentence.
    """
    return _parse(given.strip(), country)


@functools.lru_cache(maxsize=4096)
def _parse(given: str, country: str) -> Parsed:
    number = senders.normalise_number(given, country or None)
    if number.startswith("+"):
        return Parsed(number, Kind.E164, phones.country_of(number) or "")
    return Parsed(number, Kind.SHORT if number.isdigit() else Kind.NAME, "")


def recipient(given: str, country: str) -> str:
    """The phone number or short code that a user means with one of our numbers, which is in the country.

    Raises ValueError with a sentence. What is dialled so in another country is asked back, and not guessed.
    """
    if number := phones.read(given, country):
        return number
    if senders.is_short_code(given.strip()):
        return given.strip()
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in given[:40])
    if others := phones.elsewhere(given):
        raise ValueError(
            translated(
                "“%(given)s” is not a phone number of %(country)s. Write it with its country code: it may be "
                "%(numbers)s."
            )
            % {
                "given": shown,
                "country": country or translated("a known country"),
                "numbers": ", ".join(f"{number} ({region})" for number, region in others.items()),
            }
        )
    raise ValueError(
        translated(
            "“%(given)s” is not a phone number or short code. Write it with + and its country code, or as it "
            "is dialled in the country of your number."
        )
        % {"given": shown}
    )


def answerable(address: str) -> bool:
    """Whether messages can be sent to whom a text came from: to phone numbers and short codes."""
    return (address.startswith("+") and phones.read(address) == address) or senders.is_short_code(address)


def spell(number: str, country: str, form: str) -> str:
    """A kept number as a provider writes it; short codes and names have one spelling only."""
    if not number.startswith("+") or form == Format.E164:
        return number
    if form == Format.INTERNATIONAL:
        return number[1:]
    if form == Format.NATIONAL:
        return phones.national(number)
    return phones.dialled(phones.ways(number)[0])


def spellings(given: str) -> set[str]:
    """What a recipient in a webhook may be kept as: its digits, with and without +, or a name as it is."""
    plain = "".join(character for character in given.strip() if character not in " ()-./")
    digits = plain.removeprefix("+")
    if digits.isascii() and digits.isdigit():
        written = {f"+{digits}", f"+{digits.removeprefix('00')}"}
        return {digits, *(way for number in written for way in phones.ways(number))}
    return {given.strip()}


def pattern(address: str) -> re.Pattern[str] | None:
    """Finds a phone number however it is spelled: with or without the country, spaces, dashes and brackets.

    Short codes and names are no pattern: they would be found by chance.
    """
    if not address.startswith("+"):
        return None
    code = str(phonenumbers.parse(address).country_code)
    return re.compile("|".join(_spelled(code, way.removeprefix(f"+{code}")) for way in phones.ways(address)))


def _spelled(code: str, national: str) -> str:
    gap = r"[ ().\-/]{0,3}"
    prefix = rf"(?:(?:\+|00)?{gap}{gap.join(code)}{gap}(?:0{gap})?|0{gap})"
    if len(national) >= SHORTEST_NATIONAL:
        prefix += "?"
    return rf"(?<!\d){prefix}{gap.join(national)}(?!\d)"


def countries() -> list[tuple[str, str]]:
    """Country codes with the calling code, for a form's choices."""
    return [
        (region, f"{region} +{phonenumbers.country_code_for_region(region)}")
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    ]
