"""A round trip through a simulated provider: in this process, without the network, and without the database.

The provider is the sandbox's, made of the very document that is tried, and of its cases. All times are
simulated: they are what a provider might need.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from uuid import uuid4

from django.utils.translation import gettext as _

from integrations import responses, token_requests
from integrations.case_exchanges import message_of
from integrations.events import (
    Consent,
    Event,
    Fault,
    HttpResponse,
    InboundMessage,
    InboundRequest,
    Outcome,
    RenderedRequest,
    StatusUpdate,
)
from integrations.http import faults
from integrations.language import phones
from integrations.language.api_methods import LOGIN, RECEIVE_MESSAGES, SEND_MESSAGE
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.values import Value, text
from integrations.polled import as_request
from integrations.properties import ACCESS_TOKEN
from integrations.received import Received
from integrations.redact import Redactor
from integrations.rendering import fresh
from integrations.requests import Part, build, plan
from integrations.sandbox import ACCESS_TOKEN as SANDBOX_TOKEN
from integrations.sandbox.provider import AcceptedMessage, Provider
from integrations.senders import sender
from integrations.studio.invented_cases import MESSAGE, entry_of
from integrations.webhooks import read

Answer = Literal["ok", "429", "500", "slow", "garbage", "lost"]
Report = Literal["delivered", "failed", ""]
Lane = Literal["out", "answer", "phone", "in", "reply", "note"]

SHOWN = 4_000  # characters of a request or an answer
MOST_REQUESTS = 10
# How long things take, in simulated seconds.
ANSWERS, SLOW, ARRIVES, REPORTED, READ = 0.2, 5.0, 1.0, 2.0, 0.1
_GARBAGE = HttpResponse(200, {"content-type": "text/html"}, b"<html><body><h1>It works!</h1></body></html>")


@dataclass(frozen=True)
class Step:
    """What happens at a time (seconds from the beginning), who does it, and what was sent, as text."""

    at: float
    lane: Lane
    title: str
    shown: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    tone: Literal["good", "bad", "plain"] = "plain"

    @property
    def time(self) -> str:
        """The time as people read it."""
        return f"{self.at:.1f} s"


@dataclass(frozen=True)
class Bubble:
    """A message on the phone; `mine` if it was written there."""

    text: str
    mine: bool
    contact: str
    number: str
    files: int = 0
    note: str = ""


@dataclass
class Trip:
    """All that one message has caused: the time line, and what the phone shows."""

    title: str
    steps: list[Step] = field(default_factory=list)
    bubbles: list[Bubble] = field(default_factory=list)
    simulated: bool = True

    def as_data(self) -> dict[str, Any]:
        """The trip as JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, stored: Mapping[str, Any]) -> Trip:
        """The trip that `as_data` wrote."""
        steps = [Step(**{**step, "facts": tuple(map(tuple, step["facts"]))}) for step in stored["steps"]]
        bubbles = [Bubble(**bubble) for bubble in stored["bubbles"]]
        return cls(stored["title"], steps, bubbles, stored["simulated"])


