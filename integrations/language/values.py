"""The values that shapes read and write: JSON, with numbers as they were written, and bytes."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Any, NoReturn

from integrations.language.budget import spend

Value = Any
Variables = Mapping[str, Value]

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
# Python's codecs for host names and source code, in which nobody sends texts.
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"}
_NUMERAL = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class Number(str):
    """A number of a document, as it was written there: twenty digits and `1.0` stay as they are."""

    __slots__ = ()


class Any_:
    """A value that is not known yet, and is equal to whatever it is compared with."""

    def __repr__(self) -> str:
        return "ANY"


ANY = Any_()


def is_string(value: Value) -> bool:
    """Whether a value is a JSON string; a Number is not."""
    return isinstance(value, str) and not isinstance(value, Number)


def is_empty(value: Value) -> bool:
    """Whether a value is unset, an empty text, false, or an empty list or object; 0 is not empty."""
    return not value and (value is None or value is False or isinstance(value, str | list | dict | bytes))


def text(value: Value) -> str:
    """The value as text: a string as it is, unset as "", anything else as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None or value is ANY:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return dump(value)


def raw(value: Value) -> bytes:
    """Bytes as they are, anything else as text in UTF-8."""
    return value if isinstance(value, bytes) else well_formed(text(value)).encode()


def well_formed(value: str) -> str:
    """The text with unpaired surrogates replaced by U+FFFD, so that it can be encoded."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def cleaned(value: Value, *, nul: bool = False) -> Value:
    """The value with every text in it well formed; U+0000, not for databases, becomes U+FFFD, or stays."""
    if isinstance(value, str):
        if (value.isascii() and (nul or "\0" not in value)) or isinstance(value, Number):
            return value
        return well_formed(value) if nul else well_formed(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Mapping):
        return {cleaned(str(key), nul=nul): cleaned(item, nul=nul) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item, nul=nul) for item in value]
    return value


def work_of(value: Value) -> int:
    """What it costs to look at each character, or at each element of a list or object."""
    if isinstance(value, str | bytes):
        return 1 + (len(value) >> 4)
    return 1 + (len(value) if isinstance(value, list | dict) else 0)


def depth_of(value: Value) -> int:
    """How many levels of lists and objects a value has."""
    if not isinstance(value, list | dict):
        return 0
    spend(len(value))
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


def dump(value: Value) -> str:
    """Compact JSON, with characters and numbers as they were written."""
    if isinstance(value, Number):
        return value
    spend(work_of(value))
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None or value is ANY:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, dict):
        return "{" + ",".join([f"{encode_basestring(key)}:{dump(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([dump(item) for item in value]) + "]"
    if isinstance(value, bytes):
        return encode_basestring(value.decode("utf-8", "replace"))
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    return json.dumps(value, default=str)


def load(source: str, *, depth: int = 64, as_is: bool = False) -> Value:
    """The value of a JSON text; NaN, Infinity and more than `depth` levels raise ValueError with a sentence.

    Numbers stay as written, the last of equal keys counts, U+0000 and unpaired surrogates become U+FFFD,
    unless they are wanted `as_is`.
    """
    if source.count("[") + source.count("{") > depth and _depth_exceeds(source, depth):
        raise ValueError(f"The JSON is nested more than {depth} levels deep.")
    value = json.loads(source, parse_int=Number, parse_float=Number, parse_constant=_refuse)
    return cleaned(value) if "\\u" in source and not as_is else value


def _depth_exceeds(source: str, limit: int) -> bool:
    level = 0
    for token in _TOKENS.finditer(source):
        first = source[token.start()]
        if first in "[{":
            level += 1
            if level > limit:
                return True
        elif first in "]}":
            level -= 1
    return False


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number.")


def add(found: dict[str, Value], name: str, value: Value) -> None:
    """Adds a value under a name; a repeated name has a list."""
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]


def find(value: Value, key: str) -> Value:
    """An object's value for a key: the exact key first, then the key in any case, else unset."""
    if key in value:
        return value[key]
    spend(len(value) >> 4)
    folded = key.casefold()
    for name, item in value.items():
        if name.casefold() == folded:
            return item
    return None


def walk(value: Value, steps: tuple[str | int, ...]) -> Value:
    """The value at a dotted name; a key of a list means that key of its last element."""
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
            continue
        if value is None or value is ANY:
            return value
        if isinstance(step, int):
            items = value if isinstance(value, list) else [value]
            value = items[step] if step < len(items) else None
            continue
        if isinstance(value, list):
            value = value[-1] if value else None
        value = find(value, step) if isinstance(value, dict) else None
    return value


def plain(value: Value) -> Value:
    """The value where a text is needed: of an XML element with attributes, its `#text`."""
    if isinstance(value, dict) and value and all(key == "#text" or key[0:1] == "@" for key in value):
        return value.get("#text")
    return value


def is_number(value: Value) -> bool:
    """Whether a value, or its text, is a JSON number."""
    if isinstance(value, bool) or value is None:
        return False
    return _NUMERAL.fullmatch(text(value)) is not None


def decimal(value: Value) -> Decimal | None:
    """The number of a value, or of its text, or None; an exponent that is too large gives None."""
    try:
        return Decimal(text(value)) if is_number(value) else None
    except InvalidOperation:
        return None


def is_charset(name: str) -> bool:
    """Whether a name is that of a character set for texts."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return found._is_text_encoding and found.name not in _NO_CHARSETS


class Table:
    """A look-up by text: by the exact key, in any case, by ranges (`10-12`, `>20`, `<=5`), then `*`."""

    def __init__(self, entries: Mapping[str, Value]) -> None:
        self._exact = dict(entries)
        self._folded = {key.casefold(): value for key, value in reversed(list(entries.items()))}
        self._ranges = [(test, value) for key, value in entries.items() for test in _range(key)]

    @property
    def entries(self) -> Mapping[str, Value]:
        """The entries as written."""
        return self._exact

    def get(self, value: Value) -> Value:
        """The entry for a value, or unset."""
        key = text(value)
        if key in self._exact:
            return self._exact[key]
        folded = key.casefold()
        if folded in self._folded:
            return self._folded[folded]
        if self._ranges and len(key) < 40 and is_number(key):
            number = float(key)
            for (low, with_low, high, with_high), entry in self._ranges:
                if (low < number or (with_low and low == number)) and (
                    number < high or (with_high and number == high)
                ):
                    return entry
        return self._exact.get("*")


_SPAN = re.compile(r"(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)")
_BOUND = re.compile(r"([<>])(=?)(-?\d+(?:\.\d+)?)")


def _range(key: str) -> Iterator[tuple[float, bool, float, bool]]:
    infinite = float("inf")
    if span := _SPAN.fullmatch(key):
        yield float(span[1]), True, float(span[2]), True
    elif bound := _BOUND.fullmatch(key):
        number, inclusive = float(bound[3]), bool(bound[2])
        yield (number, inclusive, infinite, True) if bound[1] == ">" else (-infinite, True, number, inclusive)
