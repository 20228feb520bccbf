"""The provider's webhook requests for what happens on the phone: those of the cases, with other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from integrations import bodies, case_http
from integrations.events import Event, Ignored, InboundMessage, InboundRequest, StatusUpdate
from integrations.language.api_methods import RECEIVE_MESSAGES
from integrations.language.dates import parse_date
from integrations.language.values import Value, text
from integrations.polled import as_request
from integrations.received import Received
from integrations.sandbox.catalog_entry import HostedEntry
from integrations.sandbox.signing import sign
from integrations.sandbox.substitution import (
    Substitution,
    new_id,
    number_substitutions,
    text_substitutions,
)
from integrations.senders import sender
from integrations.webhooks import read

_OF_THE_CONNECTION = ("host", "content-length", "connection", "transfer-encoding")


@dataclass(frozen=True)
class WebhookExample:
    """A webhook request in a case, used as an example of its first event."""

    request: InboundRequest
    received: Received
    country: str

    @property
    def event(self) -> Event:
        """Its event."""
        return self.received.events[0]

    @property
    def bound(self) -> Mapping[str, Value]:
        """The variables that the template's shapes have bound in it."""
        return self.received.bindings[0][1]

    @property
    def media_url(self) -> str:
        """The URL of its first file, or ""."""
        return next(iter(self.event.urls), "") if isinstance(self.event, InboundMessage) else ""

    def others(self) -> set[str]:
        """The values of its other events, files and recipients, which a copy must not have."""
        found = {
            text(value)
            for _, bound in self.received.bindings[1:]
            for name, value in bound.items()
            if name == "messageid"
        } - {text(self.bound.get("messageid"))}
        if isinstance(self.event, InboundMessage):
            found |= {*self.event.urls[1:], *self.members}
        return found

    @property
    def members(self) -> tuple[str, ...]:
        """In a group: whom it is to besides the first of our numbers, as the provider writes them."""
        if not isinstance(self.event, InboundMessage):
            return ()
        return tuple(dict.fromkeys((*self.event.recipients[1:], *self.event.members)))

    @property
    def once(self) -> bool:
        """Whether a message to a group comes once; otherwise once for each of our numbers."""
        return isinstance(self.event, InboundMessage) and len(self.event.recipients) > 1

    def number(self, spelled: str) -> str:
        """A number of the example, in E.164."""
        return sender(spelled, self.country)


