"""Setting a service up for an organization: what there is, in which state, and how its values are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from integrations import logos, oauth, properties
from integrations.models import Integration, PropertyValues, Template
from integrations.signals import credentials_changed
from portal.models import Account, Organization


@dataclass(frozen=True)
class Card:
    """A service in the gallery."""

    template: Template
    logo: str
    description: str
    state: str
    kind: str


def cards(organization: Organization, search: str = "") -> list[Card]:
    """The services that an organization may use, those set up first; in two queries."""
    templates = Template.objects.published_in(organization.account).select_related("published")
    if search:
        templates = templates.filter(name__icontains=search)
    own = {item.template_id: item for item in organization.integrations.all()}
    found = []
    for template in templates:
        integration = own.get(template.pk) or Integration(organization=organization, template=template)
        assert template.published is not None
        description = template.published.compiled.description
        found.append(
            Card(template, logos.url_of(template), description, state_of(integration), _kind(integration))
        )
    return sorted(found, key=lambda card: (card.kind == "none", card.template.name.casefold()))


def state_of(integration: Integration) -> str:
    """The state in plain words."""
    words = {
        "none": _("not set up"),
        "off": _("switched off"),
        "trouble": _("in trouble: %(reason)s") % {"reason": integration.trouble},
        "on": _("switched on"),
    }
    return words[_kind(integration)]


def integration_of(organization: Organization, template: Template) -> Integration:
    """The organization's integration, or a new one that is not stored yet."""
    found = Integration.objects.ready().filter(organization=organization, template=template).first()
    return found or Integration(organization=organization, template=template)


def account_values(account: Account, template: Template) -> dict[str, Any]:
    """What is set for all organizations of the account."""
    row = PropertyValues.objects.filter(account=account, template=template).first()
    return dict(row.values) if row else {}


@transaction.atomic
def save(integration: Integration, values: Mapping[str, Any]) -> None:
    """Stores an integration with the organization's own values; what was in trouble is tried afresh."""
    integration.trouble, integration.trouble_since = "", None
    integration.save()
    properties.store(integration, values)
    _use([integration])


@transaction.atomic
def save_for_account(account: Account, template: Template, values: Mapping[str, Any]) -> None:
    """Stores the values that the account's organizations inherit; what was in trouble is tried afresh."""
    PropertyValues.objects.update_or_create(
        account=account, template=template, defaults={"values": dict(values)}
    )
    _use(Integration.objects.ready().filter(organization__account=account, template=template, enabled=True))


def _use(integrations: Iterable[Integration]) -> None:
    """Has new credentials tried at once: by a new access token, or by what waits."""
    integrations = list(integrations)
    for integration in integrations:
        if integration.compiled.oauth is not None:
            oauth.want(integration)
    if integrations:
        credentials_changed.send(sender=None, integration_ids=[item.pk for item in integrations])


def _kind(integration: Integration) -> str:
    if not integration.pk:
        return "none"
    if not integration.enabled:
        return "off"
    return "trouble" if integration.trouble else "on"
