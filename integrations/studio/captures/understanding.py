"""What a template understands of a captured request, in the words of people who do not know templates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from django.utils.translation import gettext as _

from integrations import as_text, case_http, in_words, webhooks
from integrations.events import InboundRequest
from integrations.language.document import Template as Compiled
from integrations.language.values import well_formed
from integrations.models import CapturedRequest
from integrations.received import Accepted, Probe, Received
from integrations.redact import Redactor

# A page shows twenty of them, to anybody who has its link.
WORK = webhooks.MAX_WORK // 4
ALL_READ, ALWAYS_READ = 512 * 1024, 8 * 1024  # bytes: of all bodies of a page, and one that costs nothing
SHOWN_BODY, SHOWN_UNREAD = 20_000, 2_000  # characters
_PUBLIC = Redactor(())  # captures are kept without credentials


@dataclass(frozen=True)
class Understood:
    """A captured request as people read it, what was understood, or else why nothing was.

    `events` have a sentence, and their values with their names. `tried` has a name for each event of the
    template that does not match, and the reason.
    """

    row: CapturedRequest
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    body: str
    cut: bool
    events: list[tuple[str, list[tuple[str, str]]]]
    reason: str
    tried: list[tuple[str, str]]

    @property
    def tone(self) -> str:
        """How its result is coloured."""
        return "good" if self.events else "bad" if self.tried or self.reason else "plain"


def all_understood(compiled: Compiled | None, rows: Iterable[CapturedRequest]) -> Iterator[Understood]:
    """What the document understands of each request; of many large ones, the first are read.

    Those whose encryption key is lost are left out.
    """
    left = ALL_READ
    for row in rows:
        if row.request is None:
            continue
        request = case_http.inbound(row.request)
        left -= len(request.body)
        yield understood(compiled, row, request, unread=left < 0 and len(request.body) > ALWAYS_READ)


def understood(
    compiled: Compiled | None, row: CapturedRequest, request: InboundRequest, *, unread: bool = False
) -> Understood:
    """What the document understands of a request; signatures and keys are not checked.

    One that is `unread` is only shown, as it came.
    """
    plain = request.body.decode("utf-8", "replace")
    body = plain if unread else as_text.body(request.body, request.headers, _PUBLIC)
    most = SHOWN_UNREAD if unread else SHOWN_BODY
    events: list[tuple[str, list[tuple[str, str]]]] = []
    reason, tried = "", []
    if unread:
        reason = _("There are many large requests, so this one has not been read. Preview it instead.")
    elif compiled is not None:
        received = webhooks.unproven(compiled, request, work=WORK)
        events = [(in_words.title(event), in_words.facts(event)) for event in received.events]
        if not events:
            reason = _reason(compiled, received)
            tried = list(_tried(compiled, received))
        elif isinstance(received, Accepted) and received.unfit:
            tried = [(_("Part %(place)s") % {"place": place}, why) for place, why in received.unfit]
    return Understood(
        row,
        [
            (well_formed(name), well_formed(value))
            for name, value in parse_qsl(well_formed(request.query), keep_blank_values=True)
        ],
        sorted((name, well_formed(value)) for name, value in request.headers.items() if value),
        well_formed(body[:most]),
        len(body) > most,
        events,
        reason,
        tried,
    )


def _reason(compiled: Compiled, received: Received) -> str:
    if isinstance(received, Probe):
        return _("The request has neither a query nor a body: it says nothing.")
    if not compiled.webhook.events:
        return _("No webhook events are described yet.")
    if received.verdict == "unparsable":
        return received.reason
    return _("It is none of the events that are described.")


def _tried(compiled: Compiled, received: Received) -> Iterator[tuple[str, str]]:
    """The events that do not match, by number and kind, without their places in the document."""
    numbers = {event.pointer: (index, event) for index, event in enumerate(compiled.webhook.events, 1)}
    for pointer, reason in received.tried:
        index, event = numbers[pointer]
        name = {"number": index, "kind": in_words.EVENT_TYPES.get(event.type, event.type)}
        yield _("Event %(number)d (%(kind)s)") % name, re.sub(rf"{re.escape(pointer)}/(?:\w+/)?", "", reason)
