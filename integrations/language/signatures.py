"""The signatures that `verify` checks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from integrations.language import json_web_tokens
from integrations.language.dates import parse_date
from integrations.language.errors import child
from integrations.language.expressions import getter, parts_of
from integrations.language.placeholders import Placeholder
from integrations.language.scope import Scope
from integrations.language.sections import choice, number
from integrations.language.shapes import Render, compile_render
from integrations.language.urls import decode_pairs
from integrations.language.values import Value, Variables, find, is_empty, is_number, raw, text

# Reads the request (query, headers, body in bytes, method, public url, ip), its parsed body, now, and the
# properties. Returns "", the reason why the request is not from the provider, or None if nobody checks that.
Verify = Callable[[Variables], str | None]
ALGORITHMS = ["sha256", "sha1", "sha512", "md5"]
MAX_TOLERANCE = 86_400  # seconds
ENCODINGS = ["hex", "base64", "base64url"]


def shape_of(node: Mapping[str, Value], key: str, default: Value, scope: Scope, pointer: str) -> Render:
    """The shape under a key."""
    return compile_render(node.get(key, default), scope, child(pointer, key))


def live(value: Value) -> list[Value]:
    """The elements of a list, or the single value, without empty ones: several keys may be valid at once."""
    return [item for item in (value if isinstance(value, list) else [value]) if not is_empty(item)]


def is_one_of(given: Value, expected: Value) -> bool:
    """Whether a given text is one of the expected ones, compared in constant time; an empty text is not."""
    found = [hmac.compare_digest(raw(given), raw(item)) for item in live(expected)]
    return bool(text(given)) and any(found)


def bytes_of(
    node: Mapping[str, Value], key: str, default: str, scope: Scope, pointer: str
) -> Callable[[Variables], bytes]:
    """A text that is rendered as bytes; the placeholders keep the bytes that arrived."""
    place = child(pointer, key)
    pieces = [
        getter(part, scope, place) if isinstance(part, Placeholder) else part.encode()
        for part in parts_of(text(node.get(key, default)), scope, place)
    ]
    return lambda values: b"".join(
        piece if isinstance(piece, bytes) else raw(piece(values)) for piece in pieces
    )


def _timestamp(node: Mapping[str, Value], scope: Scope, pointer: str) -> Callable[[Variables], str]:
    tolerance = number(node, "tolerance", 300, 1, MAX_TOLERANCE, scope, pointer)
    if "timestamp" not in node:
        return lambda values: ""
    stamp = shape_of(node, "timestamp", None, scope, pointer)
    return lambda values: _too_old(text(stamp(values)), tolerance, values)


def _too_old(stamp: str, tolerance: float, values: Variables) -> str:
    if is_number(stamp) and len(stamp) < 20:
        moment = float(stamp) / (1000 if float(stamp) > 10**11 else 1)
    elif (date := parse_date(stamp)) is not None:
        moment = date.timestamp()
    else:
        return "The timestamp of the signature is missing."
    apart = _now(values) - moment
    return (
        ""
        if abs(apart) <= tolerance
        else f"The signature is {apart:.0f} seconds old; at most {tolerance:g} are allowed."
    )


def check_hmac(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    algorithm = choice(node, "algorithm", ALGORITHMS, scope, pointer)
    encoding = choice(node, "encoding", ENCODINGS, scope, pointer)
    key, signature = (shape_of(node, name, None, scope, pointer) for name in ("key", "signature"))
    over, check_time = bytes_of(node, "over", "$body$", scope, pointer), _timestamp(node, scope, pointer)

    def check(values: Variables) -> str:
        signed, given = over(values), live(signature(values))
        spelled = [
            _spelled(hmac.digest(raw(item), signed, algorithm), encoding) for item in live(key(values))
        ]
        if any(is_one_of(_unpadded(text(item), encoding), spelled) for item in given):
            return check_time(values)
        return "The signature is missing or wrong."

    return check


def _spelled(digest: bytes, encoding: str) -> str:
    if encoding == "hex":
        return digest.hex()
    spell = base64.urlsafe_b64encode if encoding == "base64url" else base64.b64encode
    return spell(digest).decode().rstrip("=")


def _unpadded(given: str, encoding: str) -> str:
    return given.strip().casefold() if encoding == "hex" else given.strip().rstrip("=")


def check_ed25519(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    key, signature = (shape_of(node, name, None, scope, pointer) for name in ("key", "signature"))
    over, check_time = bytes_of(node, "over", "$body$", scope, pointer), _timestamp(node, scope, pointer)

    def check(values: Variables) -> str:
        for item in live(key(values)):
            try:
                public = Ed25519PublicKey.from_public_bytes(_decoded(item))
                public.verify(_decoded(signature(values)), over(values))
            except (InvalidSignature, ValueError):
                continue
            return check_time(values)
        return "The signature is missing or wrong."

    return check


def _decoded(value: Value) -> bytes:
    """Bytes as they are, or decoded from hexadecimal digits or Base64 in either alphabet."""
    if isinstance(value, bytes):
        return value
    value = text(value).strip()
    if len(value) in (64, 128) and all(each in "0123456789abcdefABCDEF" for each in value):
        return bytes.fromhex(value)
    value = value.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)


def check_jwt(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    """Checks a token by the declared algorithm alone: the token's own header may not choose another."""
    key = shape_of(node, "key", None, scope, pointer)
    token = shape_of(node, "token", "$headers.Authorization|remove_prefix:'Bearer '$", scope, pointer)
    algorithm = choice(node, "algorithm", json_web_tokens.ALGORITHMS, scope, pointer)
    tolerance = number(node, "tolerance", 300, 1, MAX_TOLERANCE, scope, pointer)

    def check(values: Variables) -> str:
        given, reason = text(token(values)), "The token's signature is wrong."
        if not given or json_web_tokens.asks_for(given) != algorithm:
            return f"The token is missing or does not use {algorithm}."
        for item in live(key(values)):
            try:
                said = json_web_tokens.claims_of(given, algorithm, item)
            except json_web_tokens.UnreadableKey as error:
                reason = str(error)
                continue
            if said is not None:
                now = _now(values)
                return json_web_tokens.wrong_claim(said, values["url"], values["body"], now, tolerance)
        return reason

    return check


