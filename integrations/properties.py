"""Property values: an organization's own values override those of its account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Q

from integrations.language.properties import Property, check_values
from integrations.models import AccessToken, Integration, PropertyValues


def values_of(integrations: Iterable[Integration]) -> dict[int, dict[str, Any]]:
    """The values that each integration uses, by its key, in one query for all integrations.

    With OAuth2, a valid `access_token` is among them, which takes one more query for all integrations.
    """
    integrations = list(integrations)
    wanted = Q(integration__in=[integration.pk for integration in integrations])
    for account_id, template_id in {
        (item.organization.account_id, item.template_id) for item in integrations
    }:
        wanted |= Q(account=account_id, template=template_id)
    own: dict[int, dict[str, Any]] = {}
    inherited: dict[tuple[int | None, int | None], dict[str, Any]] = {}
    for row in PropertyValues.objects.filter(wanted):
        if row.integration_id is not None:
            own[row.integration_id] = row.values
        else:
            inherited[row.account_id, row.template_id] = row.values
    found = {}
    for item in integrations:
        values = {
            **inherited.get((item.organization.account_id, item.template_id), {}),
            **own.get(item.pk, {}),
        }
        found[item.pk] = check_values(item.compiled.properties, values)[0]
    connected = [item.pk for item in integrations if item.compiled.oauth is not None]
    for token in AccessToken.objects.good().filter(integration__in=connected) if connected else ():
        found[token.integration_id]["access_token"] = token.secrets["access_token"]
    return found


def secrets_of(integration: Integration, values: Mapping[str, Any]) -> list[str]:
    """The values that must not be shown to anyone."""
    labels = [item.label for item in integration.compiled.properties if item.secret]
    return [str(values[label]) for label in [*labels, "access_token"] if values.get(label) not in (None, "")]


def moved_origin(
    properties: Iterable[Property], before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[str, str] | None:
    """The label and new host of the first URL property whose origin has changed.

    A stored secret must not be sent to another origin.
    """
    for item in properties:
        old, new = before.get(item.label), after.get(item.label)
        if item.type == "url" and old and new and urlsplit(str(old))[:2] != urlsplit(str(new))[:2]:
            return item.label, urlsplit(str(new)).netloc
    return None


def store(integration: Integration, values: Mapping[str, Any]) -> None:
    """Replaces the organization's own values."""
    PropertyValues.objects.update_or_create(integration=integration, defaults={"values": dict(values)})
