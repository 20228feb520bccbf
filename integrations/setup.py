"""Setting a service up for an organization: what there is, in which state, and how its values are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from integrations import logos, oauth, properties
from integrations.models import AccessToken, Integration, PropertyValues, Template
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


@dataclass(frozen=True)
class Access:
    """What OAuth2 has given: none, good, pending (asked for by itself), or lost; `by_consent` of a person."""

    state: str
    by_consent: bool
    row: AccessToken | None

    @property
    def renewed(self) -> bool:
        """Whether the next token comes without a person."""
        row = self.row
        return not self.by_consent or (row is not None and bool(row.secrets.get("refresh_token")))


def cards(organization: Organization, search: str = "") -> list[Card]:
    """The services that an organization may use, those set up first; in two queries."""
    templates = Template.objects.published_in(organization.account).select_related("published")
    if search:
        templates = templates.filter(name__icontains=search)
    own = {
        item.template_id: item
        for item in organization.integrations.select_related("revision", "access_token")
    }
    found = []
    for template in templates:
        integration = own.get(template.pk) or Integration(organization=organization, template=template)
        integration.template = template
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
        "unconnected": _("not connected yet"),
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
    before = properties.values_of([integration]) if integration.pk else {}
    integration.trouble, integration.trouble_since = "", None
    integration.save()
    properties.store(integration, values)
    _use([integration], before)


@transaction.atomic
def save_for_account(account: Account, template: Template, values: Mapping[str, Any]) -> None:
    """Stores the values that the account's organizations inherit; what was in trouble is tried afresh."""
    using = Integration.objects.ready().filter(organization__account=account, template=template, enabled=True)
    integrations = list(using)
    before = properties.values_of(integrations)
    PropertyValues.objects.update_or_create(
        account=account, template=template, defaults={"values": dict(values)}
    )
    _use(integrations, before)


def _use(integrations: Sequence[Integration], before: Mapping[int, Mapping[str, Any]]) -> None:
    """Has new credentials tried at once: by a new access token, or by what waits.

    An access token does not move along to another host: the service is connected again.
    """
    after = properties.values_of(integrations)
    for item in integrations:
        if item.compiled.oauth is not None:
            if properties.moved(item.compiled.properties, before.get(item.pk, {}), after[item.pk]):
                AccessToken.objects.filter(integration=item).delete()
            oauth.want(item)
    if integrations:
        credentials_changed.send(sender=None, integration_ids=[item.pk for item in integrations])


def access_of(integration: Integration) -> Access | None:
    """How it stands with the access, for a service that uses OAuth2."""
    how = integration.compiled.oauth
    if how is None:
        return None
    row: AccessToken | None = getattr(integration, "access_token", None) if integration.pk else None
    if row is None or (row.granted_at is None and row.renew_at is None):
        state = "none"
    elif row.is_good:
        state = "good"
    else:
        state = "pending" if row.renew_at is not None else "lost"
    return Access(state, how.flow == "authorization_code", row)


def _kind(integration: Integration) -> str:
    if not integration.pk:
        return "none"
    if not integration.enabled:
        return "off"
    access = access_of(integration)
    if access is not None and access.by_consent and access.state == "none":
        return "unconnected"
    return "trouble" if integration.trouble else "on"
