"""How a provider writes a phone number, and which filter of the language writes it so."""

from __future__ import annotations

import re

from integrations.language.values import Number, Value

_SPELLED = re.compile(r"(?P<before>[A-Za-z]{2,10}:)?(?P<number>[ +]?[0-9(][0-9 ().\-/\xa0]*)")


def digits_of(number: str) -> str:
    """The digits of a number, without the 00 that begins an international one."""
    return re.sub(r"[^0-9]", "", number).removeprefix("00")


def is_number(value: str) -> bool:
    """Whether a text is written like a phone number of 7 to 15 digits."""
    return _SPELLED.fullmatch(value) is not None and 7 <= len(digits_of(value)) <= 15


def is_same(one: str, other: str) -> bool:
    """Whether two spellings are of one number: one may lack the country code."""
    first, second = sorted((digits_of(one), digits_of(other)), key=len)
    rest = first.lstrip("0")
    return bool(first) and (
        first == second or (len(rest) >= 6 and second.endswith(rest) and 1 <= len(second) - len(rest) <= 4)
    )


def spelling(value: Value, number: str = "", *, sender: bool = False) -> tuple[str, str]:
    """What stands before the placeholder of a number, and its filters, so that it is written like the value.

    `number` is the same number as it is known, which tells a national number from an international one.
    Names of senders stay as they are.
    """
    found = _SPELLED.fullmatch(str(value))
    if found is None:
        return "", ""
    before, written = found["before"] or "", found["number"]
    as_number = "|unjson" if isinstance(value, Number) else ""
    known = digits_of(number)
    if written[0] in "+ ":
        return before, ""
    if written.startswith("00"):
        return f"{before}00", "digits"
    if written.startswith("0"):
        return f"{before}0", "national"
    digits = re.sub(r"[^0-9]", "", written)
    if known and len(digits) < len(known) and number.lstrip().startswith(("+", "00")):
        return before, f"national{as_number}"
    return before, ("remove_prefix:'+'" if sender else "digits") + as_number


def read_filter(value: Value) -> str:
    """The filter that reads a number of a webhook: 8 to 15 digits begin with the country code."""
    return "international" if re.fullmatch(r"[1-9][0-9]{7,14}", str(value)) else ""
