"""What a template makes of a webhook request: which event matches, what it says, why others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import webhooks
from integrations.events import Consent, Event, InboundMessage, InboundRequest, StatusUpdate
from integrations.language.document import Template
from integrations.language.values import text
from integrations.received import Received
from integrations.redact import Redactor
from integrations.senders import sender
from integrations.studio.invented.values import signed
from integrations.studio.preview.excerpts import part_of
from integrations.studio.preview.sending import shown_response

MAX_ALONE = 20  # events that are tried by themselves, which takes time
Check = Literal["off", "signed", "as it is"]
STATUSES = {
    "queued": gettext_lazy("accepted, and on its way"),
    "sent": gettext_lazy("sent"),
    "delivered": gettext_lazy("delivered"),
    "read": gettext_lazy("read"),
    "failed": gettext_lazy("failed"),
    "retrying": gettext_lazy("tried again by the provider"),
}


@dataclass(frozen=True)
class TriedEvent:
    """An event of the template: whether it matches, with what it binds, or why it does not."""

    pointer: str
    type: str
    matches: bool
    reason: str
    bound: tuple[tuple[str, str], ...]
    template: str


@dataclass(frozen=True)
class Heard:
    """What becomes of a webhook request: `filed` in sentences, and the answer that the provider gets."""

    received: Received
    checked: str
    filed: tuple[str, ...]
    unfit: tuple[tuple[str, str], ...]
    events: tuple[TriedEvent, ...]
    answer: str


def heard(
    template: Template,
    request: InboundRequest,
    values: Mapping[str, Any],
    hide: Redactor,
    *,
    check: Check = "signed",
    country: str | None = None,
    number: str = "",
) -> Heard:
    """What the template makes of a request; `check` says whether it is signed by us, or not checked at all.

    `number` is the recipient if the request names none; senders are read with the two-letter `country`.
    """
    believed = webhooks.read(template.unverified, request, values, number_to=number)
    read, checked = template, _("It is checked as it is.")
    if not any(event.verify for event in template.webhook.events):
        checked = _("The template does not verify webhooks: anybody who knows the URL can send them.")
    elif check == "off":
        read, checked = template.unverified, _("Its signature or key is not checked in this preview.")
    elif check == "signed":
        request = signed(template, request, values, believed.event_index)
        checked = _("It is signed by us with the values above, as the provider would.")
    received = webhooks.read(read, request, values, number_to=number)
    return Heard(
        received,
        checked,
        tuple(filed(event, country) for event in received.events),
        received.unfit,
        tuple(_tried(read, request, values, received, number)),
        shown_response(received.answer, hide),
    )


def filed(event: Event, country: str | None = None) -> str:
    """What an event does, in plain words."""
    if isinstance(event, InboundMessage):
        said = {
            "sender": sender(event.sender, country),
            "to": ", ".join(event.recipients) or _("the only number of the integration"),
            "text": event.text,
            "files": ", ".join(event.urls),
        }
        if event.urls and event.text:
            return _("A message from %(sender)s to %(to)s: “%(text)s”, with %(files)s") % said
        if event.urls:
            return _("A message from %(sender)s to %(to)s with %(files)s") % said
        return _("A message from %(sender)s to %(to)s: “%(text)s”") % said
    if isinstance(event, StatusUpdate):
        status = str(STATUSES.get(event.status, event.status))
        said = {"id": event.messageid or event.message_uuid, "status": status}
        why = ": ".join(filter(None, [event.code, event.text]))
        report = _("The message with the id %(id)s is %(status)s.") % said
        return f"{report} ({why})" if why else report
    if isinstance(event, Consent):
        said = {"sender": sender(event.sender, country)}
        if event.type == "optOut":
            return _("%(sender)s wants no more messages.") % said
        return _("%(sender)s wants messages again.") % said
    return _("Nothing: the template knows this event, and it has no effect.")


def _tried(
    template: Template, request: InboundRequest, values: Mapping[str, Any], received: Received, number: str
) -> Iterator[TriedEvent]:
    reasons = dict(received.tried)
    matched = _matched(template, received)
    alone = 0
    for index, event in enumerate(template.webhook.events):
        if index in matched:
            reason, bound = "", matched[index]
        else:
            bound, reason = (), reasons.get(event.pointer, "")
            if not reason and alone < MAX_ALONE:
                alone += 1
                reason = _alone(template, request, values, index, number)
        yield TriedEvent(
            event.pointer,
            event.type,
            index in matched,
            reason.removeprefix(f"{event.pointer}/"),
            bound,
            part_of(template, event.pointer),
        )


def _matched(template: Template, received: Received) -> dict[int, tuple[tuple[str, str], ...]]:
    """What each event that matches has bound; of several of one type, those that were not refused."""
    found: dict[int, tuple[tuple[str, str], ...]] = {}
    refused = {pointer for pointer, _reason in received.tried}
    for kind, bound in received.bindings:
        shown = tuple((name, text(value)) for name, value in bound.items() if value is not None)
        for index, event in enumerate(template.webhook.events):
            first = received.event_index is not None and index >= received.event_index
            if first and event.type == kind and event.pointer not in refused:
                found[index] = (*found.get(index, ()), *shown)
                break
    return found


def _alone(
    template: Template, request: InboundRequest, values: Mapping[str, Any], index: int, number: str
) -> str:
    """Why an event that was not tried does not match by itself."""
    event = template.webhook.events[index]
    alone = replace(template, webhook=replace(template.webhook, events=(event,)))
    found = webhooks.read(alone, request, values, number_to=number)
    if found.events:
        return _("It would match, too, but an event before it takes the request.")
    return next((reason for _pointer, reason in found.tried), found.reason)
