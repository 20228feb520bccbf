"""The Celery application. Its tasks are wake-ups; the queue itself is in the database."""

import os

from celery import Celery

# Set before the application is created, which is when Celery looks for Django.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("patchbay")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
