"""A round trip through a simulated provider: in this process, without the network, and without the database.

The provider is the sandbox's, made of the very document that is tried, and of its cases. All times are
simulated: they are what a provider might need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from uuid import uuid4

from django.utils.translation import gettext as _

from integrations import as_text, responses, token_requests
from integrations.case_exchanges import message_of
from integrations.events import Fault, HttpResponse, InboundRequest, Outcome, RenderedRequest
from integrations.http import faults
from integrations.language import phones
from integrations.language.api_methods import LOGIN, RECEIVE_MESSAGES, SEND_MESSAGE
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.values import Value, text
from integrations.polled import as_request
from integrations.properties import ACCESS_TOKEN
from integrations.redact import Redactor
from integrations.rendering import fresh
from integrations.requests import Part, build, plan
from integrations.sandbox import ACCESS_TOKEN as SANDBOX_TOKEN
from integrations.sandbox.inbox import Inbox
from integrations.sandbox.provider import AcceptedMessage, Provider
from integrations.senders import sender
from integrations.studio.invented.messages import MESSAGE, NAME
from integrations.studio.trial.cases import entry_of
from integrations.studio.trial.trips import Bubble, Step, Trip, answered, requested, understood
from integrations.webhooks import read

Answer = Literal["ok", "429", "500", "slow", "garbage", "lost"]
Report = Literal["delivered", "failed", ""]

MOST_REQUESTS = 10
# How long things take, in simulated seconds.
ANSWERS, SLOW, ARRIVES, REPORTED, READ = 0.2, 5.0, 1.0, 2.0, 0.1
_FIXED = {"orgid": "1", "domain": "acme.example", "extension": "101", "userid": "1", "username": NAME}
_GARBAGE = HttpResponse(200, {"content-type": "text/html"}, b"<html><body><h1>It works!</h1></body></html>")


class Trial:
    """A provider that is made of a document and its cases; `webhook_url` is where it calls.

    Where a case is missing, one is invented from the document. Property values are invented, too.
    """

    def __init__(self, template: Template, cases: Sequence[Mapping[str, Value]], webhook_url: str) -> None:
        self.provider = Provider(entry_of(template, cases), "")
        self.template, self.values = self.provider.hosted.template, self.provider.hosted.values
        self.webhook_url = webhook_url
        secret = [item.label for item in template.properties if item.secret]
        self._private = [SANDBOX_TOKEN, *(text(self.values.get(label)) for label in secret)]
        self.hide = Redactor(self._private)

    @property
    def numbers(self) -> tuple[str, str]:
        """The numbers of a case, ours and the contact's, in E.164 where they are numbers."""
        cases = [case for case in self.provider.hosted.entry.cases if case.get("kind") == "send"]
        case = next(
            (case for case in cases if case.get("method", SEND_MESSAGE.name) == SEND_MESSAGE.name), {}
        )
        shown = {**MESSAGE, **message_of(case)}
        return text(shown["from"]), text(shown["to"])

    def reports(self, status: str) -> bool:
        """Whether the provider reports that a message was delivered, or has failed."""
        return self.provider.writer.reports(status)

    def receives(self, *, files: bool = False) -> bool:
        """Whether the provider passes on what is written on the phone: texts, or files."""
        url = "https://media.example.com/a.png"
        writer = self.provider.writer
        made = writer.picture("", "+1", "+2", "x", url) if files else writer.message("", "+1", "+2", "x")
        return made is not None

    def send(
        self,
        ours: str,
        contact: str,
        words: str,
        file: Mapping[str, Any] | None = None,
        *,
        answer: Answer = "ok",
        report: Report = "delivered",
    ) -> Trip:
        """What a message causes: its requests, the provider's answers, the phone, and the report.

        `file` is an element of `$media$`, with its bytes.
        """
        trip = Trip(words or _("A file"))
        try:
            self._send(trip, ours, contact, words, file, answer, report)
        except RenderError as error:
            at = trip.steps[-1].at if trip.steps else 0.0
            trip.steps.append(Step(at, "note", self.hide.text(str(error)), tone="bad"))
        trip.steps.sort(key=lambda step: step.at)
        return trip

    def reply(self, contact: str, ours: str, words: str, *, files: bool = False) -> Trip:
        """What a message from the phone causes: the provider's webhook request, and how it is read."""
        trip = Trip(words or _("A picture"), bubbles=[Bubble(words, True, contact, ours, int(files))])
        trip.steps.append(Step(0.0, "phone", _("Written on the phone"), words))
        writer = self.provider.writer
        if files:
            request = writer.picture(self.webhook_url, contact, ours, words, writer.example_url)
        else:
            request = writer.message(self.webhook_url, contact, ours, words)
        if request is None:
            title = _("The document describes no webhook request for this, so the provider sends none.")
            trip.steps.append(Step(ARRIVES, "note", title, tone="bad"))
            return trip
        try:
            self._arrived(trip, request, ARRIVES, contact)
        except RenderError as error:
            trip.steps.append(Step(ARRIVES, "note", self.hide.text(str(error)), tone="bad"))
        return trip

    # --- sending -------------------------------------------------------------------------------------------

    def _send(
        self,
        trip: Trip,
        ours: str,
        contact: str,
        words: str,
        file: Mapping[str, Any] | None,
        answer: Answer,
        report: Report,
    ) -> None:
        values = {**self.values, **self._access(trip)}
        message = {
            "from": ours,
            "to": contact,
            "text": words,
            "media": [file] if file else [],
            "message_uuid": str(uuid4()),
            "country": _country(contact),
            "webhook_url": self.webhook_url,
            **_FIXED,
            "attempt_no": 1,
        }
        uploaded: dict[int, Mapping[str, Any]] = {}
        asked = clock = trip.steps[-1].at if trip.steps else 0.0
        taken: list[AcceptedMessage] = []
        outcome: Outcome | None = None
        for part in self._parts(values, message, uploaded):
            if len(trip.steps) >= 2 * MOST_REQUESTS:
                trip.steps.append(Step(clock, "note", _("Further requests are not shown.")))
                break
            asked = clock
            trip.steps.append(requested(part, clock, self.hide))
            outcome, accepted, clock = self._exchange(part, values, answer, trip, clock)
            if accepted is not None:
                taken.append(accepted)
            if outcome.result != "sent":
                break
            if part.file is not None:
                uploaded[part.file] = outcome.bound
        if answer == "ok" and outcome is not None and outcome.result != "sent":
            title = _(
                "No case shows an answer that means success, and none could be invented. Add such a case."
            )
            trip.steps.append(Step(clock, "note", title))
        self._delivered(trip, taken, contact, asked + ARRIVES)
        if taken and report:
            self._reported(trip, report, taken[-1], asked + REPORTED, outcome)

    def _access(self, trip: Trip) -> dict[str, str]:
        """The access token, which a login obtains where there is one."""
        if self.template.grant is None:
            return {}
        if self.template.oauth is not None:
            return {ACCESS_TOKEN: SANDBOX_TOKEN}
        variables = {**fresh(), "webhook_url": self.webhook_url, **_FIXED}
        request = build(self.template, LOGIN.name, self.values, variables)
        trip.steps.append(Step(0.0, "out", _("Patchbay logs in"), as_text.request(request, self.hide)))
        response, _accepted = self.provider.respond(request, "ok")
        token = token_requests.read(self.template, self.values, variables, response, self.hide)
        shown = as_text.response(response, Redactor([*self._private, token.access_token]))
        good = bool(token.access_token)
        title = _("The provider issues a token") if good else token.problem
        trip.steps.append(Step(ANSWERS, "answer", title, shown, tone="good" if good else "bad"))
        return {ACCESS_TOKEN: token.access_token} if good else {}

    def _parts(
        self,
        values: Mapping[str, Any],
        message: Mapping[str, Any],
        uploaded: Mapping[int, Mapping[str, Any]],
    ) -> Iterator[Part]:
        """The parts, one after the other; those that need uploads are made once these are done."""
        parts = plan(self.template, values, message, uploaded)
        while parts:
            yield from parts
            parts = plan(self.template, values, message, uploaded) if parts[-1].file is not None else []

    def _exchange(
        self, part: Part, values: Mapping[str, Any], answer: Answer, trip: Trip, at: float
    ) -> tuple[Outcome, AcceptedMessage | None, float]:
        response, accepted = self.provider.respond(part.request, answer)
        received: HttpResponse | Fault = response
        seconds, limit = ANSWERS, part.request.timeout
        if response.status < 400 and answer == "garbage":
            received = _GARBAGE
        elif response.status < 400 and answer in ("slow", "lost"):
            seconds = SLOW if answer == "slow" else limit
            if seconds >= limit:
                place = _("The provider")
                received, seconds = faults.timed_out(place, limit, connected=True), limit
        outcome = responses.read(self.template, part.method, values, part.variables, received)
        trip.steps.append(answered(received, outcome, at + seconds, self.hide))
        return outcome, accepted, at + seconds

    def _delivered(self, trip: Trip, taken: Sequence[AcceptedMessage], contact: str, at: float) -> None:
        country = _country(contact)
        for item in taken:
            sent = item.sent
            to, ours = sender(sent.to, country), sender(sent.sender, country)
            count = len(sent.files) + len(sent.urls)
            trip.bubbles.append(Bubble(sent.text, False, to, ours, count))
            files = ((_("files"), str(count)),) if count else ()
            facts = ((_("to"), to), (_("from"), ours), (_("text"), sent.text), *files)
            trip.steps.append(Step(at, "phone", _("It is on the phone"), facts=facts, tone="good"))

    def _reported(
        self, trip: Trip, status: str, item: AcceptedMessage, at: float, outcome: Outcome | None
    ) -> None:
        reason = _("The phone is switched off.") if status == "failed" else ""
        request = self.provider.writer.status(
            self.webhook_url, status, item.messageid, item.sent.message_uuid, reason
        )
        if request is None:
            title = _("The document describes no such delivery report, so the provider sends none.")
            trip.steps.append(Step(at, "note", title))
            return
        known = outcome is not None and outcome.messageid == item.messageid
        self._arrived(trip, request, at, "", messageid=outcome.messageid if outcome and known else "")

    # --- receiving -----------------------------------------------------------------------------------------

    def _arrived(
        self, trip: Trip, request: InboundRequest, at: float, contact: str, messageid: str = ""
    ) -> None:
        if request.polled:
            self._polled(trip, request, at, contact)
        else:
            self._called(trip, request, at, contact, messageid)

    def _polled(self, trip: Trip, event: InboundRequest, at: float, contact: str) -> None:
        self.provider.inbox = Inbox(self.provider.hosted)  # what was asked for before is gone
        self.provider.inbox.add(event)
        values = {**self.values, **self._access(trip)}
        variables = {**fresh(), "webhook_url": self.webhook_url, **_FIXED}
        request = build(self.template, RECEIVE_MESSAGES.name, values, variables)
        title = _("Patchbay asks for new messages")
        trip.steps.append(Step(at, "out", title, as_text.request(request, self.hide)))
        response, _accepted = self.provider.respond(request, "ok")
        method = self.template.methods[RECEIVE_MESSAGES.name]
        found = read(self.template, as_request(method, response), self.values)
        title = _("The provider answers with what has arrived")
        shown = as_text.response(response, self.hide)
        trip.steps.append(Step(at + ANSWERS, "answer", title, shown))
        trip.steps.append(understood(found, at + ANSWERS + READ, _country(contact), self.hide))

    def _called(self, trip: Trip, request: InboundRequest, at: float, contact: str, messageid: str) -> None:
        rendered = RenderedRequest(request.method, request.url, request.headers, request.body)
        signed = any(scheme.get("type") not in (None, "none", "ip") for scheme in self._schemes())
        title = _("The provider calls the webhook, signed") if signed else _("The provider calls the webhook")
        trip.steps.append(Step(at, "in", title, as_text.request(rendered, self.hide)))
        found = read(self.template, request, self.values, message_uuid=str(uuid4()))
        trip.steps.append(understood(found, at + READ, _country(contact), self.hide, messageid))
        shown = as_text.response(found.answer, self.hide)
        trip.steps.append(Step(at + 2 * READ, "reply", _("Patchbay answers"), shown))

    def _schemes(self) -> list[Mapping[str, Value]]:
        events = range(len(self.template.webhook.events))
        return [scheme for event in events for scheme in self.provider.hosted.verify_of(event)]


def _country(number: str) -> str | None:
    """The country of a number; None for whatever else a case has in its place."""
    return phones.country_of(number) if re.fullmatch(r"\+[1-9][0-9]{6,14}", number) else None
