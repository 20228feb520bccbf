"""What a worker process does besides its tasks: it recovers, sweeps once a second, and stops in order."""

from __future__ import annotations

import gc
import logging
import threading
import time
from pathlib import Path
from typing import Any

from celery.signals import task_postrun, task_prerun, worker_init, worker_shutting_down
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from integrations import pictures
from messaging import drain, wakeups
from messaging import tasks as tasks  # registers them
from messaging.engine import sweep as engine
from messaging.outbound import dispatch
from messaging.receivers import queue as receivers
from messaging.transfer import work as transfers
from messaging.wakeups import Task
from portal import metrics, process
from portal.celery import app

logger = logging.getLogger(__name__)


class _Sweep:
    """Whether the sweep of this process is to end, and the tasks that it runs itself."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.running: dict[Task, threading.Thread] = {}


@worker_init.connect
def begin(**_: Any) -> None:
    """Recovers what a dead process left, and starts the sweep; the broker may be away."""
    _freeze_garbage()
    process.get(_Sweep).stopped.clear()
    drain.start()
    # On SQLite this process is the only one, by the lock on its data folder. On a server the sweep recovers
    # what is left when its lease has expired.
    if not settings.DATABASE_URL and (recovered := dispatch.recover(everything=True)):
        logger.warning("%d messages were in flight when Patchbay was stopped.", recovered)
    if not settings.DATABASE_URL:
        transfers.release()
        receivers.release()
    threading.Thread(target=_sweep, name="sweep", daemon=True).start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """Claims no more, and lets what is in flight finish."""
    process.get(_Sweep).stopped.set()
    pictures.stop()
    threading.Thread(target=dispatch.stop, args=[settings.STOP_SECONDS], name="stop").start()


@task_prerun.connect
def task_begins(task: Any, task_id: str, **_: Any) -> None:
    """Names the task in the log, and notes how long its wake-up took."""
    clear_contextvars()
    bind_contextvars(task=task.name, task_id=task_id)
    if sent_at := (task.request.headers or {}).get(wakeups.SENT_AT):
        metrics.TASK_LAG_SECONDS.labels(task.name).observe(max(0.0, time.time() - sent_at))


@task_prerun.connect
@task_postrun.connect
def check_connection(**_: Any) -> None:
    """Closes the thread's connection if it is broken: Celery keeps it, and never checks it."""
    close_old_connections()


def _freeze_garbage() -> None:
    """Has the garbage collector skip what was loaded: it took a fifth of the time of a backlog."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _sweep() -> None:
    while not process.get(_Sweep).stopped.wait(settings.SWEEP_SECONDS):
        if settings.HEARTBEAT:
            Path(settings.HEARTBEAT).touch()
        try:
            sweep()
        except (OperationalError, InterfaceError) as error:
            logger.warning("The sweep could not read the database: %s.", error)
            close_old_connections()
        except Exception:
            logger.exception("The sweep failed.")


def sweep() -> None:
    """Wakes the tasks that have work, or runs them in this process while the broker is away."""
    due, abandoned = engine.due_tasks()
    if abandoned:
        dispatch.recover()
    for task in due:
        if not wakeups.wake(task):
            _run(task)


def _run(task: Task) -> None:
    """Runs a task in a thread of its own, unless it still does: one that takes long delays no other."""
    running = process.get(_Sweep).running
    if task not in running or not running[task].is_alive():
        running[task] = threading.Thread(target=_run_task, args=[task], name=task, daemon=True)
        running[task].start()


def _run_task(task: Task) -> None:
    try:
        with bound_contextvars(task=str(task)):
            app.tasks[task].run()
    except Exception as error:
        logger.warning("%s failed and is retried by the sweep: %s.", task, type(error).__name__)
    finally:
        connection.close()
