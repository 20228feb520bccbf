"""Whose webhook is it? The URL names an account or organization; number or message id do the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q

from integrations.models import Integration, Template
from messaging import numbers
from messaging.models import DeliveryAttempt, Number
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
        found = Integration.objects.ready().filter(template=self.template)
        if self.organization is not None:
            return list(found.filter(organization=self.organization))
        return list(found.filter(organization__account=self.account))

    def integrations_of(self, organizations: Collection[int]) -> list[Integration]:
        """Those of `integrations` that belong to these organizations (keys)."""
        found = Integration.objects.ready().filter(template=self.template, organization__in=organizations)
        if self.organization is not None:
            found = found.filter(organization=self.organization)
        return list(found.filter(organization__account=self.account))


def owner_of(service_id: str, owner_id: str) -> Owner | None:
    """What the URL names, or None; `owner_id` is an accountid or an orgid."""
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


def numbers_named(owner: Owner, recipients: Collection[str]) -> dict[str, list[Number]]:
    """Our active numbers that each recipient may mean, by E.164 or by the number's inbound spelling."""
    spelled = {given: numbers.spellings(given) for given in recipients}
    wanted = set().union(*spelled.values()) if spelled else set()
    found: dict[str, list[Number]] = defaultdict(list)
    if wanted:
        candidates = Number.objects.filter(
            Q(number__in=wanted) | Q(spelling__in=wanted), account=owner.account, active=True
        ).exclude(kind=numbers.Kind.NAME)
        for number in candidates:
            for given, ways in spelled.items():
                if number.number in ways or number.spelling in ways:
                    found[given].append(number)
    return found


def organizations_of_ids(owner: Owner, messageids: Collection[str], uuids: Collection[str]) -> set[int]:
    """Keys of the organizations that sent messages with these ids, the service's or ours, by this service."""
    if not messageids and not uuids:
        return set()
    attempts = DeliveryAttempt.objects.filter(
        Q(provider_id__in=[item for item in messageids if item]) | Q(message__uuid__in=uuids),
        integration__template=owner.template,
        organization__account=owner.account,
    )
    return set(attempts.values_list("organization", flat=True)[:100])
