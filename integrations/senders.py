"""Senders: phone numbers, short codes and alphanumeric names, as providers write them."""

from __future__ import annotations

from integrations.language import phones

LONGEST_NAME = 11  # characters of an alphanumeric sender, as 3GPP TS 23.040 has room for
LONGEST = 254  # characters of an e-mail address (RFC 5321), the longest of what else texts come from
NAMELESS = "unknown"


def sender(given: str, country: str | None) -> str:
    """Whom a text came from: a phone number in E.164, read with the two-letter country, or a short code.

    Anything else (a name, an e-mail address, `rcs:…`) is as it came, in one line of at most 254 characters.
    It is never a list of numbers as in the address of a group.
    """
    printable = " ".join("".join(letter if letter.isprintable() else " " for letter in given).split())
    if number := phones.read(printable, country):
        return number
    digits = (phones.digits_of(printable) or "").removeprefix("+")
    if len(digits) in phones.SHORT_CODE:
        return digits
    name = printable[:LONGEST].strip() or NAMELESS
    return name if any(letter.isalpha() for letter in name) else name.replace(", ", ",")


def is_short_code(number: str) -> bool:
    """Whether this is a short code, whose first digit is none of those that begin a dialled number."""
    ascii_digits = number.isascii() and number.isdigit()
    return ascii_digits and len(number) in phones.SHORT_CODE and not number.startswith("0")


def normalise_number(number: str, country: str | None) -> str:
    """A number that can be sent from: E.164, read with the two-letter country, or a short code or name.

    Raises ValueError with a sentence for anything else.
    """
    given = number.strip()
    if found := phones.read(given, country):
        return found
    if is_short_code(given):
        return given
    has_letter = any(character.isalpha() for character in given)
    if has_letter and len(given) <= LONGEST_NAME and all(c.isalnum() or c in " -_.&+" for c in given):
        return given
    raise ValueError(
        f"{given[:40]!r} is not a phone number, a short code of 3 to 8 digits, or a name of up to "
        f"{LONGEST_NAME} characters. Write a phone number with + and its country code, like +61412345678."
    )