class WebhookWriter:
    """Makes the webhook requests of one entry; the provider sends only those that a case shows."""

    def __init__(self, hosted: HostedEntry) -> None:
        self._hosted = hosted
        examples = [example for case in hosted.entry.cases if (example := _example(hosted, case)) is not None]
        self._validations = [one for one in examples if isinstance(one.event, Ignored)]
        self._examples = [one for one in examples if not isinstance(one.event, Ignored)]
        # An example with one event is easier to copy, so the simplest examples come first.
        self._examples.sort(key=lambda example: (len(example.received.events), len(example.others())))

    def message(self, webhook_url: str, sender: str, to: str, content: str) -> InboundRequest | None:
        """The request for a text."""
        example = self._message("message", captioned=bool(content))
        return self._written(example, webhook_url, sender, to, [], content, "") if example else None

    def picture(
        self, webhook_url: str, sender: str, to: str, content: str, url: str
    ) -> InboundRequest | None:
        """The request for a file at `url`, with its caption."""
        example = self._message("mms", captioned=bool(content))
        return self._written(example, webhook_url, sender, to, [], content, url) if example else None

    def group(
        self, webhook_url: str, sender: str, to: Sequence[str], others: Sequence[str], content: str, url: str
    ) -> list[InboundRequest]:
        """The requests for a text, or for a file at `url` with its caption, in a group.

        It is `to` numbers of the portal, and to `others`. Nothing is sent if no case shows such a message.
        """
        example = self._message("mms" if url else "message", captioned=bool(content), group=True)
        if example is None:
            return []
        requests = []
        for one in to[:1] if example.once else to:
            rest = [*(each for each in to if each != one), *others]
            requests.append(self._written(example, webhook_url, sender, one, rest, content, url))
        return requests

    def spelled(self, number: str) -> str:
        """One of the portal's numbers as the provider writes it as recipient."""
        example = self._message("message", captioned=False)
        if example is None or not isinstance(example.event, InboundMessage) or not example.event.recipients:
            return number
        shown = example.event.recipients[0]
        return number_substitutions(example.number(shown), number).get(shown, number)

    @property
    def example_url(self) -> str:
        """The URL of a file at the provider."""
        example = self._message("mms", captioned=False)
        return example.media_url if example else ""

    def status(
        self, webhook_url: str, status: str, messageid: str, message_uuid: str, reason: str = ""
    ) -> InboundRequest | None:
        """The request that reports a message of the portal as delivered or failed."""
        example = self._report(status)
        if example is None:
            return None
        bound = example.bound
        new = {text(bound.get("messageid")): messageid, text(bound.get("message_uuid")): message_uuid}
        if reason and "error_text" in bound:
            new[text(bound["error_text"])] = reason
        return self._copy(example, webhook_url, new)

    def validation(self, webhook_url: str) -> tuple[InboundRequest, str] | None:
        """The call that makes sure of a subscriber's URL, and the text that must be answered."""
        for example in self._validations:
            if said := example.received.answer.body.decode():
                fresh = new_id(said)
                return self._copy(example, webhook_url, {said: fresh}), fresh
        return None

    def reports(self, status: str) -> bool:
        """Whether the provider reports that a message is delivered or has failed."""
        return self._report(status) is not None

    def _report(self, status: str) -> WebhookExample | None:
        found = (one for one in self._examples if isinstance(one.event, StatusUpdate))
        return next((one for one in found if one.event.status == status), None)  # type: ignore[union-attr]

    def _message(self, kind: str, *, captioned: bool, group: bool = False) -> WebhookExample | None:
        found = [
            one
            for one in self._examples
            if isinstance(one.event, InboundMessage) and one.event.type == kind and not one.event.concat_id
        ]
        if group:
            found = [one for one in found if one.members]
        found.sort(key=lambda one: captioned and isinstance(one.event, InboundMessage) and not one.event.text)
        return next(iter(found), None)

    def _written(
        self,
        example: WebhookExample,
        webhook_url: str,
        sender: str,
        to: str,
        others: Sequence[str],
        content: str,
        url: str,
    ) -> InboundRequest:
        event = example.event
        assert isinstance(event, InboundMessage)
        new: dict[str, str] = {}
        for spelled, number in ((event.sender, sender), *((one, to) for one in event.recipients[:1])):
            new |= number_substitutions(example.number(spelled), number)
        new |= {**text_substitutions(event.text, content), example.media_url: url}
        if event.messageid:
            new[event.messageid] = new_id(event.messageid)
        return self._copy(example, webhook_url, new, others)

    def _copy(
        self, example: WebhookExample, webhook_url: str, new: Mapping[str, str], others: Sequence[str] = ()
    ) -> InboundRequest:
        if cursor := example.received.cursor:
            new = {cursor: new_id(cursor), **new}
        # The first of the others in the example stands for each of those who are meant.
        each = {
            spelled: [number_substitutions(example.number(spelled), number) for number in others]
            for spelled in example.members[:1]
            if others
        }
        substitution, shown = Substitution(new, example.others() - each.keys(), each), example.request
        index = example.received.event_index or 0
        event = self._hosted.template.section(polled=shown.polled).events[index]
        kind = shown.headers.get("content-type", "")
        body, kind = substitution.body(shown.body, event.content_type or kind)
        headers = {
            name: substitution.text(value)
            for name, value in shown.headers.items()
            if name not in _OF_THE_CONNECTION
        }
        if "content-type" in headers or body:
            headers["content-type"] = (
                kind if kind.startswith("multipart/") else headers.get("content-type", kind)
            )
        if shown.polled:
            return replace(shown, headers=headers, body=body)
        query = urlencode(substitution.tree(bodies.pairs(shown.query)), doseq=True)
        url = webhook_url + (f"/{shown.path}" if shown.path else "") + (f"?{query}" if query else "")
        made = replace(shown, headers=headers, body=body, query=query, url=url, ip="127.0.0.1")
        hosted = self._hosted
        return sign(hosted.verify_of(index), shown, made, hosted.values, hosted.signing_keys)


def _example(hosted: HostedEntry, case: Mapping[str, Any]) -> WebhookExample | None:
    """A case with a message, a status or a validation call, read as the portal reads it."""
    if case.get("kind") != "receive":
        return None
    template = hosted.entry.template
    if case.get("method") == RECEIVE_MESSAGES.name:
        shown = as_request(template.methods[RECEIVE_MESSAGES.name], case_http.response(case["responses"][0]))
    else:
        shown = case_http.inbound(case["request"], text(case.get("webhook_url")))
    defaults = {item.label: item.default for item in template.properties if item.default is not None}
    received = read(
        template, shown, defaults | case.get("properties", {}), now=parse_date(text(case.get("now")))
    )
    if not received.events or not isinstance(received.events[0], InboundMessage | StatusUpdate | Ignored):
        return None
    return WebhookExample(shown, received, text(case.get("country")))
