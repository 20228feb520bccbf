"""Wake-ups: after a commit a worker is told to look at the tables. What the broker loses, the sweep finds."""

from __future__ import annotations

import logging
import time
from enum import StrEnum

from django.core.cache import caches
from django.db import transaction

from portal import process
from portal.celery import app

logger = logging.getLogger(__name__)

PENDING_SECONDS = 5
SILENT_SECONDS = 5
SENT_AT = "patchbay_sent_at"  # a header of the wake-up


class Task(StrEnum):
    """The tasks of `messaging.tasks`, which wake-ups call for; none takes arguments."""

    DISPATCH_DUE = "messaging.dispatch_due"
    FILE_EVENTS = "messaging.file_events"
    FETCH_MEDIA = "messaging.fetch_media"
    RENEW_TOKENS = "messaging.renew_tokens"
    POLL_SERVICES = "messaging.poll_services"
    RENEW_SUBSCRIPTIONS = "messaging.renew_subscriptions"
    SEND_ALERTS = "messaging.send_alerts"
    REVIEW_ALERTS = "messaging.review_alerts"
    END_SNOOZES = "messaging.end_snoozes"
    SEND_PUSHES = "messaging.send_pushes"
    DELIVER_EVENTS = "messaging.deliver_events"
    SEND_NOTICE_MAILS = "messaging.send_notice_mails"
    RESEND = "messaging.resend"
    ERASE = "messaging.erase"
    TRANSFER = "messaging.transfer"
    EXPIRE_HELD = "messaging.expire_held"
    CLEAN_UP = "messaging.clean_up"


class _Broker:
    """Until when this process leaves the broker alone, because it did not answer (by time.monotonic())."""

    def __init__(self) -> None:
        self.silent_until = 0.0


def after_commit(task: Task) -> None:
    """Wakes the task once the current transaction is committed."""
    transaction.on_commit(lambda: wake(task), robust=True)


def wake(task: Task) -> bool:
    """Whether a wake-up is on its way; never raises. At most one of each task waits in the broker.

    A broker that does not answer is asked again after five seconds.
    """
    broker = process.get(_Broker)
    if time.monotonic() < broker.silent_until:
        return False
    try:
        if caches["broker"].add(_pending(task), 1, PENDING_SECONDS):
            try:
                app.send_task(task, retry=False, headers={SENT_AT: time.time()})
            except Exception:
                caches["broker"].delete(_pending(task))  # none waits
                raise
    except Exception as error:
        broker.silent_until = time.monotonic() + SILENT_SECONDS
        logger.warning("The broker does not answer (%s); the sweep does without it.", type(error).__name__)
        return False
    return True


def broker_problem() -> str:
    """Why the broker does not answer, in a word; "" if it does."""
    try:
        caches["broker"].get("readyz")
    except Exception as error:
        return type(error).__name__
    return ""


def taken(task: Task) -> None:
    """To be called by the task before it looks: what is committed from now on needs another wake-up."""
    try:
        caches["broker"].delete(_pending(task))
    except Exception as error:
        logger.warning("The cache does not answer: %s.", type(error).__name__)


def _pending(task: Task) -> str:
    return f"{task}:pending"
