"""The admin pages of messaging: numbers, contacts, messages, monitoring, erasures, imports and exports."""

from messaging.admin import attempts, contacts, erasures, health, messages, numbers, transfers, webhooks

__all__ = ["attempts", "contacts", "erasures", "health", "messages", "numbers", "transfers", "webhooks"]
