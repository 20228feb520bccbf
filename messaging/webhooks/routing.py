"""Whose webhook is it? The URL names an account or an organization; the number or message id does the rest.

What was found is remembered for two seconds (settings.WEBHOOK_CACHE_SECONDS), since it is asked for with each
request and people seldom change it: a change may take that long to be seen here. What was not found is asked
for again each time, and so are message ids.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cachetools import TTLCache
from django.conf import settings
from django.db.models import Q, QuerySet

from integrations import properties
from integrations.models import Integration, Template
from messaging import numbers
from messaging.models import DeliveryAttempt, Number
from portal import process
from portal.models import Account, Organization

MOST = 20_000

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class _Cache:
    """What routing has found in the last seconds, by what was asked and for which key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: TTLCache[Any, Any] = TTLCache(MOST, settings.WEBHOOK_CACHE_SECONDS)

    def get(self, key: Hashable, load: Callable[[], Found | None]) -> Found | None:
        """What is cached under the key, else what `load` finds; None is not cached."""
        return self.get_many([key], lambda _: {} if (found := load()) is None else {key: found}).get(key)

    def get_many(
        self, keys: Collection[Key], load: Callable[[list[Key]], Mapping[Key, Found]]
    ) -> dict[Key, Found]:
        """What is found under the keys; `load` is called with those that are not cached, if any."""
        with self._lock:
            known = {key: found for key in keys if (found := self._found.get(key)) is not None}
        if missing := [key for key in keys if key not in known]:
            loaded = load(missing)
            with self._lock:
                self._found.update(loaded)
            known |= loaded
        return known


@dataclass(frozen=True)
class Owner:
    """What a webhook URL names: a template, and an account or one organization of it."""

    template: Template
    account: Account
    organization: Organization | None

    @property
    def integrations(self) -> list[Integration]:
        """Those of the template within reach of the URL, with all that reading a request needs."""
        organization = self.organization.pk if self.organization else None
        key = "integrations", self.template.pk, self.account.pk, organization
        return process.get(_Cache).get(key, lambda: list(self._in_reach()) or None) or []

    def integrations_of(self, organizations: Collection[int]) -> list[Integration]:
        """Those of `integrations` that belong to these organizations (keys)."""

        def load(missing: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int, int], Integration]:
            found = self._in_reach().filter(organization__in=[key for *_, key in missing])
            return {("integration", item.template_id, item.organization_id): item for item in found}

        if self.organization is not None:
            organizations = {self.organization.pk} & set(organizations)
        keys = [("integration", self.template.pk, key) for key in organizations]
        return list(process.get(_Cache).get_many(keys, load).values())

    def _in_reach(self) -> QuerySet[Integration]:
        found = Integration.objects.ready().filter(template=self.template, organization__account=self.account)
        return found if self.organization is None else found.filter(organization=self.organization)


def owner_of(service_id: str, owner_id: str) -> Owner | None:
    """What the URL names, or None; `owner_id` is an accountid or an orgid."""
    key = "owner", service_id, owner_id
    return process.get(_Cache).get(key, lambda: _owner_of(service_id, owner_id))


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
    by_key = {("values", item.pk): item for item in integrations}

    def load(missing: Iterable[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
        found = properties.values_of(by_key[key] for key in missing)
        return {("values", pk): values for pk, values in found.items()}

    return {pk: values for (_, pk), values in process.get(_Cache).get_many(by_key, load).items()}


def numbers_named(owner: Owner, recipients: Collection[str]) -> dict[str, list[Number]]:
    """Our active numbers that each recipient may mean, by E.164 or by the number's inbound spelling."""

    def load(missing: Iterable[tuple[str, int, str]]) -> dict[tuple[str, int, str], list[Number]]:
        spelled = {key: numbers.spellings(key[-1]) for key in missing}
        wanted = set().union(*spelled.values())
        found: dict[tuple[str, int, str], list[Number]] = defaultdict(list)
        candidates = Number.objects.filter(
            Q(number__in=wanted) | Q(spelling__in=wanted), account=owner.account, active=True
        ).exclude(kind=numbers.Kind.NAME)
        for number in candidates:
            for key, ways in spelled.items():
                if number.number in ways or number.spelling in ways:
                    found[key].append(number)
        return found

    keys = [("named", owner.account.pk, given) for given in recipients]
    return {given: found for (*_, given), found in process.get(_Cache).get_many(keys, load).items()}


def only_number(integration: Integration) -> str:
    """The integration's number, if it has exactly one."""

    def load() -> str | None:
        active = Number.objects.filter(integration=integration, active=True)
        found = active.values_list("number", flat=True)[:2]
        return found[0] if len(found) == 1 else None

    return process.get(_Cache).get(("only number", integration.pk), load) or ""


def organizations_of_ids(owner: Owner, messageids: Collection[str], uuids: Collection[str]) -> set[int]:
    """Keys of the organizations that sent messages with these ids, the provider's or ours."""
    asked = []
    if messageids:
        # Without the second condition SQLite does not use the index, which holds those with an id only.
        asked.append(Q(provider_id__in=messageids) & ~Q(provider_id=""))
    if uuids:
        asked.append(Q(message__uuid__in=uuids))
    found: set[int] = set()
    for condition in asked:
        attempts = DeliveryAttempt.objects.filter(
            condition, integration__template=owner.template, organization__account=owner.account
        )
        found.update(attempts.values_list("organization", flat=True).distinct()[:100])
    return found
