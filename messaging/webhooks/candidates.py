"""Whose keys to try, by what a request says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from integrations import webhooks
from integrations.events import InboundRequest
from integrations.models import Integration
from integrations.received import Hints
from messaging.models import Number
from messaging.webhooks import routing
from messaging.webhooks.owners import MOST_CANDIDATES, Owner


@dataclass(frozen=True)
class Candidates:
    """The integrations that a request may be for, in the order in which their keys are tried.

    `named` are our numbers by recipient, `ids` the organizations that sent messages with an id. With
    `is_sure`, it is for the only one or for nobody; with `more`, it may be for another integration.
    """

    integrations: list[Integration]
    named: Mapping[str, list[Number]] = field(default_factory=dict)
    ids: Mapping[str, set[int]] = field(default_factory=dict)
    is_sure: bool = False
    more: bool = False

    def organizations(self, named: Mapping[str, list[Number]]) -> set[int]:
        """Keys of the organizations to which numbers and ids in the request belong."""
        return {number.organization_id for found in named.values() for number in found}.union(
            *self.ids.values()
        )


def find(owner: Owner, request: InboundRequest, hints: Hints) -> Candidates:
    """By the URL, else by number, else by message id; without a hit, by property, and then any others.

    There are no others where an account has more integrations than are tried, and the request can only be for
    those that have a value which it names, such as an account id.
    """
    named = routing.numbers_named(owner, hints.recipients)
    if owner.organization is not None:
        return Candidates(owner.own, named, is_sure=True)
    ids = routing.organizations_of_ids(owner, hints.messageids, hints.message_uuids) if not named else {}
    organizations = {number.organization_id for found in named.values() for number in found}
    organizations = organizations.union(*ids.values())
    if organizations:
        located = sorted(owner.integrations_of(organizations), key=lambda item: not item.enabled)
        # Where some event has a number, and another an id, the id was not looked up.
        mixed = bool(named and (hints.messageids or hints.message_uuids))
        return Candidates(located, named, ids, is_sure=len(located) == 1 and not mixed)
    if hints.values and owner.has_many and (values := _owner_values(owner, request)):
        whose = owner.integrations_with(values)
        return Candidates(whose, named, ids, more=len(whose) > MOST_CANDIDATES)
    found = {item.pk: item for item in owner.integrations_with(hints.values)}
    found |= {item.pk: item for item in owner.some_integrations if item.pk not in found}
    return Candidates(
        list(found.values()),
        named,
        ids,
        is_sure=len(found) == 1,
        more=len(found) > MOST_CANDIDATES,
    )


def _owner_values(owner: Owner, request: InboundRequest) -> dict[str, set[str]]:
    """By property, the values of which one is needed by each document that applies; else nothing."""
    found: dict[str, set[str]] = {}
    for document in owner.documents:
        values = webhooks.owner_values(document, request)
        if not values:
            return {}
        for label, said in values.items():
            found.setdefault(label, set()).update(said)
    return found
