"""Signatures as Standard Webhooks specifies them: https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = b"whsec_"


def headers(identifier: str, timestamp: int, body: bytes, secrets: Iterable[bytes]) -> dict[str, str]:
    """The headers by which a receiver knows who sends; `timestamp` is in seconds, a secret is `whsec_…`.

    There is one signature for each secret, so that a receiver that has either of two accepts the request.
    """
    signed = f"{identifier}.{timestamp}.".encode() + body
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: bytes, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
