"""How: templates in numbered revisions, the integrations of organizations, and their access tokens."""

from integrations.models.access_tokens import AccessToken
from integrations.models.integrations import ComparedValue, Integration, PropertyValues
from integrations.models.templates import Template, TemplateRevision, webhook_url

__all__ = [
    "AccessToken",
    "ComparedValue",
    "Integration",
    "PropertyValues",
    "Template",
    "TemplateRevision",
    "webhook_url",
]
