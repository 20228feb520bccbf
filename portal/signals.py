"""Signals that the other applications connect to."""

from django.dispatch import Signal

# Sent after the database has been migrated and before anything is served, to update built-in data.
installing = Signal()

# Sent within the transaction in which `user` has got the role of an `invitation`, before it is deleted.
invitation_accepted = Signal()

# Sent when a backup has been put in the place of the database, before anybody else sees it: `made_at` is its
# time, `send_queued` whether what waited then may go out. Receivers return a sentence for the operator.
restoring = Signal()
