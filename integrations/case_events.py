"""Events and outcomes as cases write them: of events the type, and the variables that the template bound."""

from __future__ import annotations

from typing import Any

from integrations.events import InboundMessage, Outcome, StatusUpdate
from integrations.language.dates import iso_text, parse_iso
from integrations.language.values import Number, Value, text
from integrations.received import Received
from integrations.senders import sender


def shown_events(received: Received, country: str | None = None) -> list[dict[str, Any]]:
    """Each event with its variables: `from` as it is read with the country, and `status` as we call it."""
    found = []
    for (kind, bound), event in zip(received.bindings, received.events, strict=True):
        shown: dict[str, Any] = {"type": kind, **bound}
        if "from" in shown:
            shown["from"] = sender(text(shown["from"]), country)
        if kind == "messageStatus":
            shown["status"] = event.status if isinstance(event, StatusUpdate) else "ignore"
        if "date" in shown:
            date = parse_iso(text(shown["date"]))
            shown["date"] = iso_text(date) if date else None
        if isinstance(event, InboundMessage) and event.concat_id:
            shown["concat"] = {"id": event.concat_id, "part": event.concat_part, "count": event.concat_count}
        found.append({name: _spelled(value) for name, value in shown.items() if value is not None})
    return found


def _spelled(value: Value) -> Value:
    """Numbers as texts: whether a provider writes an id as a number makes no difference."""
    return str(value) if isinstance(value, Number) else value


def shown_outcome(outcome: Outcome) -> dict[str, str]:
    """An outcome as cases write it."""
    found = {"result": outcome.result, "messageid": outcome.messageid, "code": outcome.code}
    if outcome.result != "sent":
        found["text"] = outcome.text
    return {key: value for key, value in found.items() if value}
