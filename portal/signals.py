"""Signals that the other applications connect to."""

from django.dispatch import Signal

# Sent after the database has been migrated and before anything is served, to update built-in data.
installing = Signal()

# Sent within the transaction in which `user` has got the role of an `invitation`, before it is deleted.
invitation_accepted = Signal()

# Sent within a transaction when `inviter` invites the people of `lines` (`portal.people.invite_many.Line`) by
# mail, for which a request has no time. The receiver does it later; it returns the URL of a page about it.
inviting_many = Signal()

# Sent when a backup has been put in the place of the database, before anybody else sees it: `made_at` is its
# time, `send_queued` whether what waited then may go out. Receivers return a sentence for the operator.
restoring = Signal()
