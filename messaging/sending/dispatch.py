"""Out: claim due messages, render them, send them through the one door, record what came of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import http
from integrations.events import Fault, HttpResponse, Outcome
from integrations.prepared import PreparedIntegration
from messaging.sending import claim, outcomes, plans, queue, results
from messaging.sending.plans import Job
from messaging.sending.queue import Claim
from messaging.sending.results import Exchange

logger = logging.getLogger(__name__)

# The drain stays for a limit that lets the next message go within so many seconds; else the sweep wakes it.
PATIENCE, SHORTEST_WAIT = 1.0, 0.01
# With many requests under way answers are gathered, so that a batch is worth its statements; not all of them,
# so that the next are on their way while those are written.
GATHER_FROM, GATHER_MOST = 16, 64
GATHER_SECONDS, GATHER_STEP = 0.03, 0.005


@dataclass
class _State:
    """Of this process: its one drain, and the answers that arrive for it (None: look at the table again)."""

    running: threading.Lock = field(default_factory=threading.Lock)
    again: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    answers: SimpleQueue[Exchange | None] = field(default_factory=SimpleQueue)


_state = _State()


def drain() -> None:
    """Sends all that is due, and returns when nothing is due nor in flight.

    One drain works in a process, with settings.SEND_SLOTS requests at once; another call makes it look again.
    """
    _state.again.set()
    while _state.again.is_set() and not _state.stopping.is_set():
        if not _state.running.acquire(blocking=False):
            _state.answers.put(None)
            return
        try:
            _Drain().run()
        finally:
            _state.running.release()


def stop(seconds: float) -> None:
    """Claims no more, gives what is in flight so many seconds to end, then cuts and records the rest."""
    _state.stopping.set()
    _state.answers.put(None)
    if _state.running.acquire(timeout=seconds):
        _state.running.release()
    else:
        http.stop()
        if _state.running.acquire(timeout=2):
            _state.running.release()


def start() -> None:
    """Lets `drain` work again after `stop`."""
    _state.stopping.clear()


def recover(*, everything: bool = False) -> int:
    """Ends the claims of processes that died: whether their requests were written nobody knows.

    They become unknown, or wait again where the service suppresses repeats. Returns how many.
    """
    claims = queue.abandoned(everything=everything)
    text = _("Patchbay was stopped while it was sending. The message may or may not have arrived.")
    changes = [
        outcomes.decide(
            job.message, job.claim.fence, Outcome("unknown", text=text),
            seconds_left=job.seconds_left, idempotent=job.idempotent,
        )
        for job in plans.prepare(claims)
    ]  # fmt: skip
    return len(queue.record(changes))


class _Moment:
    """When a request began, by the clock on the wall and by one that nobody sets."""

    def __init__(self) -> None:
        self.time, self._began = timezone.now(), time.monotonic()

    def milliseconds(self) -> int:
        """That have passed since."""
        return round((time.monotonic() - self._began) * 1000)


class _Drain:
    """From the first claim until nothing is left to do; what the database has not taken yet is kept here."""

    def __init__(self) -> None:
        self.held: Counter[int] = Counter()  # requests under way, by lane
        self.claims: list[Claim] = []
        self.finished: list[Exchange] = []
        self.answers = _state.answers = SimpleQueue()  # an answer to a drain that failed is none of ours

    def run(self) -> None:
        while True:
            _state.again.clear()
            try:
                wait = self.turn()
            except (OperationalError, InterfaceError) as error:
                if not (self.held.total() or self.claims or self.finished):
                    raise
                # What is known already is written as soon as it can be, while the leases last.
                logger.warning(
                    "The database does not answer (%s); what was sent is kept.", type(error).__name__
                )
                close_old_connections()
                time.sleep(1)
                continue
            if not self.held.total() and (wait is None or wait > PATIENCE):
                return
            self.finished += self.ended(wait)

    def turn(self) -> float | None:
        """Records, claims and sends all that can be now; returns the seconds until limits let more go."""
        self.send(results.record(self.finished, stopping=_state.stopping.is_set()))
        for exchange in self.finished:
            self.held[exchange.service.integration.pk] -= 1
        self.finished = []
        self.begin()
        wait: float | None = 0
        while wait == 0 and not _state.stopping.is_set():
            taken = claim.take(settings.SEND_SLOTS - self.held.total(), self.held)
            self.claims, wait = taken.claims, taken.wait
            self.begin(taken.known)
        return None if _state.stopping.is_set() else wait

    def begin(self, known: Mapping[int, PreparedIntegration] | None = None) -> None:
        """Sends the first request of each claim, or writes why it has none."""
        jobs = plans.prepare(self.claims, known)
        results.put_off([job for job in jobs if not job.parts])
        self.claims = []
        self.send([job for job in jobs if job.parts])

    def send(self, jobs: Sequence[Job]) -> None:
        """Sends the next request of each job."""
        for job in jobs:
            assert job.service is not None
            self.held[job.service.integration.pk] += 1
        http.send_all((job.parts[job.done].request, partial(self.answered, job, _Moment())) for job in jobs)

    def answered(self, job: Job, began: _Moment, answer: HttpResponse | Fault) -> None:
        """Called by the thread that sends."""
        assert job.service is not None
        self.answers.put(
            Exchange(job, job.service, job.parts[job.done], began.time, began.milliseconds(), answer)
        )

    def ended(self, wait: float | None) -> list[Exchange]:
        """What has ended, as soon as something has; nothing when the time is over, or to look again."""
        try:
            found = [self.answers.get(timeout=None if wait is None else max(wait, SHORTEST_WAIT))]
        except Empty:
            return []
        if self.held.total() >= GATHER_FROM:
            until = time.monotonic() + GATHER_SECONDS
            while self.answers.qsize() < GATHER_MOST and time.monotonic() < until:
                time.sleep(GATHER_STEP)
        while True:
            try:
                found.append(self.answers.get_nowait())
            except Empty:
                return [exchange for exchange in found if exchange is not None]
