"""How: templates in numbered revisions, the integrations of organizations, and their access tokens."""

from integrations.models.access_tokens import AccessToken
from integrations.models.calls import Poll, Subscription
from integrations.models.integrations import ComparedValue, Integration, PropertyValues
from integrations.models.studio import Capture, CapturedRequest, TemplateCase
from integrations.models.templates import Template, TemplateRevision, webhook_url

__all__ = [
    "AccessToken",
    "Capture",
    "CapturedRequest",
    "ComparedValue",
    "Integration",
    "Poll",
    "PropertyValues",
    "Subscription",
    "Template",
    "TemplateCase",
    "TemplateRevision",
    "webhook_url",
]