def check_standard(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    """Checks a signature by https://www.standardwebhooks.com; there may be several, each "v1,<Base64>"."""
    key = shape_of(node, "key", None, scope, pointer)
    tolerance = number(node, "tolerance", 300, 1, MAX_TOLERANCE, scope, pointer)

    def check(values: Variables) -> str:
        headers = values["headers"]
        identifier, stamp = (text(find(headers, f"webhook-{name}")) for name in ("id", "timestamp"))
        signed = f"{identifier}.{stamp}.".encode() + values["body"]
        expected = [
            "v1," + base64.b64encode(hmac.digest(_standard_key(item), signed, "sha256")).decode()
            for item in live(key(values))
        ]
        if any(is_one_of(item, expected) for item in text(find(headers, "webhook-signature")).split()):
            return _too_old(stamp, tolerance, values)
        return "The signature is missing or wrong."

    return check


def _standard_key(value: Value) -> bytes:
    return _decoded(value if isinstance(value, bytes) else text(value).removeprefix("whsec_"))


def check_url_and_form(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    """Checks a signature by Twilio's scheme, over the URL and either the sorted form or the body's digest."""
    key = shape_of(node, "key", None, scope, pointer)
    signature = shape_of(node, "signature", "$headers.X-Twilio-Signature$", scope, pointer)

    def check(values: Variables) -> str:
        digest = text(values["query"].get("bodySHA256"))
        if digest and not hmac.compare_digest(hashlib.sha256(values["body"]).hexdigest(), digest.casefold()):
            return "The body does not match the signed digest."
        fields = [] if digest else decode_pairs(values["body"].decode("utf-8", "replace"))
        signed, given = "".join(map("".join, sorted(set(fields)))), signature(values)
        for url in _spellings(text(values["url"])):
            over = (url + signed).encode()
            expected = [
                base64.b64encode(hmac.digest(raw(item), over, "sha1")).decode() for item in live(key(values))
            ]
            if is_one_of(given, expected):
                return ""
        return "The signature is missing or wrong."

    return check


def _spellings(url: str) -> Iterator[str]:
    """The URL with and without its port: as in Twilio's helper libraries, either may have been signed."""
    yield url
    parts = urlsplit(url)
    if parts.port is not None:
        yield parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl()
    else:
        port = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
        yield parts._replace(netloc=parts.netloc + port).geturl()


def _now(values: Variables) -> float:
    moment = parse_date(text(values["now"]))
    assert moment is not None
    return moment.timestamp()
