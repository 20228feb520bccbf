"""What `messaging` joins in."""

from django.dispatch import Signal

# Sent with `integration_ids` once other credentials hold for them: what waits for these is tried at once.
credentials_changed = Signal()
