"""The admin pages of messaging: numbers, messages, health, delivery attempts, and webhooks."""

from messaging.admin import attempts, health, messages, numbers, webhooks

__all__ = ["attempts", "health", "messages", "numbers", "webhooks"]
