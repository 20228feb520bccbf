"""Events made from the variables that a webhook event's shapes have bound."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

from integrations.events import Consent, Event, Ignored, InboundMessage, StatusUpdate
from integrations.language.dates import parse_iso
from integrations.language.frames import BLANK, Frame
from integrations.language.values import Value, cleaned, is_empty
from integrations.language.values import text as text_of
from integrations.language.webhook_events import ALIASES, WebhookEvent

# A concatenation header counts parts in one byte (3GPP TS 23.040, 9.2.3.24.1).
MAX_PARTS = 255
# The layout of an MMS (3GPP TS 26.140), which says nothing to people.
_SMIL = re.compile(r"^data:application/smil|\.smil(?:[?#]|$)", re.I)


def put(bound: Frame, name: str, value: Value) -> None:
    """Sets a variable and its alias: `content` and `text`, `url` and `urls`."""
    bound[name] = value
    if name in ALIASES:
        single = name == "urls" and isinstance(value, list)
        bound[ALIASES[name]] = next(iter(value), None) if single else value


def put_aliases(bound: Frame) -> None:
    """Sets the aliases of bound variables, unless the shape bound these, too."""
    for name in [name for name in ALIASES if name in bound and ALIASES[name] not in bound]:
        put(bound, name, bound[name])


def text(value: Value) -> str:
    """The value as a text that can be stored."""
    found: str = cleaned(str(text_of(value)))
    return found


def _texts(value: Value) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(text(item) for item in items if not is_empty(item))


def recipients_of(bound: Frame, number_to: str) -> tuple[str, ...]:
    """The recipients of an event: bound by a shape, from `?to=` of the webhook URL, or the only number."""
    return _texts(bound.get("to")) or _texts(bound["query"].get("to")) or _texts(number_to)


def _message(event: WebhookEvent, bound: Frame, recipients: tuple[str, ...]) -> Event | str:
    given = _texts(bound.get("urls"))
    if is_empty(bound.get("from")):
        return "$from$ is missing or empty."
    if event.type == "mms" and not given:
        return "$url$ is missing or empty."
    if BLANK in bound and not given and is_empty(bound.get("text")) and is_empty(bound.get("content")):
        return str(bound[BLANK])
    urls = tuple(url for url in given if not _SMIL.search(url))
    if len(urls) < len(given):
        put(bound, "urls", list(urls))
    named = {*recipients, text(bound["from"])}
    members = tuple(each for each in dict.fromkeys(_texts(bound.get("members"))) if each not in named)
    bound["members"] = list(members) or None
    return InboundMessage(
        "mms" if event.type == "mms" and urls else "message",
        text(bound["from"]),
        recipients,
        _words(event, bound),
        urls,
        text(bound.get("messageid")).strip(),
        parse_iso(text(bound.get("date"))),
        text(bound.get("sendername")),
        *_concat(event, bound),
        media_auth=event.media_hosts is not None,
        members=members,
    )


def _words(event: WebhookEvent, bound: Frame) -> str:
    """The text; that of a part may end in half of an emoji, which is joined with the other half."""
    if _concat(event, bound)[0]:
        return str(text_of(bound.get("content"))).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text(bound.get("content"))


def _concat(event: WebhookEvent, bound: Frame) -> tuple[str, int, int]:
    """Id, part and count of a concatenated text; a text without an id is complete."""
    if event.concat is None:
        return "", 1, 1
    identifier, part, count = (text(render(bound)) for render in event.concat)
    if not (identifier and _is_small(part) and _is_small(count) and 1 <= int(part) <= int(count)):
        return "", 1, 1
    return (identifier[:200], int(part), int(count)) if int(count) > 1 else ("", 1, 1)


def _is_small(number: str) -> bool:
    return len(number) < 10 and number.isascii() and number.isdigit() and int(number) <= MAX_PARTS


def _status(event: WebhookEvent, bound: Frame, recipients: tuple[str, ...]) -> Event | str:
    status: Any = event.status if event.status_map is None else event.status_map.get(bound.get("status"))
    if status is None:
        return f"status_map has no entry for {text(bound.get('status'))[:60]!r}."
    if status == "ignore":
        return Ignored()
    messageid, ours = text(bound.get("messageid")).strip(), _uuid(bound.get("message_uuid"))
    if not messageid and not ours:
        return "$messageid$ and $message_uuid$ are missing, or $message_uuid$ is not ours."
    code, words = text(bound.get("error_code")), text(bound.get("error_text"))
    return StatusUpdate(status, messageid, ours, code, words, parse_iso(text(bound.get("date"))))


def _consent(event: WebhookEvent, bound: Frame, recipients: tuple[str, ...]) -> Event | str:
    if is_empty(bound.get("from")):
        return "$from$ is missing or empty."
    kind: Literal["optOut", "optIn"] = "optOut" if event.type == "optOut" else "optIn"
    return Consent(kind, text(bound["from"]), recipients, text(bound.get("messageid")).strip())


def _ignored(event: WebhookEvent, bound: Frame, recipients: tuple[str, ...]) -> Event | str:
    return Ignored()


# Each returns an event, or the reason why the variables do not make one.
MAKERS: dict[str, Callable[[WebhookEvent, Frame, tuple[str, ...]], Event | str]] = {
    "message": _message,
    "mms": _message,
    "messageSent": _status,
    "messageDelivered": _status,
    "messageRead": _status,
    "messageFailed": _status,
    "messageStatus": _status,
    "optOut": _consent,
    "optIn": _consent,
    "ignore": _ignored,
}


def _uuid(value: Value) -> str:
    try:
        return str(UUID(text(value)))
    except ValueError:
        return ""
