"""How: templates in numbered revisions, the integrations of organizations, and their access."""

from integrations.models.access import AccessToken
from integrations.models.services import (
    Integration,
    PropertyValues,
    Template,
    TemplateRevision,
    webhook_url,
)

__all__ = ["AccessToken", "Integration", "PropertyValues", "Template", "TemplateRevision", "webhook_url"]
