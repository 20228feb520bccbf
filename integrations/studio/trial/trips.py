"""What a trial shows: each step with its time, its request or answer as text, and what it means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from django.utils.translation import gettext as _

from integrations.events import (
    Consent,
    Event,
    Fault,
    HttpResponse,
    InboundMessage,
    Outcome,
    RenderedRequest,
    StatusUpdate,
)
from integrations.redact import Redactor
from integrations.senders import sender

Lane = Literal["out", "answer", "phone", "in", "reply", "note"]

SHOWN = 4_000  # characters of a request or an answer


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
    shown = "" if isinstance(received, Fault) else shown_response(received, hide)
    meanings: dict[str, Callable[[], str]] = {
        "sent": lambda: _("The provider has accepted it"),
        "failed": lambda: _("The provider refuses it: the message has failed"),
        "retry": lambda: _("Not accepted now: Patchbay tries again later, by itself"),
        "throttled": lambda: _("Too many requests: Patchbay slows down, and tries again by itself"),
        "opted_out": lambda: _("The contact has opted out: the message has failed"),
        "unauthorized": lambda: _("The credentials are wrong: messages wait until they are corrected"),
        "unknown": lambda: _(
            "It may have been sent or not: Patchbay does not send it twice, a person decides"
        ),
    }
    facts = [(_("message id"), outcome.messageid), (_("code"), outcome.code)]
    facts.append((_("reason"), outcome.text if outcome.result != "sent" else ""))
    if outcome.retry_after is not None:
        facts.append((_("again in"), _("%(seconds)g seconds") % {"seconds": outcome.retry_after}))
    tones: dict[str, Literal["good", "bad", "plain"]] = {
        "sent": "good",
        "retry": "plain",
        "throttled": "plain",
    }
    return Step(
        at,
        "answer",
        meanings[outcome.result](),
        shown,
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
