"""The Celery application. Its tasks are wake-ups; the queue itself is in the database."""

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging

# Set before the application is created, which is when Celery looks for Django.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("patchbay")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect  # before anything is recovered
@setup_logging.connect
def begin(**_: Any) -> None:
    """Called by `celery worker` and `beat`, but not by `serve`; leaves the log to Django's settings."""
    from portal import checks

    checks.separate_process()
