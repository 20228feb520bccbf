"""The admin pages of messaging: numbers, messages, health, delivery attempts, webhooks, and erasures."""

from messaging.admin import attempts, erasures, health, messages, numbers, webhooks

__all__ = ["attempts", "erasures", "health", "messages", "numbers", "webhooks"]
