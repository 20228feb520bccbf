"""What a trial shows: each step with its time, its request or answer as text, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from django.utils.translation import gettext as _

from integrations import as_text, in_words
from integrations.events import Fault, HttpResponse, Outcome
from integrations.redact import Redactor

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
