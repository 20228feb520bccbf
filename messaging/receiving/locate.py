"""Whose webhook is it? The URL names an account or organization; number or message id do the rest.

What people seldom change is remembered for two seconds (`memory`); message ids are always looked up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from integrations.models import Integration, Template
from integrations.properties import values_of as values_from_database
from messaging import numbers
from messaging.models import DeliveryAttempt, Number
from portal.memory import Memory
from portal.models import Account, Organization


@dataclass(frozen=True)
class Owner:
    """What a webhook URL names: a service, and an account or one organization of it."""

    template: Template
    account: Account
    organization: Organization | None

    @property
    def integrations(self) -> list[Integration]:
        """Those of the service in reach of the URL, with all that reading a request needs."""
        key = self.template.pk, self.account.pk, self.organization.pk if self.organization else None
        return _in_reach.get(key, lambda: list(self._reach())) or []

    def integrations_of(self, organizations: Collection[int]) -> list[Integration]:
        """Those of `integrations` that belong to these organizations (keys)."""

        def load(missing: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Integration]:
            wanted = [organization for _template, organization in missing]
            found = self._reach().filter(organization__in=wanted)
            return {(item.template_id, item.organization_id): item for item in found}

        if self.organization is not None:
            organizations = {self.organization.pk} & set(organizations)
        return list(_of_organization.many([(self.template.pk, key) for key in organizations], load).values())

    def _reach(self) -> Any:
        found = Integration.objects.ready().filter(template=self.template, organization__account=self.account)
        return found if self.organization is None else found.filter(organization=self.organization)


_owners: Memory[tuple[str, str], Owner] = Memory()
_in_reach: Memory[tuple[int, int, int | None], list[Integration]] = Memory(most=1000)
_of_organization: Memory[tuple[int, int], Integration] = Memory()
_values: Memory[int, dict[str, Any]] = Memory()
_named: Memory[tuple[int, str], list[Number]] = Memory()
_only: Memory[int, str] = Memory()


def owner_of(service_id: str, owner_id: str) -> Owner | None:
    """What the URL names, or None; `owner_id` is an accountid or an orgid."""
    return _owners.get((service_id, owner_id), lambda: _owner_of(service_id, owner_id))


def _owner_of(service_id: str, owner_id: str) -> Owner | None:
    organization = Organization.objects.select_related("account").filter(orgid=owner_id).first()
    if organization is not None:
        account: Account | None = organization.account
    else:
        account = Account.objects.filter(accountid=owner_id).first()
    if account is None:
        return None
    templates = Template.objects.published_in(account).select_related("published")
    template = templates.filter(service_id=service_id).first()
    return Owner(template, account, organization) if template else None


def values_of(integrations: Collection[Integration]) -> dict[int, dict[str, Any]]:
    """The property values that each integration works with, by its key."""
    by_key = {item.pk: item for item in integrations}
    return _values.many(by_key, lambda missing: values_from_database(by_key[key] for key in missing))


def numbers_named(owner: Owner, recipients: Collection[str]) -> dict[str, list[Number]]:
    """Our active numbers that each recipient may mean, by E.164 or by the number's inbound spelling."""

    def load(missing: Iterable[tuple[int, str]]) -> Mapping[tuple[int, str], list[Number]]:
        spelled = {given: numbers.spellings(given) for _account, given in missing}
        wanted = set().union(*spelled.values())
        found: dict[tuple[int, str], list[Number]] = defaultdict(list)
        candidates = Number.objects.filter(
            Q(number__in=wanted) | Q(spelling__in=wanted), account=owner.account, active=True
        ).exclude(kind=numbers.Kind.NAME)
        for number in candidates:
            for given, ways in spelled.items():
                if number.number in ways or number.spelling in ways:
                    found[owner.account.pk, given].append(number)
        return found

    found = _named.many([(owner.account.pk, given) for given in recipients], load)
    return {given: numbers_found for (_account, given), numbers_found in found.items()}


def only_number(integration: Integration) -> str:
    """The integration's number, if there is just one."""

    def load() -> str | None:
        found = Number.objects.filter(integration=integration, active=True).values_list("number", flat=True)[
            :2
        ]
        return found[0] if len(found) == 1 else None

    return _only.get(integration.pk, load) or ""


def organizations_of_ids(owner: Owner, messageids: Collection[str], uuids: Collection[str]) -> set[int]:
    """Keys of the organizations that sent messages with these ids, the service's or ours, by this service."""
    asked = []
    if messageids:
        asked.append(Q(provider_id__in=messageids))
    if uuids:
        asked.append(Q(message__uuid__in=uuids))
    found: set[int] = set()
    for condition in asked:
        attempts = DeliveryAttempt.objects.filter(
            condition, integration__template=owner.template, organization__account=owner.account
        )
        found.update(attempts.values_list("organization", flat=True).distinct()[:100])
    return found