class Trial:
    """A provider that is made of a document and its cases; `webhook_url` is where it calls.

    Where a case is missing, one is invented from the document. Property values are invented, too.
    """

    def __init__(self, template: Template, cases: Sequence[Mapping[str, Value]], webhook_url: str) -> None:
        self.provider = Provider(entry_of(template, cases), "")
        self.template, self.values = self.provider.hosted.template, self.provider.hosted.values
        self.webhook_url = webhook_url
        private = [text(self.values.get(item.label)) for item in template.properties if item.secret]
        self.hide = Redactor([*private, SANDBOX_TOKEN])

    @property
    def numbers(self) -> tuple[str, str]:
        """The numbers of a case, ours and the contact's, in E.164 where they are numbers."""
        cases = [case for case in self.provider.hosted.entry.cases if case.get("kind") == "send"]
        case = next((case for case in cases if case.get("method", SEND_MESSAGE.name) == SEND_MESSAGE.name), {})
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
        values = {**self.values, **self._access(trip)}
        message = {
            "from": ours,
            "to": contact,
            "text": words,
            "media": [file] if file else [],
            "message_uuid": str(uuid4()),
            "country": phones.country_of(contact),
            "webhook_url": self.webhook_url,
            **{name: "1" for name in ("extension", "userid", "orgid")},
            "domain": "acme.example",
            "username": "Ann",
            "attempt_no": 1,
        }
        uploaded: dict[int, Mapping[str, Any]] = {}
        asked = clock = trip.steps[-1].at if trip.steps else 0.0
        taken: list[AcceptedMessage] = []
        outcome: Outcome | None = None
        try:
            parts = plan(self.template, values, message, uploaded)
            for part in self._all(parts, values, message, uploaded):
                if len(trip.steps) >= 2 * MOST_REQUESTS:
                    trip.steps.append(Step(clock, "note", _("Further requests are not shown.")))
                    break
                asked = clock
                trip.steps.append(self._requested(part, clock))
                outcome, accepted, clock = self._exchange(part, values, answer, trip, clock)
                if accepted is not None:
                    taken.append(accepted)
                if outcome.result != "sent":
                    break
                if part.file is not None:
                    uploaded[part.file] = outcome.bound
        except RenderError as error:
            trip.steps.append(Step(clock, "note", self.hide.text(str(error)), tone="bad"))
            return trip
        if answer == "ok" and outcome is not None and outcome.result != "sent":
            title = _("No case shows an answer that means success, and none could be invented. Add such a case.")
            trip.steps.append(Step(clock, "note", title))
        self._delivered(trip, taken, contact, asked + ARRIVES)
        if taken and report:
            self._reported(trip, report, taken[-1], asked + REPORTED, outcome)
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
        elif request.polled:
            self._polled(trip, request, contact)
        else:
            self._called(trip, request, ARRIVES, contact)
        return trip

    # --- sending -------------------------------------------------------------------------------------------

    def _access(self, trip: Trip) -> dict[str, str]:
        """The access token, which a login obtains where there is one."""
        if self.template.grant is None:
            return {}
        if self.template.oauth is not None:
            return {ACCESS_TOKEN: SANDBOX_TOKEN}
        variables = {**fresh(), "webhook_url": self.webhook_url, "orgid": "1", "domain": "acme.example"}
        request = build(self.template, LOGIN.name, self.values, variables)
        trip.steps.append(Step(0.0, "out", _("Patchbay logs in"), shown_request(request, self.hide)))
        response, _accepted = self.provider.respond(request, "ok")
        token = token_requests.read(self.template, self.values, variables, response, self.hide)
        shown = shown_response(response, Redactor([*self._private, token.access_token]))
        good = bool(token.access_token)
        title = _("The provider issues a token") if good else token.problem
        trip.steps.append(Step(ANSWERS, "answer", title, shown, tone="good" if good else "bad"))
        return {ACCESS_TOKEN: token.access_token} if good else {}

    @property
    def _private(self) -> list[str]:
        return [text(self.values.get(item.label)) for item in self.template.properties if item.secret]

    def _all(
        self,
        parts: list[Part],
        values: Mapping[str, Any],
        message: Mapping[str, Any],
        uploaded: Mapping[int, Mapping[str, Any]],
    ) -> Any:
        """The parts, one after the other; those that need uploads are made once these are done."""
        while parts:
            yield from parts
            parts = plan(self.template, values, message, uploaded) if parts[-1].file is not None else []

    def _requested(self, part: Part, at: float) -> Step:
        title = _("Patchbay sends a request")
        if part.file is not None:
            title = _("Patchbay uploads the file")
        elif part.total > 1:
            title = _("Patchbay sends request %(number)d of %(total)d")
            title %= {"number": part.number, "total": part.total}
        return Step(at, "out", title, shown_request(part.shown, self.hide))

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
        country = phones.country_of(contact)
        for item in taken:
            sent = item.sent
            to, ours = sender(sent.to, country), sender(sent.sender, country)
            count = len(sent.files) + len(sent.urls)
            trip.bubbles.append(Bubble(sent.text, False, to, ours, count))
            facts = ((_("to"), to), (_("from"), ours), (_("text"), sent.text))
            facts += ((_("files"), str(count)),) if count else ()
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
        elif request.polled:
            self._polled(trip, request, "")
        else:
            known = outcome is not None and outcome.messageid == item.messageid
            self._called(trip, request, at, "", messageid=outcome.messageid if outcome and known else "")

    # --- receiving -----------------------------------------------------------------------------------------

    def _polled(self, trip: Trip, event: InboundRequest, contact: str) -> None:
        self.provider.inbox.add(event)
        values = {**self.values, **self._access(trip)}
        at = trip.steps[-1].at + ARRIVES
        variables = {**fresh(), "webhook_url": self.webhook_url, "orgid": "1", "domain": "acme.example"}
        request = build(self.template, RECEIVE_MESSAGES.name, values, variables)
        title = _("Patchbay asks for new messages")
        trip.steps.append(Step(at, "out", title, shown_request(request, self.hide)))
        response, _accepted = self.provider.respond(request, "ok")
        method = self.template.methods[RECEIVE_MESSAGES.name]
        found = read(self.template, as_request(method, response), self.values)
        title = _("The provider answers with what has arrived")
        shown = shown_response(response, self.hide)
        trip.steps.append(Step(at + ANSWERS, "answer", title, shown))
        trip.steps.append(self._understood(found, at + ANSWERS + READ, contact))

    def _called(
        self, trip: Trip, request: InboundRequest, at: float, contact: str, messageid: str = ""
    ) -> None:
        rendered = RenderedRequest(request.method, request.url, request.headers, request.body)
        signed = any(scheme.get("type") not in (None, "none", "ip") for scheme in self._schemes())
        title = _("The provider calls the webhook, signed") if signed else _("The provider calls the webhook")
        trip.steps.append(Step(at, "in", title, shown_request(rendered, self.hide)))
        found = read(self.template, request, self.values, message_uuid=str(uuid4()))
        trip.steps.append(self._understood(found, at + READ, contact, messageid))
        shown = shown_response(found.answer, self.hide)
        trip.steps.append(Step(at + 2 * READ, "reply", _("Patchbay answers"), shown))

    def _schemes(self) -> list[Mapping[str, Value]]:
        events = range(len(self.template.webhook.events))
        return [scheme for event in events for scheme in self.provider.hosted.verify_of(event)]

    def _understood(self, found: Received, at: float, contact: str, messageid: str = "") -> Step:
        if not found.events:
            title = _("Patchbay does not understand it: %(reason)s") % {"reason": found.reason}
            return Step(at, "note", self.hide.text(title), facts=found.tried, tone="bad")
        facts = tuple(
            fact
            for (kind, _bound), event in zip(found.bindings, found.events, strict=True)
            for fact in ((_("event"), kind), *facts_of(event, phones.country_of(contact) if contact else ""))
        )
        if messageid:
            facts += ((_("is of"), _("the message that was sent")),)
        return Step(at, "note", _("What Patchbay reads"), facts=facts, tone="good")


