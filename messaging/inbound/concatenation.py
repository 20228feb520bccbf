"""Concatenation: the parts of a text that arrive one by one wait for each other and become one message."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations.events import InboundMessage, from_json
from integrations.language.values import well_formed
from messaging.engine.sweep import PART_SECONDS
from messaging.models import WebhookEvent
from messaging.statuses import EventState

Arrived = tuple[WebhookEvent, InboundMessage]
# A part, and the event that stands for the whole text.
Part = tuple[WebhookEvent, WebhookEvent]


def overdue() -> QuerySet[WebhookEvent]:
    """Parts that have waited too long for the others, and are filed without them."""
    return WebhookEvent.objects.filter(
        state=EventState.PART, created_at__lt=Now() - timedelta(seconds=PART_SECONDS)
    )


def join(arrived: Sequence[Arrived], *, late: bool = False) -> tuple[list[Arrived], list[Part]]:
    """What can be filed now, and all parts that it consists of, in the caller's transaction.

    A part waits while others are missing; one that is `late` is filed with the parts that have arrived.
    One transaction files at a time: two that hold one part each would both wait for the other.
    """
    whole = [(event, what) for event, what in arrived if not what.concat_id]
    parts = {event.pk: (event, what) for event, what in arrived if what.concat_id}
    if not parts:
        return whole, []
    for event, what in parts.values():
        event.state, event.part_of = EventState.PART, _text_of(event, what)
    waiting = WebhookEvent.objects.filter(
        state=EventState.PART, part_of__in={event.part_of for event, _ in parts.values()}
    ).exclude(pk__in=parts)
    texts: dict[str, list[list[Arrived]]] = defaultdict(list)
    arriving = [*waiting.select_related("number").order_by("pk"), *(pair[0] for pair in parts.values())]
    for event in arriving:
        said = from_json(event.payload)
        assert isinstance(said, InboundMessage)
        _place((event, said), texts[event.part_of])
    used: list[Part] = []
    for found in (each for same in texts.values() for each in same):
        complete = len({what.concat_part for _, what in found}) == found[0][1].concat_count
        if complete or (late and any(event.pk in parts for event, _ in found)):
            joined = _joined(found)
            whole.append(joined)
            used += [(event, joined[0]) for event, _ in found]
    return whole, used


def _place(part: Arrived, texts: list[list[Arrived]]) -> None:
    """Adds a part to the first text that lacks it, else to one that has the same; else it begins a text.

    A reference comes again soon: most have one byte (3GPP TS 23.040, 9.2.3.24.1).
    """
    _, said = part
    for found in texts:
        same = [what for _, what in found if what.concat_part == said.concat_part]
        if not same or (same[0].text, same[0].urls) == (said.text, said.urls):
            found.append(part)
            return
    texts.append([part])


def _joined(found: list[Arrived]) -> Arrived:
    by_part = {what.concat_part: (event, what) for event, what in reversed(found)}
    ordered = [by_part[number] for number in sorted(by_part)]
    first, said = ordered[0]
    missing = said.concat_count - len(by_part)
    for event, _what in found:
        event.state = EventState.DONE
        event.reason = (
            _("%(missing)d parts of this text never arrived.") % {"missing": missing} if missing else ""
        )
    return first, replace(
        said,
        # The two halves of an emoji may be in two parts.
        text=well_formed("".join(what.text for _, what in ordered)),
        urls=tuple(url for _, what in ordered for url in what.urls),
    )


def _text_of(event: WebhookEvent, what: InboundMessage) -> str:
    whose = [event.integration_id, event.number_id, what.sender, what.concat_id, what.concat_count]
    if len(group := {*what.recipients, *what.members}) > 1:
        whose += sorted(group)
    return hashlib.sha256("\x1f".join(map(str, whose)).encode("utf-8", "replace")).hexdigest()
