"""What a trial shows: each step with its time, its request or answer as text, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from django.utils.translation import gettext as _

from integrations import as_text, in_words
from integrations.events import Fault, HttpResponse, Outcome
from integrations.received import Received
from integrations.redact import Redactor
from integrations.requests import Part

Lane = Literal["out", "answer", "phone", "in", "reply", "note"]


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


def requested(part: Part, at: float, hide: Redactor) -> Step:
    """A request of a message."""
    title = _("Patchbay sends a request")
    if part.file is not None:
        title = _("Patchbay uploads the file")
    elif part.total > 1:
        title = _("Patchbay sends request %(number)d of %(total)d")
        title %= {"number": part.number, "total": part.total}
    return Step(at, "out", title, as_text.request(part.shown, hide))


def answered(received: HttpResponse | Fault, outcome: Outcome, at: float, hide: Redactor) -> Step:
    """The provider's answer, with what it means."""
    text = "" if isinstance(received, Fault) else as_text.response(received, hide)
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
        in_words.outcome(outcome),
        text,
        tuple((name, hide.text(value)[:500]) for name, value in facts if value),
        tones.get(outcome.result, "bad"),
    )


def understood(found: Received, at: float, country: str | None, hide: Redactor, messageid: str = "") -> Step:
    """What is read in a webhook request, or why it is not understood; with the id of what it reports on."""
    if not found.events:
        title = _("Patchbay does not understand it: %(reason)s") % {"reason": found.reason}
        return Step(at, "note", hide.text(title), facts=found.tried, tone="bad")
    facts = tuple(
        fact
        for event in found.events
        for fact in ((_("event"), in_words.title(event)), *in_words.facts(event, country))
    )
    if messageid:
        facts += ((_("is of"), _("the message that was sent")),)
    return Step(at, "note", _("What Patchbay reads"), facts=facts, tone="good")
