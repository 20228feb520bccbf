"""What a template makes of a webhook request: which event matches, what it says, why others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.utils.translation import gettext as _

from integrations import as_text, in_words, webhooks
from integrations.events import InboundRequest
from integrations.language.document import Template
from integrations.language.values import text
from integrations.received import Received
from integrations.redact import Redactor
from integrations.studio.invented.values import signed
from integrations.studio.preview.excerpts import part_of

MAX_ALONE = 20  # events that are tried by themselves, which takes time
Check = Literal["off", "signed", "as it is"]


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
class WebhookPreview:
    """What becomes of a webhook request: `filed` in sentences, and the answer that the provider gets."""

    received: Received
    checked: str
    filed: tuple[str, ...]
    unfit: tuple[tuple[str, str], ...]
    events: tuple[TriedEvent, ...]
    answer: str


def preview_webhook(
    template: Template,
    request: InboundRequest,
    values: Mapping[str, Any],
    hide: Redactor,
    *,
    check: Check = "signed",
    country: str | None = None,
    number: str = "",
) -> WebhookPreview:
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
    return WebhookPreview(
        received,
        checked,
        tuple(in_words.sentence(event, country) for event in received.events),
        received.unfit,
        tuple(_tried(read, request, values, received, number)),
        as_text.response(received.answer, hide),
    )


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
