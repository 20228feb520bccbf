"""What each process asks itself before it works; a wrong answer is one sentence, not a trace."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages

logger = logging.getLogger(__name__)


@contextmanager
def in_words() -> Iterator[None]:
    """Ends the process with a sentence if the settings are wrong."""
    try:
        yield
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")


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


def _require_bucket() -> None:
    try:
        problem = storages["default"].problem()  # type: ignore[attr-defined]
    except OSError as error:
        logger.warning("The bucket for media is not checked. %s", error.strerror)
    else:
        if problem:
            raise ImproperlyConfigured(f"Media cannot be stored. {problem}")
