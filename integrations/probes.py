"""Requests to our own webhook URLs, and the answer to them that only this installation can give."""

from __future__ import annotations

from collections.abc import Mapping

from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

HEADER = "X-Patchbay-Probe"
_SALT = "patchbay.probe"
_SECONDS = 60


def token(service_id: str, owner: str) -> str:
    """A token for one webhook URL, valid for a minute."""
    return signing.dumps([service_id, owner], salt=_SALT)


def proof(service_id: str, owner: str, headers: Mapping[str, str]) -> dict[str, str] | None:
    """The header that answers a probe of this installation for this webhook URL; None for another request.

    `headers` have lower-case names. Nobody else can make a token, so nothing else is taken for a probe.
    """
    given = headers.get(HEADER.lower(), "")
    if not given:
        return None
    try:
        meant = signing.loads(given, salt=_SALT, max_age=_SECONDS)
    except signing.BadSignature:
        return None
    return {HEADER.lower(): _proof(given)} if meant == [service_id, owner] else None


def is_proof(given: str, headers: Mapping[str, str]) -> bool:
    """Whether the headers of an answer prove that this installation has read the token."""
    return constant_time_compare(headers.get(HEADER.lower(), ""), _proof(given))


def _proof(given: str) -> str:
    return salted_hmac(_SALT + ".answer", given, algorithm="sha256").hexdigest()
