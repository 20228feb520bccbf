"""Webhooks that are refused: counted, and logged once a minute for each reason."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from portal import metrics, process

logger = logging.getLogger(__name__)

SECONDS = 60.0


class _Refusals:
    """How many this process has refused for each reason, and when that was last logged."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.logged_at: dict[str, float] = {}


def count(reason: str, latest: str) -> None:
    """Counts a refusal; `latest` tells the reader of the log which request it was."""
    metrics.WEBHOOKS_REFUSED.labels(reason).inc()
    refusals, now = process.get(_Refusals), time.monotonic()
    with refusals.lock:
        refusals.counts[reason] += 1
        number = refusals.counts[reason]
        if now - refusals.logged_at.get(reason, -SECONDS) < SECONDS:
            return
        refusals.logged_at[reason] = now
    logger.warning("Webhooks refused, %s: %d since the start, the latest %s.", reason, number, latest)
