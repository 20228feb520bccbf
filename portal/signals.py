"""What rooms further up may join in."""

from django.dispatch import Signal

# Sent when the database is migrated and nothing serves yet: built-in data is brought up to date.
installing = Signal()
