"""Delivery reports of which it was not known whose they are: who sent the message must vouch for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set

from integrations.events import StatusUpdate
from integrations.models import Integration
from integrations.received import Hints
from messaging.models import WebhookEvent, WebhookRequest
from messaging.webhooks.readings import FirstReading, Readings


def vouching(
    said: Sequence[tuple[WebhookEvent, StatusUpdate]], asked: Mapping[int, Set[int]]
) -> dict[int, set[int]]:
    """By event (its key): those of the integrations asked (theirs) that vouch for it.

    They do if the request came to their account's URL for their template, and their own key verifies it, as
    of the time at which it came, or their template does not ask for that. Each key reads a request once.
    """
    wanted = {key for keys in asked.values() for key in keys}
    integrations = {item.pk: item for item in Integration.objects.ready().filter(pk__in=wanted)}
    requests = WebhookRequest.objects.select_related("account", "organization", "template").in_bulk(
        {event.request_id for event, _ in said if asked.get(event.pk)}
    )
    events: dict[int, list[tuple[WebhookEvent, StatusUpdate]]] = defaultdict(list)
    for event, what in said:
        if event.request_id in requests:
            events[event.request_id].append((event, what))
    found: dict[int, set[int]] = defaultdict(set)
    for pk, request in requests.items():
        keys = {key for event, _ in events[pk] for key in asked.get(event.pk, ())}
        able = [integrations[key] for key in sorted(keys & integrations.keys())]
        able = [item for item in able if _in_reach(request, item)]
        sure = {item.pk for item in able if not item.compiled.webhook.verified}
        proven = _proven(request, [item for item in able if item.pk not in sure])
        for event, what in events[pk]:
            ids = what.messageid, what.message_uuid
            vouches = sure | {key for key, said_ids in proven.items() if ids in said_ids}
            found[event.pk] = vouches & set(asked.get(event.pk, ()))
    return found


def _in_reach(request: WebhookRequest, item: Integration) -> bool:
    """Whether the URL that was called is of the integration's account, or of its own organization."""
    return (
        item.template_id == request.template_id
        and item.organization.account_id == request.account_id
        and request.owner in ("", request.account.accountid, item.organization.orgid)
    )


def _proven(request: WebhookRequest, able: Sequence[Integration]) -> dict[int, set[tuple[str, str]]]:
    """By integration: the ids of the delivery reports that it reads in the request, by its own key."""
    if not able:
        return {}
    readings = Readings(request.as_received(), able, FirstReading(Hints(), {}), now=request.received_at)
    return {
        item.pk: {
            (event.messageid, event.message_uuid)
            for event in reading.received.events
            if isinstance(event, StatusUpdate)
        }
        for item in able
        if (reading := readings.verified(item)) is not None
    }
