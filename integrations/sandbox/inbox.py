"""What a provider has for a portal that asks by itself."""

from __future__ import annotations

import threading

from integrations import case_http
from integrations.events import HttpResponse, InboundRequest
from integrations.language.api_methods import RECEIVE_MESSAGES
from integrations.sandbox.catalog_entry import HostedEntry
from integrations.webhooks import read

MOST = 1000


class Inbox:
    """Events that wait for ReceiveMessages, each an answer of its own; thread-safe.

    A cursor asks for what comes after it. Without cursors, what was answered once is gone.
    """

    def __init__(self, hosted: HostedEntry) -> None:
        self._hosted = hosted
        self._lock = threading.Lock()
        self._events: list[tuple[str, InboundRequest]] = []

    def add(self, event: InboundRequest) -> None:
        """Adds an event, written as the answer that shows it."""
        cursor = read(self._hosted.template, event, self._hosted.values).cursor
        with self._lock:
            self._events.append((cursor, event))
            del self._events[:-MOST]

    def answer(self, cursor: str) -> HttpResponse:
        """The first event after the cursor, or the answer of a case without events."""
        with self._lock:
            known = [each for each, _ in self._events]
            begin = known.index(cursor) + 1 if cursor and cursor in known else 0
            if begin == len(self._events):
                return self._nothing
            own, event = self._events[begin]
            if not own:
                del self._events[begin]
        return HttpResponse(200, event.headers, event.body)

    @property
    def _nothing(self) -> HttpResponse:
        for case in self._hosted.entry.cases:
            if case.get("method") == RECEIVE_MESSAGES.name and case.get("expect", {}).get("events") == []:
                return case_http.response(case["responses"][-1])
        return HttpResponse(204)
