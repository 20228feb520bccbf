"""A messaging provider for trying things out: it simulates any catalogue entry, and has a phone."""

from integrations.sandbox.api_requests import ACCESS_TOKEN
from integrations.sandbox.server import Mode, Sandbox
from integrations.sandbox.web import ReceivedRequest

__all__ = ["ACCESS_TOKEN", "Mode", "ReceivedRequest", "Sandbox"]
