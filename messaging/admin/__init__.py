"""The admin pages of messaging: contacts, numbers, messages, health, attempts, webhooks, and erasures."""

from messaging.admin import attempts, contacts, erasures, health, messages, numbers, webhooks

__all__ = ["attempts", "contacts", "erasures", "health", "messages", "numbers", "webhooks"]
