"""A number that is connected to the simulated provider."""

from __future__ import annotations

from integrations import holds
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging.models import Assignment, Number
from portal.models import Organization, User


def connected(provider: Sandbox, organization: Organization, user: User) -> Number:
    """The user's number at the provider, with the provider's document and values."""
    template = Template(account=organization.account)
    template.revise(provider.document)
    integration = Integration.objects.create(organization=organization, template=template)
    holds.enter(integration, provider.values)
    number = Number.objects.create(
        organization=organization, integration=integration, number="+61855555555", country="AU"
    )
    Assignment.objects.create(number=number, user=user)
    return number
