"""The rows that the events of a webhook request are stored in, and the keys by which they are one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from integrations.events import Consent, InboundMessage, StatusUpdate, Unfit, to_json
from integrations.language.frames import MAX_EVENTS
from integrations.models import Integration
from messaging.models import Number, WebhookEvent
from messaging.statuses import UNFIT, EventState
from messaging.webhooks.owners import Owner
from messaging.webhooks.readings import VerifiedEvent, VerifiedReading


def of_event(
    owner: Owner,
    event: InboundMessage | StatusUpdate | Consent,
    integration: Integration | None,
    number: Number | None,
    equal: Counter[str],
) -> WebhookEvent:
    """The row of an event for an integration, if it is known; `equal` counts those with the same id."""
    provider_id = event.messageid.replace("\0", "\ufffd")
    kind = "status" if isinstance(event, StatusUpdate) else event.type
    key = None
    if provider_id or isinstance(event, StatusUpdate):
        whose = integration.pk if integration else f"{owner.template.pk} of {owner.account.pk}"
        parts: list[object] = [whose, number.pk if number else "", kind, provider_id]
        if isinstance(event, StatusUpdate):
            parts += [event.status, event.message_uuid]
        else:
            parts.append(event.sender)
        if isinstance(event, InboundMessage) and event.concat_id:
            parts += [event.concat_id, event.concat_part]
        same = "\x1f".join(map(str, parts))
        key = _digest(f"{same}\x1f{equal[same]}")
        equal[same] += 1
    return WebhookEvent(
        organization_id=integration.organization_id if integration else None,
        integration_id=integration.pk if integration else None,
        number=number,
        type=kind,
        payload=to_json(event),
        provider_id=provider_id[:200],
        key=key,
    )


def unfit(
    found: Mapping[str, str], reading: VerifiedReading, whose: Integration | None, digest: str
) -> list[VerifiedEvent]:
    """The rows of what fits no event, by place with the reason: failed, seen, and readable again.

    `digest` is that of the request. At most MAX_EVENTS are kept.
    """
    return [
        VerifiedEvent(
            WebhookEvent(
                organization_id=whose.organization_id if whose else None,
                integration_id=whose.pk if whose else None,
                type=UNFIT,
                payload=to_json(Unfit(place)),
                key=_digest(f"{digest} {place}"),
                state=EventState.FAILED,
                reason=reason[:500],
            ),
            reading,
            -1,
        )
        for place, reason in list(found.items())[:MAX_EVENTS]
    ]


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()
