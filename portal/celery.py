"""The Celery application: its tasks are wake-ups, the database is the queue."""

import os

from celery import Celery

# Before the application: Celery looks for Django when it is made.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("patchbay")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
