"""The admin pages of messaging: contacts, numbers, messages, monitoring, erasures, imports and exports."""

from messaging.admin import (
    attempts,
    contacts,
    erasures,
    health,
    messages,
    numbers,
    opt_outs,
    transfers,
    webhooks,
)

__all__ = [
    "attempts",
    "contacts",
    "erasures",
    "health",
    "messages",
    "numbers",
    "opt_outs",
    "transfers",
    "webhooks",
]
