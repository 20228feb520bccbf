"""Runs jobs later, all in one thread."""

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
    """Runs each job when it is due, one after the other; `stop` drops those that are still waiting."""

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
        """Ends the thread after its current job, and waits for it for at most 5 seconds."""
        with self._changed:
            self._running = False
            self._jobs.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(5)

    def add(self, seconds: float, job: Job) -> None:
        """Runs `job` in `seconds` from now, or as soon after that as earlier jobs allow."""
        with self._changed:
            heapq.heappush(self._jobs, (time.monotonic() + seconds, next(self._order), job))
            self._changed.notify()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                logger.exception("A job of the sandbox failed.")

    def _next(self) -> Job | None:
        with self._changed:
            while self._running:
                wait = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._jobs)[2]
                self._changed.wait(wait)
        return None
