"""The admin pages of messaging: contacts, numbers, messages, monitoring, event receivers, and more."""

from messaging.admin import (
    attempts,
    contacts,
    erasures,
    health,
    messages,
    numbers,
    opt_outs,
    receivers,
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
    "receivers",
    "transfers",
    "webhooks",
]
