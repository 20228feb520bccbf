"""Sends outgoing events to their receivers, each under the same id until its receiver has accepted it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http import HTTPStatus

from django.utils.translation import gettext as _

from integrations import calls
from integrations.events import Fault, HttpRequest, HttpResponse, RenderedRequest
from integrations.origins import release
from integrations.properties import Credentials
from messaging.models import OutgoingEvent
from messaging.receivers import queue, signature
from messaging.receivers.queue import Change
from messaging.sending import Answer, Sending
from messaging.wakeups import Task
from portal import metrics, process

TIMEOUT = 15  # seconds
# In flight at a time: to one receiver, and to all, of which one that fails gets a single event.
EACH, MOST = 10, 500
# Seconds: the first wait after a failure, which is doubled by each further one, and the longest.
FIRST_WAIT, LONGEST_WAIT = 5, 3600


def drain() -> None:
    """Sends all events that are due; returns when all are answered. One drain works in each process."""
    process.get(Deliveries).run()


class Deliveries(Sending[OutgoingEvent]):
    """The sending of this process. A receiver gets its next events when it has answered the last ones."""

    task = Task.DELIVER_EVENTS

    def party(self, row: OutgoingEvent) -> int:
        return row.receiver_id

    def begin(self) -> None:
        free = (MOST - self.in_flight.total()) // EACH
        idle = [item for item in queue.ready().items() if item[0] not in self.in_flight][: max(0, free)]
        events = []
        for failing, each in ((False, EACH), (True, 1)):
            if keys := [key for key, fails in idle if fails == failing]:
                events += queue.claim(keys, each)
        self.send((event, _request(event)) for event in events)

    def settle(self, answered: Sequence[tuple[OutgoingEvent, Answer]]) -> None:
        """Records what has become of the events, and pauses receivers that fail."""
        changes = [_change(event, answer) for event, answer in answered]
        queue.record(changes)
        for (event, answer), change in zip(answered, changes, strict=True):
            if change.delivered:
                event.receiver.note_success()
            elif isinstance(answer, HttpResponse) and answer.status == HTTPStatus.GONE:
                event.receiver.switch_off(change.problem)
            else:
                failures = event.receiver.failures + 1
                event.receiver.note_failure(_wait(failures, answer), change.problem)
            result = "delivered" if change.delivered else "failed"
            metrics.EVENTS_OUT.labels(event.kind, result).inc()


def _request(event: OutgoingEvent) -> HttpRequest:
    body = event.payload.encode()
    signed = signature.headers(str(event.uuid), int(time.time()), body, event.receiver.secrets)
    headers = {"Content-Type": "application/json", **signed}
    # With no credentials of a provider in it, there is nothing to be held.
    return release(RenderedRequest("POST", event.receiver.url, headers, body, TIMEOUT), Credentials())


def _change(event: OutgoingEvent, answer: Answer) -> Change:
    if isinstance(answer, HttpResponse) and 200 <= answer.status < 300:
        return Change(event, True, None, answer.status, "")
    status = answer.status if isinstance(answer, HttpResponse) else None
    delay = _wait(event.attempts, answer)
    last = event.expires_at.timestamp() < time.time() + delay
    return Change(event, False, None if last else delay, status, _reason(answer))


def _wait(failures: int, answer: Answer) -> float:
    """The seconds until the next attempt after so many in vain, or as long as the receiver asks."""
    asked = answer.headers.get("retry-after", "") if isinstance(answer, HttpResponse) else ""
    return calls.wait(failures, FIRST_WAIT, LONGEST_WAIT, int(asked[:6]) if asked.isdecimal() else None)


def _reason(answer: Answer) -> str:
    """Why it is no success, in a sentence."""
    if isinstance(answer, Fault):
        return answer.text
    if answer.status == HTTPStatus.GONE:
        return _("It answered 410 (Gone), by which it asks for no further events.")
    if 300 <= answer.status < 400:
        return _(
            "It answered %(status)d, which leads elsewhere. Redirects are not followed: enter its target."
        ) % {"status": answer.status}
    if answer.status in (401, 403):
        return _("It answered %(status)d. Does it check the signature with the current secret?") % {
            "status": answer.status
        }
    if answer.status == 404:
        return _("It answered 404. Is the address right?")
    return _("It answered %(status)d instead of 200.") % {"status": answer.status}
