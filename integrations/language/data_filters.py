"""Filters for dates, encodings and digests."""

from __future__ import annotations

import base64
import codecs
import hashlib
import hmac
import html
import mimetypes
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit
from xml.sax import saxutils  # nosec B406 # it escapes texts, and parses nothing

from integrations.language.budget import spend
from integrations.language.dates import (
    EPOCH,
    MAX_FORMAT,
    is_readable,
    is_writable,
    iso_text,
    parse_date,
    zone_of,
)
from integrations.language.registry import Registry, bounded
from integrations.language.values import Number, Value, decimal, dump, is_charset, load, raw, text

FILTERS = Registry()
add = FILTERS.add


@add("iso", ("Tue, 3 Jun 2025 10:00:00 +0200", (), "2025-06-03T08:00:00Z"))
def iso(value: str) -> str | None:
    """A date in UTC, as ISO 8601, from any form of ISO 8601 or RFC 3339 with a day (calendar, week or day of
    the year; with or without time, fraction, offset) or RFC 5322; without an offset it is taken as UTC."""
    date = parse_date(value)
    return iso_text(date) if date else None


@add("epoch", ("1748944800000", (Number("1000"),), "2025-06-03T10:00:00Z"), arguments=(0, 1), kind="value")
def epoch(value: Value, divisor: Value = "1") -> str | None:
    """The date for a number of seconds since 1970; a divisor converts another unit to seconds."""
    number = decimal(value)
    if number is None:
        return None
    return iso_text(EPOCH + timedelta(seconds=float(number / Decimal(text(divisor)))))


@add(
    "strptime",
    ("03/06/2025 10:00", ("%d/%m/%Y %H:%M",), "2025-06-03T10:00:00Z"),
    arguments=(1, 8),
    argument="strptime",
)
def strptime(value: str, *formats: Value) -> str | None:
    """The date by the first format that fits; a time zone among them is used if the text has none."""
    names = [text(item) for item in formats]
    spend(20 * len(names))
    if len(value) > MAX_FORMAT or not all(map(is_readable, names)):
        return None
    zone = next((zone_of(name) for name in reversed(names) if "%" not in name), None)
    for name in names:
        if "%" in name:
            try:
                date = datetime.strptime(value, name)
            except ValueError:
                continue
            return iso_text(date if date.tzinfo else date.replace(tzinfo=zone or UTC))
    return None


@add(
    "date",
    ("2025-06-03T10:00:00Z", ("%d.%m.%Y", "Europe/Paris"), "03.06.2025"),
    arguments=(1, 2),
    argument="strftime",
)
def date(value: str, form: Value, zone: Value = "UTC") -> str | None:
    """The date in a strftime format, in UTC or the time zone."""
    moment, place = parse_date(value), zone_of(text(zone))
    if moment is None or place is None or not is_writable(text(form)):
        return None
    return moment.astimezone(place).strftime(text(form))


