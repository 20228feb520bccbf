"""What a worker does beside its tasks: recovers, works at the bells, sweeps each second, stops in order."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

from celery.signals import worker_init, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections, connection
from redis import RedisError

logger = logging.getLogger(__name__)

_stopped = threading.Event()


@worker_init.connect
def begin(**_: Any) -> None:
    """Recovers what a dead process left, then waits for the bells and sweeps; the broker may be away."""
    from messaging import wake
    from messaging.sending import dispatch

    _settle_memory()
    _stopped.clear()
    dispatch.start()
    # Without a server for the database this process is the only one, by the lock on its data folder. Else the
    # sweep recovers what is left when its lease is over.
    if not settings.DATABASE_URL and (recovered := dispatch.recover(everything=True)):
        logger.warning("%d messages were in flight when Patchbay was stopped.", recovered)
    threading.Thread(target=_sweep, name="sweep", daemon=True).start()
    # Two wait for each bell: while one works, the other has it look again.
    work = _work()
    for task in 2 * wake.BELLS:
        threading.Thread(target=_listen, args=[task, work[task]], name=f"{task} bell", daemon=True).start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """Claims no more, and lets what is in flight end."""
    from messaging.sending import dispatch

    _stopped.set()
    threading.Thread(target=dispatch.stop, args=[settings.STOP_SECONDS], name="stop").start()


def _settle_memory() -> None:
    """Has the collector of garbage pass over what was loaded: in a backlog it took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _listen(task: str, work: Callable[[], object]) -> None:
    """Works whenever the bell rings; while Redis is away, the sweep does."""
    from messaging import bell

    while not _stopped.is_set():
        try:
            heard = bell.of(task).heard()
            if heard and _stopped.is_set():
                bell.of(task).ring()  # for another process
            elif heard:
                work()
        except RedisError:
            _stopped.wait(1)
        except Exception:
            logger.exception("What the bell of %s has called for failed; the sweep tries it again.", task)
        finally:
            connection.close_if_unusable_or_obsolete()


def _sweep() -> None:
    """Makes good whatever wake-ups were lost: one indexed query a second, without the broker."""
    while not _stopped.wait(settings.SWEEP_SECONDS):
        try:
            sweep()
        except Exception as error:
            logger.warning("The sweep could not look at the database: %s.", error)
            close_old_connections()


def sweep() -> None:
    """Wakes the tasks that have work, or does it here while the broker is away."""
    from integrations import oauth
    from messaging import wake
    from messaging.sending import dispatch, queue

    due = queue.due() | {"renew_tokens": oauth.any_due()}
    if due["recover"]:
        dispatch.recover()
    for task, do in _work().items():
        if due[task] and not wake.wake(task):
            do()


def _work() -> dict[str, Callable[[], object]]:
    """What each wake-up calls for."""
    from integrations import oauth
    from messaging.receiving import fetching, filing
    from messaging.sending import alerts, dispatch, resending

    return {
        "dispatch": dispatch.drain,
        "file": filing.drain,
        "fetch_media": fetching.drain,
        "renew_tokens": oauth.renew_due,
        "tell_admins": alerts.tell_due,
        "resend": resending.work_off,
    }
