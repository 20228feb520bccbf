"""Filters for the alphabets and encodings of SMS, and for files in texts."""

from __future__ import annotations

import base64
import re

import filetype

from integrations.language import segments
from integrations.language.registry import Registry
from integrations.language.values import Value, raw, text

FILTERS = Registry()
add = FILTERS.add


@add("gsm7", ("“Crème brûlée”", (), '"Crème brulée"'), arguments=(0, 1))
def gsm7(value: str, mode: Value = None) -> str | None:
    """The text in the GSM 7-bit alphabet: another character becomes the nearest, or `?`; 'strict': unset."""
    if mode not in (None, "strict"):
        return None
    return segments.to_gsm7(value, strict=mode == "strict")


@add("is_gsm7", ("Grüße €", (), True), kind="value")
def is_gsm7(value: Value) -> bool:
    """Whether every character is in the GSM 7-bit alphabet or its extension."""
    return segments.is_gsm7(text(value))


@add("gsm7_decode", (b"\x00\x1be", (), "@€"), kind="bytes")
def gsm7_decode(value: str | bytes) -> str:
    """The text of bytes that each hold one GSM septet."""
    return segments.gsm7_text(raw(value))


@add(
    "base64_maybe",
    (
        "VGhpcyBpcyBhIGxvbmcgZW5vdWdoIHRleHQgdG8gYmUgQmFzZTY0IGZvciBzdXJlLCBpcyBpdA==",
        (),
        "This is a long enough text to be Base64 for sure, is it",
    ),
)
def base64_maybe(value: str) -> str:
    """The decoded text if it is at least 60 characters of Base64 that encode UTF-8, else the text."""
    if len(value) < 60 or len(value) % 4 or not re.fullmatch(r"[A-Za-z0-9+/_-]+={0,2}", value):
        return value
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True).decode()
    except ValueError:
        return value


@add(
    "data_uri",
    ("R0lGODlhAQABAAAAACw=", (), "data:image/gif;base64,R0lGODlhAQABAAAAACw="),
    arguments=(0, 1),
    kind="bytes",
)
def data_uri(value: str | bytes, kind: Value = None) -> str:
    """A file, in bytes or Base64, as a data: URI (RFC 2397); the type, if missing, is guessed."""
    if isinstance(value, bytes):
        content = value
    else:
        encoded = "".join(value.split()).replace("-", "+").replace("_", "/").rstrip("=")
        content = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    found = text(kind)
    if not found:
        sniffed = filetype.guess(content)
        found = sniffed.mime if sniffed else "application/octet-stream"
    return f"data:{found};base64,{base64.b64encode(content).decode()}"
