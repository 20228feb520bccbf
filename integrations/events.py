"""What crosses the border between providers and conversations, in Patchbay's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

EventType = Literal["message", "mms", "status", "optOut", "optIn", "ignore"]
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
    """A webhook as it arrived: `path` is the suffix after the account, `query` is raw, header names are lower-case."""

    method: str
    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A text or picture that an external contact sent to one or more of our numbers, spelled as the provider did."""

    type: Literal["message", "mms"]
    sender: str
    recipients: tuple[str, ...]
    text: str = ""
    urls: tuple[str, ...] = ()
    messageid: str = ""
    date: datetime | None = None
    sender_name: str = ""


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What a provider says of a message sent earlier, found by its id (`messageid`) or ours (`message_uuid`)."""

    status: Status
    messageid: str = ""
    message_uuid: str = ""
    code: str = ""
    text: str = ""
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A contact's wish, told by the provider, to get no more messages (`optOut`) or to get them again (`optIn`)."""

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
    """What became of one request to a provider; `text` is a sentence for a person, `retry_after` is in seconds."""

    result: Result
    messageid: str = ""
    code: str = ""
    text: str = ""
    retry_after: float | None = None
