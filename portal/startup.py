"""What each process asks itself before it works; a wrong answer is one sentence, not a trace."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.db import DatabaseError, OperationalError, connection

logger = logging.getLogger(__name__)


@contextmanager
def in_words() -> Iterator[None]:
    """Ends the process with a sentence if the settings are wrong, or the database cannot be reached."""
    try:
        yield
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")
    except OperationalError as error:
        if _connects():
            raise
        why = str(error).partition("\n")[0]
        sys.exit(f"Error: The database cannot be reached ({why}). See whether it runs, and DATABASE_URL.")


def _connects() -> bool:
    try:
        connection.close()
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True


def check() -> None:
    """Raises ImproperlyConfigured if this process has not the keys of the database, or of the media's bucket.

    A database or a bucket that does not answer is no reason not to start: the process waits for it.
    """
    from portal import checks, keys

    for problem in (*checks.encryption_keys(None), *checks.media_bucket(None)):
        raise ImproperlyConfigured(f"{problem.msg} {problem.hint}")
    keys.require()
    if settings.S3_BUCKET:
        _require_bucket()


def separate_process() -> None:
    """Raises ImproperlyConfigured in a web, worker or beat process that could not work with the others."""
    if not settings.REDIS_URL:
        raise ImproperlyConfigured(
            "REDIS_URL is not set. Web, worker and beat processes wake each other through Redis; without it "
            "run everything in one process with `manage.py serve`. See docs/how-to/run-in-production.md."
        )
    if settings.METRICS_TOKEN and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        raise ImproperlyConfigured(
            "PATCHBAY_METRICS_TOKEN is set, but PROMETHEUS_MULTIPROC_DIR is not: /metrics would show the "
            "figures of one process only. See docs/how-to/watch-with-prometheus.md."
        )


def _require_bucket() -> None:
    try:
        problem = storages["default"].problem()  # type: ignore[attr-defined]
    except OSError as error:
        logger.warning("The bucket for media is not checked. %s", error.strerror)
    else:
        if problem:
            raise ImproperlyConfigured(f"Media cannot be stored. {problem}")
