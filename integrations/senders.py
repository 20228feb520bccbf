"""Senders: phone numbers, short codes and alphanumeric names, as providers write them."""

from __future__ import annotations

from integrations.language.text_filters import e164, parse_phone


def normalise_number(number: str, country: str | None) -> str:
    """A phone number in E.164, read with the two-letter country; a short code or name as it is.

    Raises ValueError with a sentence for anything else.
    """
    given = number.strip()
    if given.isascii() and given.isdigit() and 3 <= len(given) <= 8:
        return given
    has_letter = any(character.isalpha() for character in given)
    if has_letter and len(given) <= 11 and all(c.isalnum() or c in " -_.&+" for c in given):
        return given
    if not has_letter:
        international = parse_phone(given, country.upper() if country else None)
        digits = "".join(character for character in given if character in "0123456789")
        if international is None and not given.startswith("+"):
            international = parse_phone(f"+{digits}", None)
        if international is not None:
            return str(e164(given, country) or e164(f"+{digits}"))
    raise ValueError(
        f"{given[:40]!r} is not a phone number, a short code of 3 to 8 digits, "
        "or a name of up to 11 characters."
    )
