"""What the API answers when it does not do as asked: RFC 9457, one sentence for the programmer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A problem that programs tell apart by its type."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"urn:patchbay:problem:{self.name}"


MALFORMED = Kind("malformed", 400, "The request is not as described")
UNAUTHORIZED = Kind("unauthorized", 401, "A valid token is needed")
NOT_FOUND = Kind("not-found", 404, "There is nothing here")
METHOD = Kind("method-not-allowed", 405, "This method is not offered here")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body is not JSON")
REFUSED = Kind("refused", 422, "The message was not taken")
KEY_REUSED = Kind("idempotency-key-reused", 422, "The Idempotency-Key was used for another message")
LIMIT = Kind("limit-reached", 429, "A limit against mass sending is reached")
UNAVAILABLE = Kind("unavailable", 503, "The database does not answer")

KINDS = (
    MALFORMED, UNAUTHORIZED, NOT_FOUND, METHOD, TOO_LARGE,
    MEDIA_TYPE, REFUSED, KEY_REUSED, LIMIT, UNAVAILABLE,
)  # fmt: skip


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request: `pointer` names the member of the body that is meant."""

    kind: Kind
    detail: str
    pointer: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, str | int]:
        """The body of the answer."""
        told: dict[str, str | int] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        return told if self.pointer is None else {**told, "pointer": self.pointer}
