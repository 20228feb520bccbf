"""The administration of messaging: numbers, messages, webhooks, and the health of services."""

from messaging.admin import attempts, health, messages, numbers, webhooks

__all__ = ["attempts", "health", "messages", "numbers", "webhooks"]
