"""What a text says, in all ways in which protocols write it, so that a number is found in each of them."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote_plus

_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_UNSEEN = "\0\xad\u200b\u200c\u200d\u2060\ufeff"  # NUL is every second byte of UTF-16


class _Alike(dict[int, str]):
    """A table for `translate`: digits, blanks and dashes of all scripts are those of ASCII."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        if (digit := unicodedata.decimal(letter, None)) is not None:
            letter = str(digit)
        elif unicodedata.category(letter) == "Pd" or letter == "\N{MINUS SIGN}":
            letter = "-"
        elif unicodedata.category(letter) == "Zs":
            letter = " "
        return self.setdefault(code, "" if letter in _UNSEEN else letter)


_ALIKE = _Alike()


def decoded(raw: str) -> str:
    """The text as it came, and decoded: from percent-encoding, escapes of JSON and XML, and Base64.

    Digits and dashes are those of ASCII in all of it. It takes several times the memory of the text.
    """
    found = [raw, unquote_plus(raw), unescape(_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), raw))]
    return " ".join(map(_plain, [*found, *_within_base64(raw)]))


def _plain(text: str) -> str:
    return text if text.isascii() and "\0" not in text else text.translate(_ALIKE)


def _within_base64(raw: str) -> Iterator[str]:
    for found in _BASE64.finditer(raw):
        word = found[0].rstrip("=")
        try:
            inner = base64.b64decode(
                word + "=" * (-len(word) % 4), altchars=b"-_" if {"-", "_"} & set(word) else None
            )
        except binascii.Error:
            continue
        yield inner.decode("latin-1")
