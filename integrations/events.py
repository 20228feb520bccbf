"""What crosses the border between providers and conversations, in Patchbay's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal["queued", "sent", "delivered", "read", "failed", "retrying", "ignore"]
Result = Literal["sent", "failed", "retry", "throttled", "opted_out", "unauthorized", "unknown"]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request ready for the door: absolute URL, headers as sent, body as bytes (None: no body)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A provider's whole answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """A webhook as it arrived: `path` follows the account, `query` is raw, header names are lower-case.

    `url` is the whole public one that was called, `ip` the address of who called.
    """

    method: str
    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ip: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A text or picture for one or more of our numbers, all spelled as the provider did.

    With a `concat_id` the text is part `concat_part` of `concat_count`. With `media_auth` its files may be
    fetched with the service's credentials.
    """

    type: Literal["message", "mms"]
    sender: str
    recipients: tuple[str, ...]
    text: str = ""
    urls: tuple[str, ...] = ()
    messageid: str = ""
    date: datetime | None = None
    sender_name: str = ""
    concat_id: str = ""
    concat_part: int = 1
    concat_count: int = 1
    media_auth: bool = False


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What a provider says of a message, found by its id (`messageid`) or ours (`message_uuid`)."""

    status: Status
    messageid: str = ""
    message_uuid: str = ""
    code: str = ""
    text: str = ""
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A contact's wish, told by the provider: no more messages (`optOut`), or again (`optIn`)."""

    type: Literal["optOut", "optIn"]
    sender: str
    recipients: tuple[str, ...]
    messageid: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that the template names and that changes nothing here."""


Event = InboundMessage | StatusUpdate | Consent | Ignored


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request; `text` is a sentence for a person, `retry_after` is in seconds."""

    result: Result
    messageid: str = ""
    code: str = ""
    text: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request got no answer.

    `connect`: nothing was sent, no connection was made. `tls`: the server's certificate was refused.
    `blocked`: the address guard refused the URL. `unanswered`: the request was (or may have been) written
    and no complete answer came in time. `text` is a sentence for a person.
    """

    kind: Literal["connect", "tls", "blocked", "unanswered"]
    text: str


_EVENTS: dict[str, type[InboundMessage | StatusUpdate | Consent]] = {
    "message": InboundMessage,
    "status": StatusUpdate,
    "consent": Consent,
}


def to_json(event: InboundMessage | StatusUpdate | Consent) -> dict[str, Any]:
    """An event as JSON, with what `from_json` needs to make it again."""
    kind = next(name for name, cls in _EVENTS.items() if isinstance(event, cls))
    stored: dict[str, Any] = {"kind": kind}
    for name in event.__slots__:
        stored[name] = getattr(event, name)
    if (date := stored.get("date")) is not None:
        stored["date"] = date.isoformat()
    return stored


def from_json(stored: Mapping[str, Any]) -> InboundMessage | StatusUpdate | Consent:
    """The event that `to_json` wrote."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()
    }
    if fields.get("date"):
        fields["date"] = datetime.fromisoformat(fields["date"])
    return _EVENTS[fields.pop("kind")](**fields)
