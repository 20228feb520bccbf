"""Signals that the other applications connect to."""

from django.dispatch import Signal

# Sent after the database has been migrated and before anything is served, to update built-in data.
installing = Signal()
