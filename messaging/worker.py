"""What a worker process does besides its tasks: it recovers, sweeps once a second, and stops in order."""

from __future__ import annotations

import gc
import logging
import threading
from typing import Any

from celery.signals import worker_init, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections

from messaging import tasks as tasks  # registers them
from messaging import wakeups
from messaging.engine import sweep as engine
from messaging.outbound import dispatch
from portal import process
from portal.celery import app

logger = logging.getLogger(__name__)


class _Sweep:
    """Whether the sweep of this process is to end."""

    def __init__(self) -> None:
        self.stopped = threading.Event()


@worker_init.connect
def begin(**_: Any) -> None:
    """Recovers what a dead process left, and starts the sweep; the broker may be away."""
    _freeze_garbage()
    process.get(_Sweep).stopped.clear()
    dispatch.start()
    # On SQLite this process is the only one, by the lock on its data folder. On a server the sweep recovers
    # what is left when its lease has expired.
    if not settings.DATABASE_URL and (recovered := dispatch.recover(everything=True)):
        logger.warning("%d messages were in flight when Patchbay was stopped.", recovered)
    threading.Thread(target=_sweep, name="sweep", daemon=True).start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """Claims no more, and lets what is in flight finish."""
    process.get(_Sweep).stopped.set()
    threading.Thread(target=dispatch.stop, args=[settings.STOP_SECONDS], name="stop").start()


def _freeze_garbage() -> None:
    """Has the garbage collector skip what was loaded: it took a fifth of the time of a backlog."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _sweep() -> None:
    while not process.get(_Sweep).stopped.wait(settings.SWEEP_SECONDS):
        try:
            sweep()
        except Exception as error:
            logger.warning("The sweep could not read the database: %s.", error)
            close_old_connections()


def sweep() -> None:
    """Wakes the tasks that have work, or runs them here while the broker is away."""
    due, abandoned = engine.due_tasks()
    if abandoned:
        dispatch.recover()
    for task in due:
        if not wakeups.wake(task):
            app.tasks[task].run()
