"""Alerts: administrators are told once of trouble, and once that it is over."""

from messaging.alerts.review import review
from messaging.alerts.tell import send_due

__all__ = ["review", "send_due"]
