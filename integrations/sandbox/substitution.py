"""Replaces values in an example by others, wherever they occur in it."""

from __future__ import annotations

import base64
import re
import secrets
import string
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote, quote_plus

from integrations import case_http
from integrations.language.text_filters import national
from integrations.language.values import Number, Value, is_number

# A shorter value is replaced only where it is the whole text: "1" occurs in many.
LONG = 6
_GONE = object()


class Substitution:
    """Replaces each key of `new` by its value, and removes the values in `gone`.

    With such a value, the whole element of a list is removed, else its key; in a longer text, only the value.
    An element with one of the keys of `each` is repeated, each time with other replacements.
    """

    def __init__(
        self,
        new: Mapping[str, str],
        gone: Collection[str] = (),
        each: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    ) -> None:
        self._each = {
            old: [Substitution({**new, **one}, gone) for one in every] for old, every in (each or {}).items()
        }
        self._new = {old: value for old, value in new.items() if old}
        self._gone = {old for old in gone if old and old not in self._new}
        long = [old for old in (*self._new, *self._gone) if len(old) >= LONG]
        self._inside = re.compile("|".join(map(re.escape, sorted(long, key=len, reverse=True))) or r"(?!)")

    def text(self, value: str) -> str:
        """The text with all replacements, in one pass."""
        if value in self._new:
            return self._new[value]
        return self._inside.sub(lambda found: self._new.get(found[0], ""), value)

    def tree(self, value: Value) -> Value:
        """The value with all replacements in its texts."""
        return self._made(value, listed=False)

    def body(self, body: bytes, content_type: str) -> tuple[bytes, str]:
        """The body with all replacements, and the content type to send with it."""
        if not body:
            return body, content_type
        made, kind = case_http.body_of(self.tree(case_http.shown_body(body, content_type)))
        return made, kind if kind.startswith("multipart/") else content_type

    def _for_element(self, item: Value) -> Sequence[Substitution]:
        texts = item.values() if isinstance(item, Mapping) else [item]
        return next(
            (self._each[each] for each in texts if isinstance(each, str) and each in self._each), [self]
        )

    def _made(self, value: Value, *, listed: bool) -> Value:
        if isinstance(value, Mapping):
            made = {key: self._made(item, listed=listed) for key, item in value.items()}
            if listed and _GONE in made.values():
                return _GONE
            return {key: item for key, item in made.items() if item is not _GONE}
        if isinstance(value, list):
            elements = ((each, item) for item in value for each in self._for_element(item))
            return [made for each, item in elements if (made := each._made(item, listed=True)) is not _GONE]
        if not isinstance(value, str):
            return value
        if value in self._gone:
            return _GONE
        new = self.text(value)
        return Number(new) if isinstance(value, Number) and is_number(new) else new


def number_spellings(number: str) -> list[str]:
    """The ways in which providers write an E.164 number, the longest first; a short code or name as it is."""
    return [number, number.removeprefix("+"), national(number)]


def number_substitutions(example: str, number: str) -> dict[str, str]:
    """The replacement for each way to write an example's number: another number in the same way."""
    return dict(zip(number_spellings(example), number_spellings(number), strict=True))


def text_substitutions(example: str, content: str) -> dict[str, str]:
    """The replacement for each way to write an example's text: another text in the same way."""
    ways = dict(zip(_text_spellings(example), _text_spellings(content), strict=True))
    # A text that an encoding leaves as it is does not show which encoding the provider uses.
    return {**ways, example: content}


def _text_spellings(content: str) -> list[str]:
    """The ways in which providers write a text: as it is, in Base64, and percent-encoded with %20 or +."""
    return [
        content,
        base64.b64encode(content.encode()).decode(),
        quote(content, safe=""),
        quote_plus(content),
    ]


def new_id(example: str) -> str:
    """A new id that looks like the example, with at least twelve random digits."""
    digits = sum(character in string.digits for character in example)
    made = "".join(
        secrets.choice("123456789" if index == 0 else string.digits)
        if character in string.digits
        else character
        for index, character in enumerate(example)
    )
    return made + "".join(secrets.choice(string.digits) for _ in range(12 - digits))
