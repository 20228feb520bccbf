"""The signals that `messaging` receives."""

from django.dispatch import Signal

# Sent with `integration_ids` when their credentials have changed: what waits for these is retried at once.
credentials_changed = Signal()

# Sent with `template` and `revision` before that is published, in the same transaction.
publishing = Signal()

# Sent with `template` when another revision has been published, in the same transaction.
published = Signal()
