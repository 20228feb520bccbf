"""What a template understands of a captured request, in the words of people who do not know templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import case_http, webhooks
from integrations.events import Consent, Event, InboundMessage, InboundRequest, StatusUpdate
from integrations.language.document import Template as Compiled
from integrations.language.values import dump, load, text, well_formed
from integrations.models import CapturedRequest
from integrations.received import Accepted, Probe, Received
from integrations.studio.preview.receiving import STATUSES

# A page shows twenty of them, to anybody who has its link.
WORK = webhooks.MAX_WORK // 4
SHOWN_BODY = 20_000  # characters
KINDS = {
    "message": gettext_lazy("message"),
    "mms": gettext_lazy("message with files"),
    "messageSent": gettext_lazy("delivery report: sent"),
    "messageDelivered": gettext_lazy("delivery report: delivered"),
    "messageRead": gettext_lazy("delivery report: read"),
    "messageFailed": gettext_lazy("delivery report: failed"),
    "messageStatus": gettext_lazy("delivery report"),
    "optOut": gettext_lazy("opt-out"),
    "optIn": gettext_lazy("opt-in"),
    "ignore": gettext_lazy("known, without effect"),
}


@dataclass(frozen=True)
class Said:
    """One thing that a request says: a sentence, and its values with their names."""

    sentence: str
    facts: list[tuple[str, str]]


@dataclass(frozen=True)
class Understood:
    """A captured request as people read it, what was understood, or else why nothing was.

    `tried` has a name for each event of the template that does not match, and the reason.
    """

    row: CapturedRequest
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    body: str
    cut: bool
    said: list[Said]
    reason: str
    tried: list[tuple[str, str]]

    @property
    def tone(self) -> str:
        """How its result is coloured."""
        return "good" if self.said else "bad" if self.tried or self.reason else "plain"


def understood(compiled: Compiled | None, row: CapturedRequest) -> Understood:
    """What the document understands of a request; signatures and keys are not checked."""
    request = case_http.inbound(row.request)
    body = _body(request)
    said: list[Said] = []
    reason, tried = "", []
    if compiled is not None:
        received = webhooks.unproven(compiled, request, work=WORK)
        said = [_said(event) for event in received.events]
        if not said:
            reason = _reason(compiled, received)
            tried = list(_tried(compiled, received))
        elif isinstance(received, Accepted) and received.unfit:
            tried = [(_("Part %(place)s") % {"place": place}, why) for place, why in received.unfit]
    return Understood(
        row,
        [
            (well_formed(name), well_formed(value))
            for name, value in parse_qsl(well_formed(request.query), keep_blank_values=True)
        ],
        sorted((name, well_formed(value)) for name, value in request.headers.items() if value),
        well_formed(body[:SHOWN_BODY]),
        len(body) > SHOWN_BODY,
        said,
        reason,
        tried,
    )


def _said(event: Event) -> Said:
    if isinstance(event, InboundMessage):
        sentence = _("A message with files.") if event.urls else _("A text message.")
        return Said(sentence, _facts(_message(event)))
    if isinstance(event, StatusUpdate):
        status = {"status": STATUSES.get(event.status, event.status)}
        return Said(_("A delivery report: %(status)s.") % status, _facts(_report(event)))
    if isinstance(event, Consent):
        sentence = (
            _("The contact wants no more messages.")
            if event.type == "optOut"
            else _("The contact wants messages again.")
        )
        people = {_("from"): event.sender, _("to"): ", ".join(event.recipients)}
        return Said(sentence, _facts(people))
    return Said(_("An event that is known, and has no effect."), [])


def _message(event: InboundMessage) -> dict[str, str]:
    part = {"part": event.concat_part, "count": event.concat_count}
    return {
        _("from"): event.sender,
        _("name"): event.sender_name,
        _("to"): ", ".join(event.recipients),
        _("text"): event.text,
        _("files"): "\n".join(event.urls),
        _("part"): _("%(part)d of %(count)d") % part if event.concat_count > 1 else "",
        _("id"): event.messageid,
        _("date"): event.date.isoformat(" ", "seconds") if event.date else "",
    }


def _report(event: StatusUpdate) -> dict[str, str]:
    return {
        _("id of the message"): event.messageid,
        _("our id of the message"): event.message_uuid,
        _("code"): event.code,
        _("reason"): event.text,
        _("date"): event.date.isoformat(" ", "seconds") if event.date else "",
    }


def _facts(values: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, well_formed(value)) for name, value in values.items() if value]


def _reason(compiled: Compiled, received: Received) -> str:
    if isinstance(received, Probe):
        return _("The request has neither a query nor a body: it says nothing.")
    if not compiled.webhook.events:
        return _("No webhook events are described yet.")
    if received.verdict == "unparsable":
        return received.reason
    return _("It is none of the events that are described.")


def _tried(compiled: Compiled, received: Received) -> Iterator[tuple[str, str]]:
    """The events that do not match, by number and kind, without their places in the document."""
    numbers = {event.pointer: (index, event) for index, event in enumerate(compiled.webhook.events, 1)}
    for pointer, reason in received.tried:
        index, event = numbers[pointer]
        name = {"number": index, "kind": KINDS.get(event.type, event.type)}
        yield _("Event %(number)d (%(kind)s)") % name, re.sub(rf"{re.escape(pointer)}/(?:\w+/)?", "", reason)


def _body(request: InboundRequest) -> str:
    """The body as it is read best: JSON and forms line by line."""
    if not request.body:
        return ""
    shown = case_http.shown_body(request.body, request.headers.get("content-type", ""))
    if isinstance(form := shown.get("form"), dict):
        return "\n".join(f"{name} = {text(value)}" for name, value in form.items())
    if "multipart" in shown:
        return "\n".join(map(_part, shown["multipart"]))
    source = request.body.decode("utf-8", "replace")
    if "base64" in shown and b"\0" in request.body:
        return _("%(count)d bytes that are not text") % {"count": len(request.body)}
    try:
        return json.dumps(json.loads(dump(load(source))), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return source


def _part(part: dict[str, Any]) -> str:
    if "filename" not in part:
        return f"{part['name']} = {part['text']}"
    size = len(part["base64"]) * 3 // 4
    about = {"name": part["name"], "file": part["filename"], "type": part["content_type"], "size": size}
    return _("%(name)s: the file %(file)s (%(type)s, %(size)d bytes)") % about
