"""Filters for phone numbers, texts, numbers, lists and objects."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from integrations.language import phones
from integrations.language.budget import spend
from integrations.language.registry import Registry, bounded
from integrations.language.segments import count_segments
from integrations.language.values import Number, Table, Value, decimal, is_empty, raw, text, walk

FILTERS = Registry()
_WIDE = Context(prec=100)
add = FILTERS.add


@add("digits", ("+1 (555) 010", (), "1555010"))
def digits(value: str) -> str:
    """Only the digits 0–9."""
    return re.sub(r"[^0-9]", "", value)


@add("plus", ("1 (555) 010", (), "+1555010"))
def plus(value: str) -> str | None:
    """A plus sign and the digits; unset if there are no digits."""
    number = digits(value)
    return f"+{number}" if number else None


@add("international", ("4915123456789", (), "+4915123456789"))
def international(value: str) -> str:
    """A plus sign before 8 to 15 digits that do not begin with 0; anything else stays as it is."""
    return f"+{value}" if re.fullmatch(r"[1-9][0-9]{7,14}", value) else value


@add("national", ("+61412345678", (), "412345678"))
def national(value: str) -> str:
    """The national significant number of an E.164 number, digits only; anything else stays as it is."""
    number = phones.read(value) if value.startswith("+") else None
    return phones.national(number) if number else value


@add("e164", ("0412 345 678", ("AU",), "+61412345678"), arguments=(0, 1), default="country")
def e164(value: str, country: Value = None) -> str | None:
    """The number in E.164, read with the country (default: of our number); unset if it is not possible."""
    return phones.read(value, text(country))


@add("upper", ("sent", (), "SENT"))
def upper(value: str) -> str:
    """The text in upper case."""
    return value.upper()


@add("lower", ("SENT", (), "sent"))
def lower(value: str) -> str:
    """The text in lower case."""
    return value.lower()


@add("trim", ("  hello ", (), "hello"))
def trim(value: str) -> str:
    """The text without white space at both ends."""
    return value.strip()


@add("slice", ("+61412345678", (Number("1"), Number("3")), "61"), arguments=(1, 2), kind="bytes")
def slice_(value: str | bytes, start: Value, end: Value = None) -> str | bytes:
    """The characters (or bytes) from start to before end; negative positions count from the end."""
    return value[int(text(start)) : None if end is None else int(text(end))]


@add("replace", ("1-2-3", ("-", "."), "1.2.3"), arguments=(2, 2))
def replace(value: str, old: Value, new: Value) -> str:
    """Every occurrence of the first text replaced by the second."""
    old, new = text(old), text(new)
    bounded(len(value) + (value.count(old) if old else len(value) + 1) * len(new))
    return value.replace(old, new)


@add("remove_prefix", ("tel:+1555", ("tel:",), "+1555"), arguments=(1, 1))
def remove_prefix(value: str, prefix: Value) -> str:
    """The text without the prefix; of a list of prefixes, the longest that matches is removed."""
    prefixes = [text(item) for item in (prefix if isinstance(prefix, list) else [prefix])]
    longest = max((item for item in prefixes if value.startswith(item)), key=len, default="")
    return value[len(longest) :]


@add("match", ("id=42;", (r"id=(\d+)",), "42"), arguments=(1, 1), argument="regex")
def match(value: str, pattern: Any) -> str | None:
    """The first group of a regular expression (RE2), or the whole match; unset if nothing matches."""
    found = pattern.search(value)
    return None if not found else found.group(1 if pattern.groups else 0)


@add("fixed", (Number("1.005"), (Number("2"),), "1.00"), arguments=(1, 1), kind="value")
def fixed(value: Value, places: Value) -> str | None:
    """The number with this many decimals (0–20), rounded half to even; unset if it is not a number."""
    number, most = decimal(value), int(text(places))
    if number is None or not 0 <= most <= 20:
        return None
    return format(number.quantize(Decimal(1).scaleb(-most), ROUND_HALF_EVEN, _WIDE), "f")


@add("base", ("FF", (Number("16"),), "255"), arguments=(1, 2))
def base(value: str, radix: Value, written: Value = "10") -> str | None:
    """A whole number of up to 1,000 digits, read in one base (2–36) and written in another (10)."""
    one, other = int(text(radix)), int(text(written))
    if not re.fullmatch(r"[+-]?[0-9A-Za-z]{1,1000}", value) or not (2 <= one <= 36 and 2 <= other <= 36):
        return None
    if any(int(digit, 36) >= one for digit in value.lstrip("+-")):
        return None  # Python would also read a prefix, such as 0x
    number, digits = int(value, one), ""
    spend(len(value))
    sign, number = "-" if number < 0 else "", abs(number)
    while number or not digits:
        number, digit = divmod(number, other)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return sign + digits


@add("split", ("a,b", (",",), ["a", "b"]), arguments=(1, 1), kind="value")
def split(value: Value, separator: Value) -> list[str]:
    """The parts of a text between separators; an empty text gives an empty list."""
    return text(value).split(text(separator)) if text(value) else []


@add("join", (["a", "b"], (", ",), "a, b"), arguments=(1, 1), kind="value")
def join(value: Value, separator: Value) -> str:
    """The elements of a list as one text, with the separator between them."""
    items = [text(item) for item in _list(value)]
    bounded(sum(map(len, items)) + len(items) * len(text(separator)))
    return text(separator).join(items)


@add("first", (["a", "b"], (), "a"), kind="value")
def first(value: Value) -> Value:
    """The first element of a list, unset if it is empty; any other value stays as it is."""
    return value if not isinstance(value, list) else value[0] if value else None


@add("list", ("a", (), ["a"]), kind="unset")
def list_(value: Value) -> list[Value]:
    """A list as it is, a single value as a list of one, unset as an empty list."""
    return [] if value is None else _list(value)


@add("length", ("héllo", ("bytes",), Number("6")), arguments=(0, 1), kind="unset")
def length(value: Value, unit: Value = None) -> Number | None:
    """The length of a text in characters, UTF-8 'bytes' or SMS 'segments', or of a list; 0 if unset."""
    if unit not in (None, "bytes", "segments"):
        return None
    if unit == "segments":
        return Number(count_segments(text(value)) if not is_empty(value) else 0)
    if isinstance(value, list | dict) and unit is None:
        return Number(len(value))
    return Number(len(raw(value) if unit or isinstance(value, bytes) else text(value)))


@add("sorted", ({"b": "1", "a": "2"}, (), {"a": "2", "b": "1"}), kind="value")
def sorted_(value: Value) -> Value:
    """A list sorted by its elements' text, or an object sorted by its keys."""
    return dict(sorted(value.items())) if isinstance(value, dict) else sorted(_list(value), key=text)


