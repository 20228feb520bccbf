"""What each process asks itself before it works; a wrong answer is one sentence, not a trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured


@contextmanager
def in_words() -> Iterator[None]:
    """Ends the process with a sentence if the settings are wrong."""
    try:
        yield
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")


def check() -> None:
    """Raises ImproperlyConfigured if this process has not the keys of the database.

    A database that does not answer is no reason not to start: the process waits for it.
    """
    from portal import checks, keys

    for problem in checks.encryption_keys(None):
        raise ImproperlyConfigured(f"{problem.msg} {problem.hint}")
    keys.require()
