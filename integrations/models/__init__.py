"""How: templates in numbered revisions, the integrations of organizations, and their access tokens."""

from integrations.models.access_tokens import AccessToken
from integrations.models.calls import Poll, Subscription
from integrations.models.integrations import (
    NOT_WORKING,
    ComparedValue,
    Integration,
    PropertyValues,
    State,
    state_now,
)
from integrations.models.studio import Capture, CapturedRequest, PastedSamples, TemplateCase
from integrations.models.templates import Template, TemplateRevision, webhook_url

__all__ = [
    "NOT_WORKING",
    "AccessToken",
    "Capture",
    "CapturedRequest",
    "ComparedValue",
    "Integration",
    "PastedSamples",
    "Poll",
    "PropertyValues",
    "State",
    "Subscription",
    "Template",
    "TemplateCase",
    "TemplateRevision",
    "state_now",
    "webhook_url",
]
