"""A messaging provider for trying things out: an HTTP server that speaks the generic format, and a phone."""

from integrations.sandbox.provider import Mode, Sandbox
from integrations.sandbox.web import ReceivedRequest

__all__ = ["Mode", "ReceivedRequest", "Sandbox"]
