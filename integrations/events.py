"""The types that pass between providers and conversations, in Patchbay's own vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

Status = Literal["queued", "sent", "delivered", "read", "failed", "retrying", "ignore"]
Result = Literal["sent", "failed", "retry", "throttled", "opted_out", "unauthorized", "unknown"]


@dataclass(frozen=True, slots=True)
class RenderedRequest:
    """A request as a template makes it: absolute URL, headers, body as bytes (None: no body).

    `reads` are the names of the properties and variables that it may contain. Only `origins.release` makes a
    request of it that can be sent.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 30.0
    reads: frozenset[str] = frozenset()


class HttpRequest(RenderedRequest):
    """A request that may be sent: its secrets may go to its origin."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A provider's complete response; header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """A webhook request as it arrived; header names are lower-case.

    `path` is what follows the account in the URL, `query` is raw. `url` is the complete public URL, `ip` the
    address of the caller. One that is `polled` is no request at all, but the answer to ReceiveMessages.
    """

    method: str
    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ip: str = ""
    url: str = ""
    polled: bool = False


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A text or files for one or more of our numbers, which are written as the provider wrote them.

    `members` are others who take part in a group, besides sender and recipients. With a `concat_id`, the text
    is part `concat_part` of `concat_count`. With `media_auth`, its files may be fetched with the provider's
    credentials.
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
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A message's status; the provider names the message by its id (`messageid`) or ours (`message_uuid`)."""

    status: Status
    messageid: str = ""
    message_uuid: str = ""
    code: str = ""
    text: str = ""
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A contact's opt-out or opt-in, as reported by the provider."""

    type: Literal["optOut", "optIn"]
    sender: str
    recipients: tuple[str, ...]
    messageid: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that the template knows and that has no effect."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """An element of a list in a request that fits no event of the template; `place` is a JSON Pointer."""

    place: str


Event = InboundMessage | StatusUpdate | Consent | Ignored


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one request; `text` is a sentence for a person, `retry_after` is in seconds.

    `bound` is what the method's shapes bound in the response; `messageid` is among it. `rule` is the place of
    what decided in the document (a JSON Pointer); "" if no part of it did.
    """

    result: Result
    messageid: str = ""
    code: str = ""
    text: str = ""
    retry_after: float | None = None
    bound: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    rule: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request has no response; `text` is a sentence for a person.

    `connect`: no connection was made, and nothing was sent. `tls`: the server's certificate was rejected.
    `blocked`: the address guard refused the URL. `unanswered`: the request was written, or may have been, and
    no complete response arrived in time.
    """

    kind: Literal["connect", "tls", "blocked", "unanswered"]
    text: str


_EVENTS: dict[str, type[InboundMessage | StatusUpdate | Consent | Unfit]] = {
    "message": InboundMessage,
    "status": StatusUpdate,
    "consent": Consent,
    "unfit": Unfit,
}


_DEFAULTS = {cls: {item.name: item.default for item in fields(cls)} for cls in _EVENTS.values()}


def to_json(event: InboundMessage | StatusUpdate | Consent | Unfit) -> dict[str, Any]:
    """The event as JSON, which `from_json` turns back into the event.

    What has its default is left out. So workers of the version before, which run on during an upgrade, read
    events that do not use a field they lack.
    """
    stored: dict[str, Any] = {"kind": next(name for name, cls in _EVENTS.items() if isinstance(event, cls))}
    for name, default in _DEFAULTS[type(event)].items():
        if (value := getattr(event, name)) != default:
            stored[name] = value
    if (date := stored.get("date")) is not None:
        stored["date"] = date.isoformat()
    return stored


def from_json(stored: Mapping[str, Any]) -> InboundMessage | StatusUpdate | Consent | Unfit:
    """The event that `to_json` wrote."""
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()
    }
    if given.get("date"):
        given["date"] = datetime.fromisoformat(given["date"])
    return _EVENTS[given.pop("kind")](**given)


# What tells events without an id apart, and what stands for a field that is not stored.
_CONTENT: dict[str, dict[str, Any]] = {
    "message": {
        "type": "message",
        "sender": "",
        "recipients": [],
        "text": "",
        "urls": [],
        "date": "",
        "concat_id": "",
        "concat_part": 1,
        "members": [],
    },
    "consent": {"type": "", "sender": "", "recipients": []},
}


def content(stored: Mapping[str, Any]) -> list[Any]:
    """What a stored message or consent says, as JSON that is the same for every version that reads it.

    So it names its fields, and says itself what stands for those that `to_json` leaves out: what is new in
    a later version, or has another default there, makes no other event.
    """
    kind = stored["kind"]
    return [kind, *(stored.get(name) or nothing for name, nothing in _CONTENT[kind].items())]
