"""The Celery application. Its tasks are wake-ups; the queue itself is in the database."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging
from django.conf import settings

from portal import startup

# Set before the application is created, which is when Celery looks for Django.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("patchbay")


@app.on_configure.connect
def read_settings(**_: Any) -> None:
    """Reads the settings before Celery does, which would end with a trace if one is wrong."""
    with startup.in_words():
        settings.CELERY_TIMEZONE  # noqa: B018 (whatever is read first has them all read)


@celeryd_init.connect
def check(**_: Any) -> None:
    """Ends a worker that has not what it needs, before anything is recovered."""
    with startup.in_words():
        startup.separate_process()
        startup.check()


@beat_init.connect
def check_beat(**_: Any) -> None:
    """Ends a beat that could wake nobody, or has not the keys of the others."""
    with startup.in_words():
        startup.separate_process()
        startup.check()


app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Leaves the log to Django's settings."""
