"""JSON Web Tokens (RFC 7519): signed for requests, and checked in webhooks."""

from __future__ import annotations

import functools
import hashlib
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import InvalidKeyError
from jwt.utils import base64url_decode, base64url_encode

from integrations.language.values import Value, dump, is_number, load, raw

ALGORITHMS = ["HS256", "RS256", "ES256"]
_ALGORITHMS = {name: get_default_algorithms()[name] for name in ALGORITHMS}
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


class UnreadableKey(ValueError):
    """The key does not suit the algorithm; the message says what is expected, and never what was given."""


def signed(algorithm: str, key: Value, claims: Mapping[str, Value], header: Mapping[str, Value]) -> str:
    """A token with these claims and further fields of the header. Raises UnreadableKey."""
    head = {"typ": "JWT", **header, "alg": algorithm}
    parts = b".".join(base64url_encode(dump(part).encode()) for part in (head, dict(claims)))
    signature = _ALGORITHMS[algorithm].sign(parts, _key(algorithm, raw(key), private=True))
    return f"{parts.decode()}.{base64url_encode(signature).decode()}"


def asks_for(token: str) -> str:
    """The algorithm that a token's header names. Raises ValueError for what is no token."""
    return str(load(base64url_decode(token.partition(".")[0]).decode()).get("alg"))


def claims_of(token: str, algorithm: str, key: Value) -> dict[str, Any] | None:
    """The claims of a token that this key has signed with this algorithm; None for any other.

    Raises UnreadableKey, and ValueError for what is no token.
    """
    message, _, signature = token.rpartition(".")
    prepared = _key(algorithm, raw(key), private=False)
    if not _ALGORITHMS[algorithm].verify(message.encode(), prepared, base64url_decode(signature)):
        return None
    said: dict[str, Any] = load(base64url_decode(message.partition(".")[2]).decode())
    return said


def wrong_claim(said: Mapping[str, Value], url: Value, body: bytes, now: float, tolerance: float) -> str:
    """Why the claims do not hold now and for this request, or "".

    `exp`, `nbf` and `iat` (RFC 7519, section 4.1) are checked where they are there, and so are the digests
    `url_hash` and `payload_hash` that messaging providers add; a body needs the latter.
    """
    times = {name: said[name] for name in ("exp", "nbf", "iat") if said.get(name) is not None}
    if any(not is_number(value) for value in times.values()):
        return "The token's times must be numbers of seconds."
    moments = {name: float(value) for name, value in times.items()}
    if moments.get("exp", now) < now - tolerance:
        return "The token has expired."
    if "exp" not in moments and moments.get("iat", now) < now - tolerance:
        return "The token is too old."
    if max(moments.get("nbf", now), moments.get("iat", now)) > now + tolerance:
        return "The token is not valid yet."
    if "url_hash" in said and said["url_hash"] != hashlib.sha256(raw(url)).hexdigest():
        return "The token is for another URL than the public URL of this portal."
    if body and said.get("payload_hash") != hashlib.sha256(body).hexdigest():
        return "The token does not match the body."
    return ""


@functools.lru_cache(maxsize=256)  # to read an RSA key and to check it takes longer than to sign with it
def _key(algorithm: str, given: bytes, *, private: bool) -> Any:
    if algorithm == "HS256":
        return _secret(given)
    try:
        pem = _pem(given.decode())
        key: Any = load_pem_private_key(pem, None) if private else load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not _suits(algorithm, key):
        kind = "an RSA key" if algorithm == "RS256" else "a key of the curve P-256"
        side = "PRIVATE" if private else "PUBLIC"
        raise UnreadableKey(
            f"The key cannot be read: {algorithm} needs {kind} as PEM, not encrypted, which begins with "
            f"-----BEGIN {side} KEY-----."
        )
    return key


def _secret(given: bytes) -> Any:
    if not given:
        raise UnreadableKey("The key is empty.")
    try:
        return _ALGORITHMS["HS256"].prepare_key(given)
    except InvalidKeyError:
        raise UnreadableKey("The key is a PEM, but HS256 needs a shared secret.") from None


def _suits(algorithm: str, key: Any) -> bool:
    if algorithm == "RS256":
        return isinstance(key, RSAPrivateKey | RSAPublicKey)
    curves = EllipticCurvePrivateKey | EllipticCurvePublicKey
    return isinstance(key, curves) and isinstance(key.curve, SECP256R1)


def _pem(given: str) -> bytes:
    """The PEM with its line ends, which a field of one line or a JSON file turns into blanks or `\\n`."""
    found = _PEM.search(given)
    if found is None:
        raise ValueError("This is no PEM.")
    lines = textwrap.wrap(re.sub(r"\\n|\\r|\s", "", found[2]), 64)
    return "\n".join([f"-----BEGIN {found[1]}-----", *lines, f"-----END {found[1]}-----", ""]).encode()
