"""Wake-ups: after a commit a worker is told to look; what gets lost, the sweep makes good.

Dispatching and filing, which every message needs, have a bell; all else is a task that the broker brings.
"""

from __future__ import annotations

import logging
import time

from django.core.cache import caches
from django.db import transaction

from messaging import bell
from portal.celery import app

logger = logging.getLogger(__name__)

BELLS = ("dispatch", "file")
PENDING_SECONDS = 5
SILENT_SECONDS = 5

_silent_until = 0.0


def after_commit(task: str) -> None:
    """Wakes "dispatch", "file" or one of `messaging.tasks` by its short name, once this is committed."""
    transaction.on_commit(lambda: wake(task), robust=True)


def wake(task: str) -> bool:
    """Whether a wake-up is on its way; never raises. While the broker is away it is asked every 5 s."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    try:
        if task in BELLS:
            bell.of(task).ring()
        elif caches["broker"].add(f"{task}:pending", 1, PENDING_SECONDS):
            app.send_task(f"messaging.{task}", retry=False)
    except Exception as error:
        _silent_until = time.monotonic() + SILENT_SECONDS
        logger.warning("The broker does not answer (%s); the sweep goes on without it.", type(error).__name__)
        return False
    return True


def woken(task: str) -> None:
    """To be called first by the task: from now on a new row needs a new wake-up."""
    try:
        caches["broker"].delete(f"{task}:pending")
    except Exception as error:
        logger.warning("The cache does not answer: %s.", type(error).__name__)
