"""Webhooks that are refused without a trace: counted, and told in the log once a minute of each kind."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

logger = logging.getLogger(__name__)

SECONDS = 60.0

_lock = threading.Lock()
_counts: Counter[str] = Counter()
_told_at: dict[str, float] = {}


def note(kind: str, latest: str) -> None:
    """Counts one, for this process; `latest` tells the reader of the log which."""
    now = time.monotonic()
    with _lock:
        _counts[kind] += 1
        count = _counts[kind]
        if now - _told_at.get(kind, -SECONDS) < SECONDS:
            return
        _told_at[kind] = now
    logger.warning("Webhooks refused, %s: %d since the start, the latest %s.", kind, count, latest)