@add("timestamp", ("2025-06-03T10:00:00Z", (Number("1000"),), Number("1748944800000")), arguments=(0, 1))
def timestamp(value: str, factor: Value = "1") -> Number | None:
    """The whole seconds from 1970 to the date, multiplied by the factor (at most a million)."""
    moment = parse_date(value)
    if moment is None or not 0 < Decimal(text(factor)) <= 1_000_000:
        return None
    return Number(int(((moment - EPOCH) // timedelta(seconds=1)) * Decimal(text(factor))))


@add("hex", ("héy", (), "68c3a979"), kind="bytes")
def hex_(value: str | bytes) -> str:
    """The bytes, or the text in UTF-8, as lower-case hexadecimal digits."""
    return raw(value).hex()


@add("unhex", ("68C3A979", (), "héy"), kind="bytes")
def unhex(value: str | bytes) -> str | bytes:
    """The text that hexadecimal digits encode, or bytes if it is not UTF-8."""
    return _decoded(bytes.fromhex(text(value)))


@add("base64", ("hello?>", (), "aGVsbG8/Pg=="), kind="bytes")
def base64_(value: str | bytes) -> str:
    """The bytes, or the text in UTF-8, in Base64 (RFC 4648)."""
    return base64.b64encode(raw(value)).decode()


@add("base64url", ("hello?>", (), "aGVsbG8_Pg"), kind="bytes")
def base64url(value: str | bytes) -> str:
    """The bytes, or the text in UTF-8, in URL-safe Base64 (RFC 4648, section 5), without padding."""
    return base64.urlsafe_b64encode(raw(value)).decode().rstrip("=")


@add("unbase64", ("aGVsbG8_Pg", (), "hello?>"), kind="bytes")
def unbase64(value: str | bytes) -> str | bytes:
    """The text that Base64 encodes (in either alphabet, padded or not), or bytes if it is not UTF-8."""
    encoded = text(value).strip().replace("-", "+").replace("_", "/").rstrip("=")
    return _decoded(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))


@add("quote", ("a b/ä~", ("/",), "a%20b/%C3%A4~"), arguments=(0, 1), kind="bytes")
def quote_(value: str | bytes, safe: Value = "") -> str:
    """The text, or bytes, percent-encoded (RFC 3986); letters, digits, `-._~` and `safe` stay plain."""
    content = raw(value)
    bounded(3 * len(content))
    return quote(content, safe=text(safe))


@add("unquote", ("a+b%20c", (), "a b c"), kind="bytes")
def unquote(value: str | bytes) -> str | bytes:
    """The decoded form value: `+` is a space, `%41` is A, invalid escapes stay; bytes if it is not UTF-8."""
    return _decoded(unquote_to_bytes(text(value).replace("+", " ")))


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


@add("encode", ("é", ("latin-1",), b"\xe9"), arguments=(1, 1), kind="bytes", argument="charset")
def encode(value: str | bytes, charset: Value) -> bytes | None:
    """The bytes of the text in a character set; a character outside it becomes `?`."""
    if not is_charset(text(charset)):
        return None
    return value if isinstance(value, bytes) else value.encode(text(charset), "replace")


@add("decode", (b"\xe9", ("latin-1",), "é"), arguments=(1, 1), kind="bytes", argument="charset")
def decode(value: str | bytes, charset: Value) -> str | None:
    """The text that the bytes encode in a character set; invalid bytes become U+FFFD."""
    name, source = text(charset), raw(value)
    if not is_charset(name):
        return None
    if codecs.lookup(name).name.startswith("utf-16"):
        # Half of an emoji: the other half may be in the next part of the text.
        with suppress(UnicodeDecodeError):
            return source.decode(name, "surrogatepass")
    return source.decode(name, "replace")


@add("json", ({"a": Number("1.0")}, (), '{"a":1.0}'), kind="value")
def json_(value: Value) -> str:
    """The value as compact JSON."""
    return dump(value)


@add("unjson", ('{"a": 1.0}', (), {"a": Number("1.0")}), kind="value")
def unjson(value: Value) -> Value:
    """The value of a JSON text; unset if it is not JSON."""
    return load(text(value))


@add("escape", ("<a> & 'b'", (), "&lt;a&gt; &amp; &apos;b&apos;"))
def escape(value: str) -> str:
    """The text with XML's five characters `& < > " '` written as entities."""
    bounded(6 * len(value))
    return saxutils.escape(value, {'"': "&quot;", "'": "&apos;"})


@add("unescape", ("&lt;caf&eacute;&#33;&gt;", (), "<café!>"))
def unescape(value: str) -> str:
    """The text with the entities of XML and HTML read."""
    return html.unescape(value)


@add("query", ({"a": "x y", "b": ["1", "2"]}, (), "a=x%20y&b=1&b=2"), arguments=(0, 1), kind="value")
def query(value: Value, mode: Value = None) -> str | None:
    """An object as `k=v&…`, percent-encoded unless 'raw' is given; a list repeats its key."""
    pairs = [
        (key, text(item))
        for key, found in value.items()
        for item in (found if isinstance(found, list) else [found])
    ]
    if mode == "raw":
        return "&".join(f"{key}={item}" for key, item in pairs)
    return urlencode(pairs, quote_via=quote, safe="") if mode is None else None


@add("filename", ("https://x.example/a/caf%C3%A9.jpg?v=1", (), "café.jpg"))
def filename(value: str) -> str:
    """The last segment of a URL's path, decoded."""
    return unquote_to_bytes(urlsplit(value).path.rsplit("/", 1)[-1]).decode("utf-8", "replace")


@add("content_type", ("https://x.example/a.png?v=1", (), "image/png"))
def content_type(value: str) -> str | None:
    """The media type for a URL's file extension; unset if the extension is unknown."""
    return mimetypes.guess_type(filename(value))[0]


def _spelled(value: bytes, form: Value) -> str | bytes:
    spell: dict[str, Callable[[bytes], str | bytes]] = {
        "hex": hex_,
        "base64": base64_,
        "base64url": base64url,
        "bytes": bytes,
    }
    return spell[text(form)](value)


def _digest(name: str, result: str) -> None:
    def digest(value: str | bytes, form: Value = "hex") -> str | bytes:
        return _spelled(hashlib.new(name, raw(value), usedforsecurity=False).digest(), form)

    digest.__doc__ = (
        f"The {name.upper()} digest as hexadecimal digits, or as 'base64', 'base64url' or 'bytes'."
    )
    add(name, ("hello", (), result), arguments=(0, 1), kind="bytes")(digest)


def _hmac(name: str, result: str) -> None:
    def keyed(value: str | bytes, key: Value, form: Value = "hex") -> str | bytes | None:
        # Anyone can sign with an empty key, so a blank property must not give a valid signature.
        return _spelled(hmac.digest(raw(key), raw(value), name), form) if raw(key) else None

    keyed.__doc__ = (
        f"The HMAC (RFC 2104) with {name.upper()} and a key, in any form of a digest; unset without a key."
    )
    add(f"hmac_{name}", ("hello", ("key", "base64"), result), arguments=(1, 2), kind="bytes")(keyed)


_digest("md5", "5d41402abc4b2a76b9719d911017c592")
_digest("sha1", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d")
_digest("sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
_digest(
    "sha512",
    "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7"
    "2323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043",
)
_hmac("md5", "BBMHR6/KTXnjLofPIQTwhw==")
_hmac("sha1", "s0zqxFFv8joUPmHXnQ+npPvl8mY=")
_hmac("sha256", "kwezuRXvtRcf8U2MtV+8x5jGwO8UVtZt7RpqpyOli3s=")
_hmac("sha512", "/warNnV3d4FcAI0yyOFKcFtOe/MQNRoGojthLcTHQz53V9IFJaVZO3ECDqLuFi0jEbJH6YVYYrJwEiQZZSwMkg==")