def facts_of(event: Event, country: str) -> list[tuple[str, str]]:
    """What an event says, as pairs of a name and a text."""
    found: list[tuple[str, Any]] = []
    if isinstance(event, InboundMessage | Consent):
        found = [(_("from"), sender(event.sender, country)), (_("to"), ", ".join(event.recipients))]
    if isinstance(event, InboundMessage):
        found += [(_("text"), event.text), (_("files"), "\n".join(event.urls))]
    if isinstance(event, StatusUpdate):
        found = [(_("status"), event.status), (_("code"), event.code), (_("reason"), event.text)]
    found.append((_("message id"), getattr(event, "messageid", "")))
    return [(name, str(value)) for name, value in found if value]


def answered(received: HttpResponse | Fault, outcome: Outcome, at: float, hide: Redactor) -> Step:
    """The provider's answer, with what it means."""
    shown = received.text if isinstance(received, Fault) else shown_response(received, hide)
    meanings: dict[str, Callable[[], str]] = {
        "sent": lambda: _("The provider has accepted it"),
        "failed": lambda: _("The provider refuses it: the message has failed"),
        "retry": lambda: _("Not accepted now: Patchbay tries again later, by itself"),
        "throttled": lambda: _("Too many requests: Patchbay slows down, and tries again by itself"),
        "opted_out": lambda: _("The contact has opted out: the message has failed"),
        "unauthorized": lambda: _("The credentials are wrong: messages wait until they are corrected"),
        "unknown": lambda: _("It may have been sent or not: Patchbay does not send it twice, a person decides"),
    }
    facts = [(_("message id"), outcome.messageid), (_("code"), outcome.code)]
    facts.append((_("reason"), outcome.text if outcome.result != "sent" else ""))
    if outcome.retry_after is not None:
        facts.append((_("again in"), _("%(seconds)g seconds") % {"seconds": outcome.retry_after}))
    tones: dict[str, Literal["good", "bad", "plain"]] = {"sent": "good", "retry": "plain", "throttled": "plain"}
    return Step(
        at,
        "answer",
        meanings[outcome.result](),
        hide.text(shown),
        tuple((name, hide.text(value)[:500]) for name, value in facts if value),
        tones.get(outcome.result, "bad"),
    )


def shown_request(request: RenderedRequest, hide: Redactor) -> str:
    """A request as text, without secrets."""
    lines = [f"{request.method} {hide.text(request.url)}"]
    lines += [f"{name}: {value}" for name, value in hide.headers(request.headers).items()]
    return _cut("\n".join([*lines, *_shown_body(request.body, request.headers, hide)]))


def shown_response(response: HttpResponse, hide: Redactor) -> str:
    """An answer as text, without secrets."""
    lines = [str(response.status)]
    lines += [f"{name}: {value}" for name, value in hide.headers(response.headers).items()]
    return _cut("\n".join([*lines, *_shown_body(response.body, response.headers, hide)]))


def _shown_body(body: bytes | None, headers: Mapping[str, str], hide: Redactor) -> list[str]:
    if not body:
        return []
    shown = hide.body(body)
    try:
        return ["", json.dumps(json.loads(shown), indent=2, ensure_ascii=False)]
    except (ValueError, RecursionError):
        return ["", shown]


def _cut(shown: str) -> str:
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "…"

