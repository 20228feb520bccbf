"""Values of real requests, replaced by invented ones of the same shape that are nobody's."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

from integrations.language.document import Template
from integrations.language.values import Number, Value, is_number, text
from integrations.redact import MIN_LENGTH
from integrations.studio.example.words import ERROR_CODE, KIND, STATUS, plain, status_of

SHORTEST_NUMBER = 7  # digits
LONGEST_NUMBER = 15  # of ITU-T E.164
NESTED = 4  # URLs within a URL
_DIGITS = re.compile(r"(?<![^\W_])\d(?:[ ().-]{0,2}\d)+(?![^\W_])")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)? ?(?:Z|[+-]\d\d:?\d\d)?"
    r"|(?:\w{3}, )?\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d (?:[+-]\d{4}|GMT|UTC)"
)
# From the beginning of a word only: to try each of its places takes long.
_EMAIL = re.compile(r"(?<![^\s@<>,;:])[^\s@<>,;:]+@[^\s@<>,;:]+")
_URL = re.compile(r"(https?://)([^/?#\s]+)([^\s]*)", re.I)
# A JSON Web Token; one without claims takes its place.
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*")
_NO_CLAIMS = "e30"  # {} in Base64
_TOKEN = re.compile(r"[^\W_]+")
_WORDS = ("lorem", "ipsum", "dolor", "amet", "elit", "magna", "aliqua", "enim", "minim", "quis")
# Under these names there is a word of the provider's, and nobody's own.
_KINDS = STATUS | (KIND - {"name", "users"})


_PIECES = re.compile("|".join(item.pattern for item in (_URL, _EMAIL, _UUID, _DIGITS)), re.I)


class Anonymizer:
    """Replaces values consistently: what is equal in a request is equal afterwards.

    `known` has the texts for which there is a certain replacement, such as a secret. What the document itself
    says, statuses, kinds, dates and small numbers stay as they are: they are nobody's.
    """

    def __init__(self, template: Template, known: Mapping[str, str]) -> None:
        self._kept = {"basic", "bearer", *(item.casefold() for item in literals(template.document))}
        self._said = "\n".join(self._kept)
        self._known = {old: new for old, new in known.items() if len(old) >= 2}
        # Shorter ones are parts of other words by chance.
        ordered = sorted((old for old in self._known if len(old) >= MIN_LENGTH), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._made: dict[str, str] = {}
        self._numbers: dict[str, str] = {}

    def tree(self, value: Value, name: str = "") -> Any:
        """A document with the same keys, and other values; `name` is the key of the value."""
        if isinstance(value, Mapping):
            return {self._key(key): self.tree(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, name) for item in value]
        if isinstance(value, Number) or (isinstance(value, int | float) and not isinstance(value, bool)):
            return self._number(str(text(value)), name)
        return self.text(value, name) if isinstance(value, str) else value

    def text(self, value: str, name: str = "") -> str:
        """Another text for the value of a name."""
        if value in self._known:
            return self._known[value]
        if self._stays(value, name):
            return value
        value = _JWT.sub(f"{_NO_CLAIMS}.{_NO_CLAIMS}.{_NO_CLAIMS}", value)
        parts = self._pattern.split(value) if self._pattern else [value]
        between = self._pattern.findall(value) if self._pattern else []
        found = [self._part(parts[0])]
        for old, part in zip(between, parts[1:], strict=True):
            found += [self._known[old], self._part(part)]
        return "".join(found)

    def _key(self, key: str) -> str:
        """A key stays, unless it is a number or a secret."""
        return self.text(key) if key in self._known or _DIGITS.search(key) else key

    def _number(self, value: str, name: str) -> Value:
        """A number of the same length, as a number."""
        new = self.text(value, name)
        if not is_number(new):
            return new
        return int(new) if re.fullmatch(r"-?\d{1,400}", new) and str(int(new)) == new else Number(new)

    def _stays(self, value: str, name: str) -> bool:
        word = plain(name)
        if not value.strip() or value.casefold() in self._kept or _DATE.fullmatch(value.strip()):
            return True
        if re.fullmatch(r"[-+]?\d{1,3}(?:\.\d{1,3})?", value):
            return True
        if len(value) > 40 or len(re.sub(r"\D", "", value)) > 5:
            return False
        if status_of(value) or word in _KINDS:
            return not re.search(r"\s", value) or bool(status_of(value))
        return word in ERROR_CODE and " " not in value

    def _part(self, words: str) -> str:
        """A text without known parts, piece by piece."""
        result, position = "", 0
        for found in _PIECES.finditer(words):
            result += self._tokens(words[position : found.start()])
            piece, position = found[0], found.end()
            if "://" in piece:
                result += self._url(piece)
            elif "@" in piece:
                result += self._once(piece, lambda number: f"person{number}@example.com")
            elif _UUID.fullmatch(piece):
                result += self._token(piece)
            else:
                result += self._digits(piece)
        return result + self._tokens(words[position:])

    def _digits(self, piece: str) -> str:
        """A telephone number with the same beginning; other digits with the same length."""
        digits = re.sub(r"\D", "", piece)
        if not SHORTEST_NUMBER <= len(digits) <= LONGEST_NUMBER:
            return self._token(piece)
        end = digits[-SHORTEST_NUMBER:]
        new = digits[:-SHORTEST_NUMBER] + self._numbers.setdefault(end, f"555{len(self._numbers) + 1:04}")
        written = iter(new)
        return "".join(next(written) if character.isdigit() else character for character in piece)

    def _url(self, url: str) -> str:
        found = _URL.fullmatch(url)
        assert found is not None
        host = found[2] if found[2].casefold() in self._said else "media.example.com"
        replaced = self._part if found[3].count("://") < NESTED else self._tokens
        path, dot, ending = found[3].rpartition(".")
        if dot and re.fullmatch(r"[A-Za-z0-9]{2,4}", ending):
            return f"{found[1]}{host}{replaced(path)}.{ending}"
        return f"{found[1]}{host}{replaced(found[3])}"

    def _tokens(self, words: str) -> str:
        return _TOKEN.sub(lambda found: self._token(found[0]), words)

    def _token(self, token: str) -> str:
        """A word for a word; characters of the same kinds for what has digits in it."""
        if token.casefold() in self._kept and not token.isdigit():
            return token
        if (len(token) == 1 and not token.isdigit()) or token == _NO_CLAIMS:
            return token
        if re.search(r"\d", token):
            return self._made.setdefault(token, _like(token, len(self._made)))
        return self._made.setdefault(token, self._word(token))

    def _word(self, token: str) -> str:
        word = _WORDS[len(self._made) % len(_WORDS)]
        if word.casefold() == token.casefold():
            word = "tempor"
        return word.upper() if token.isupper() else word.title() if token[:1].isupper() else word

    def _once(self, old: str, make: Any) -> str:
        return self._made.setdefault(old, make(len(self._made) + 1))


def _like(token: str, number: int) -> str:
    """Other characters of the same kinds, which do not depend on the old ones."""
    some = random.Random(number + 1)  # nosec B311 # made-up values, which protect nothing
    is_hex = bool(re.fullmatch(r"[0-9a-fA-F-]+", token))
    letters = "abcdef" if is_hex else string.ascii_lowercase

    def other(character: str, first: bool) -> str:
        if character.isdigit():
            return some.choice("123456789" if first else string.digits)
        found = some.choice(letters)
        return found.upper() if character.isupper() else found if character.isalpha() else character

    made = "".join(other(character, index == 0) for index, character in enumerate(token))
    return made if made != token else _like(token, number + 1000)


def literals(node: Value) -> Iterator[str]:
    """All texts and keys of a document, and the parts of those with placeholders that are always the same."""
    if isinstance(node, Mapping):
        for key, item in node.items():
            yield from literals(key)
            yield from literals(item)
    elif isinstance(node, list):
        for item in node:
            yield from literals(item)
    elif isinstance(node, str):
        yield node
        if "$" in node or "://" in node:
            yield from (part for part in re.split(r"\$[^$]*\$", node) if len(part) > 3)
