"""Out: claim due messages, render them, send them, and record what the provider answered."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import http
from integrations.events import Fault, HttpResponse, Outcome
from integrations.models import Integration
from integrations.prepared import PreparedIntegration
from messaging import errors
from messaging.drain import Drain
from messaging.drain import stop as stop_drains
from messaging.engine import claim, queue
from messaging.engine.jobs import Job
from messaging.engine.queue import Claim
from messaging.outbound import record, render, retry_policy
from messaging.outbound.record import Exchange
from messaging.wakeups import Task
from portal import process, tracing

logger = logging.getLogger(__name__)

# The drain waits for a rate limit that lets the next message go within PATIENCE seconds; else the sweep does.
PATIENCE, SHORTEST_WAIT = 1.0, 0.01
# With many requests in flight answers are gathered, so that a batch is worth its statements; not all of them,
# so that the next requests are in flight while those are written.
GATHER_FROM, GATHER_MOST = 16, 64
GATHER_SECONDS, GATHER_STEP = 0.03, 0.005


def drain() -> None:
    """Sends all that is due, with up to settings.SEND_SLOTS requests in flight; returns when all is done.

    One drain works in each process; another call makes that one look again.
    """
    process.get(Dispatcher).run()


def stop(seconds: float) -> None:
    """Claims no more, lets requests in flight finish within `seconds`, then ends and records the rest."""
    process.get(Dispatcher).stop(seconds)


def recover(*, everything: bool = False) -> int:
    """Ends the claims of processes that died: nobody knows whether their requests were written.

    Their messages become unknown, or wait again where the provider suppresses repeats. Returns how many.
    """
    claims = queue.abandoned(everything=everything)
    text = _("Patchbay was stopped while it was sending. The message may or may not have arrived.")
    changes = [
        retry_policy.decide(
            job.message, job.claim.fence, Outcome("unknown", text=text),
            seconds_left=job.seconds_left, idempotent=job.idempotent,
        )
        for job in render.prepare(claims)
    ]  # fmt: skip
    return len(queue.record(changes))


def expire_held() -> None:
    """Fails the messages that have expired while their integration waited for an administrator."""
    held = Integration.objects.filter(holds_messages=True).values_list("pk", flat=True)
    queue.expire(list(held), errors.expired())


class _Timer:
    """When a request began, by the clock on the wall and by one that nobody sets."""

    def __init__(self) -> None:
        self.started_at, self._began = timezone.now(), time.monotonic()

    def milliseconds(self) -> int:
        """That have passed since."""
        return round((time.monotonic() - self._began) * 1000)


class Dispatcher(Drain):
    """The dispatching of this process. What the database has not accepted yet is kept in memory here."""

    task = Task.DISPATCH_DUE

    def __init__(self) -> None:
        super().__init__()
        self._reset()

    def _reset(self) -> None:
        self.in_flight: Counter[int] = Counter()  # by integration
        self._claims: list[Claim] = []
        self._finished: list[Exchange] = []
        self._unsent: list[Job] = []  # whose files are uploaded in vain
        # Answers as they arrive; None: look at the table again. An answer to a drain that failed is dropped.
        self.answers: SimpleQueue[Exchange | None] = SimpleQueue()

    def interrupt(self) -> None:
        self.answers.put(None)

    def stop(self, seconds: float) -> None:
        """See `stop` above."""
        stop_drains()
        self.interrupt()
        if self._running.acquire(timeout=seconds):
            self._running.release()
        else:
            http.stop()
            if self._running.acquire(timeout=2):
                self._running.release()

    def work(self) -> None:
        self._reset()
        while True:
            self.look()
            try:
                wait = self._turn()
            except (OperationalError, InterfaceError) as error:
                if not (self.in_flight.total() or self._claims or self._finished or self._unsent):
                    raise
                # What is known already is written as soon as it can be, while the leases last.
                logger.warning(
                    "The database does not answer (%s); the results of requests are kept in memory.",
                    type(error).__name__,
                )
                close_old_connections()
                time.sleep(1)
                continue
            if not self.in_flight.total() and (wait is None or wait > PATIENCE):
                return
            self._finished += self.next_answers(wait)

    def _turn(self) -> float | None:
        """Records, claims and sends all that can be now; returns the seconds until rate limits allow more."""
        going_on = record.record(self._finished, stopping=self.stopped)
        for exchange in self._finished:
            self.in_flight[exchange.through.integration.pk] -= 1
        self._finished = []
        render.go_on(going_on)
        self._send([job for job in going_on if job.parts])
        self._unsent += [job for job in going_on if not job.parts]
        record.record_unsent(self._unsent)
        self._unsent = []
        self._begin()
        wait: float | None = 0
        while wait == 0 and not self.stopped:
            claimed = claim.claim(settings.SEND_SLOTS - self.in_flight.total(), self.in_flight)
            self._claims, wait = claimed.claims, claimed.wait
            self._begin(claimed.known)
        return None if self.stopped else wait

    def _begin(self, known: Mapping[int, PreparedIntegration] | None = None) -> None:
        """Sends the first request of each claimed message, or records why it has none."""
        if not self._claims:
            return
        with tracing.span("dispatch"):
            jobs = render.prepare(self._claims, known)
            tracing.note("patchbay.message_ids", [str(job.message.uuid) for job in jobs])
            record.record_unsent([job for job in jobs if not job.parts])
            self._claims = []
            self._send([job for job in jobs if job.parts])

    def _send(self, jobs: Sequence[Job]) -> None:
        """Sends the next request of each job."""
        for job in jobs:
            assert job.through is not None
            self.in_flight[job.through.integration.pk] += 1
        answers = self.answers
        http.send_all((job.requests[0], partial(self._answered, answers, job, _Timer())) for job in jobs)

    @staticmethod
    def _answered(
        answers: SimpleQueue[Exchange | None], job: Job, timer: _Timer, answer: HttpResponse | Fault
    ) -> None:
        """Called by the thread that sends."""
        assert job.through is not None
        answers.put(Exchange(job, job.through, job.parts[0], timer.started_at, timer.milliseconds(), answer))

    def next_answers(self, wait: float | None) -> list[Exchange]:
        """The requests that have finished, once one has; none after `wait` seconds, or to look again."""
        try:
            found = [self.answers.get(timeout=None if wait is None else max(wait, SHORTEST_WAIT))]
        except Empty:
            return []
        if self.in_flight.total() >= GATHER_FROM:
            until = time.monotonic() + GATHER_SECONDS
            while self.answers.qsize() < GATHER_MOST and time.monotonic() < until:
                time.sleep(GATHER_STEP)
        while True:
            try:
                found.append(self.answers.get_nowait())
            except Empty:
                return [exchange for exchange in found if exchange is not None]
