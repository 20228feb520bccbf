"""Work for later: one thread, however many jobs wait."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

Job = Callable[[], object]


class Scheduler:
    """Does each job once it is due, one after the other; what is still waiting at `stop` is dropped."""

    def __init__(self) -> None:
        self._jobs: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._running = True
        self._thread = threading.Thread(target=self._work, name="sandbox-scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the job it is doing, and waits for it for at most 5 seconds."""
        with self._changed:
            self._running = False
            self._jobs.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(5)

    def add(self, seconds: float, job: Job) -> None:
        """Has `job` done in `seconds` from now, or as soon after that as the jobs before it allow."""
        with self._changed:
            heapq.heappush(self._jobs, (time.monotonic() + seconds, next(self._order), job))
            self._changed.notify()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                logger.exception("A job of the sandbox failed; the next ones go on")

    def _next(self) -> Job | None:
        with self._changed:
            while self._running:
                wait = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._jobs)[2]
                self._changed.wait(wait)
        return None