@add("where", ([{"t": "a"}, {"t": "b"}], ("t", "a"), [{"t": "a"}]), arguments=(2, 2), kind="value")
def where(value: Value, key: Value, expected: Value) -> list[Value]:
    """The elements in which the key (which may be dotted) equals the value as text."""
    return [item for item in _list(value) if text(_dotted(item, key)) == text(expected)]


@add("where_not", ([{"t": "a"}, {"t": "b"}], ("t", "a"), [{"t": "b"}]), arguments=(2, 2), kind="value")
def where_not(value: Value, key: Value, expected: Value) -> list[Value]:
    """The elements in which the key (which may be dotted) does not equal the value as text."""
    return [item for item in _list(value) if text(_dotted(item, key)) != text(expected)]


@add("pluck", ([{"u": "x"}, {}], ("u",), ["x"]), arguments=(1, 1), kind="value")
def pluck(value: Value, key: Value) -> list[Value]:
    """The value of the key (which may be dotted) in each element that has it."""
    return [found for item in _list(value) if (found := _dotted(item, key)) is not None]


@add("numbered", ({"m0": "a", "m1": "b"}, ("m",), ["a", "b"]), arguments=(1, 1), kind="value")
def numbered(value: Value, prefix: Value) -> list[Value]:
    """The values of an object's keys prefix0, prefix1, … (or from prefix1 on), in order."""
    number, found = (0 if f"{text(prefix)}0" in value else 1), []
    while (key := f"{text(prefix)}{number}") in value:
        found.append(value[key])
        number += 1
    return found


@add("without", ({"a": "1", "sig": "x"}, ("sig",), {"a": "1"}), arguments=(1, 16), kind="value")
def without(value: Value, *keys: Value) -> dict[str, Value]:
    """An object without these keys."""
    left_out = set(map(text, keys))
    return {key: item for key, item in value.items() if key not in left_out}


@add("or", ("", ("none",), "none"), arguments=(1, 1), kind="unset")
def or_(value: Value, fallback: Value) -> Value:
    """The fallback if the value is empty, else the value."""
    return fallback if is_empty(value) else value


@add("null_if", ("0", (Number("0"),), None), arguments=(1, 1), kind="value")
def null_if(value: Value, unwanted: Value) -> Value:
    """Unset if the value equals the argument as text, else the value."""
    return None if text(value) == text(unwanted) else value


_COLOURS = Table({"1": "red", "5-9": "blue", "*": "grey"})


@add("map", ("7", (_COLOURS,), "blue"), arguments=(1, 1), kind="unset", argument="table")
def map_(value: Value, table: Table) -> Value:
    """The entry in a table of the template: exact, in any case, by ranges, or `*`; else unset."""
    return table.get(value)


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]


def _dotted(item: Value, key: Value) -> Value:
    return walk(item, tuple(text(key).split(".")))
