"""Numbers as people and providers write them: E.164, short codes, senders' names, and national spellings."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import phonenumbers
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.senders import normalise_number


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
    """The number that somebody wrote, read with the two-letter country. Raises ValueError with a sentence."""
    return _parse(given.strip(), country)


@functools.lru_cache(maxsize=4096)
def _parse(given: str, country: str) -> Parsed:
    number = normalise_number(given, country or None)
    if number.startswith("+"):
        parsed = phonenumbers.parse(number)
        return Parsed(number, Kind.E164, phonenumbers.region_code_for_number(parsed) or "")
    return Parsed(number, Kind.SHORT if number.isdigit() else Kind.NAME, "")


def spell(number: str, country: str, form: str) -> str:
    """A kept number as a provider writes it; short codes and names have one spelling only."""
    if not number.startswith("+") or form == Format.E164:
        return number
    if form == Format.INTERNATIONAL:
        return number[1:]
    parsed = phonenumbers.parse(number)
    if form == Format.NATIONAL:
        return phonenumbers.national_significant_number(parsed)
    dialled = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(character for character in dialled if character.isdigit())


def spellings(given: str) -> set[str]:
    """What a recipient in a webhook may be kept as: its digits, with and without +, or a name as it is."""
    plain = "".join(character for character in given.strip() if character not in " ()-./")
    digits = plain.removeprefix("+")
    if digits.isascii() and digits.isdigit():
        return {digits, f"+{digits}", f"+{digits.removeprefix('00')}"}
    return {given.strip()}


def countries() -> list[tuple[str, str]]:
    """Country codes with the calling code, for a form's choices."""
    return [
        (region, f"{region} +{phonenumbers.country_code_for_region(region)}")
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    ]
