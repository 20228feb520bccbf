"""Stories for people: what happened to a message or a webhook, in order, with every secret taken out."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from integrations.models import Integration
from integrations.properties import secrets_of, values_of
from integrations.redact import Redactor
from messaging.models import Message, WebhookRequest

SHOWN = 20_000


def of_message(message: Message) -> dict[str, Any]:
    """The attempts to send it with requests and answers, and what the service said of it."""
    return {
        "message": message,
        "attempts": message.delivery_attempts.select_related("integration__template"),
        "events": message.webhook_events.select_related("request").order_by("pk"),
        "files": message.attachments.all(),
    }


def of_webhook(request: WebhookRequest) -> dict[str, Any]:
    """What came, what it was taken for, and what became of it."""
    hide = Redactor(_secrets(request))
    body = hide.body(bytes(request.body))
    with suppress(ValueError):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return {
        "webhook": request,
        "query": hide.text(bytes(request.query).decode("utf-8", "replace")),
        "headers": hide.headers(request.headers),
        "body": body[:SHOWN],
        "events": request.events.select_related("message", "number").order_by("pk"),
    }


def _secrets(request: WebhookRequest) -> list[str]:
    """Of the request's integration; while it is known for none, of all that it may have been for."""
    found = Integration.objects.ready().filter(template=request.template)
    if request.integration_id is not None:
        found = found.filter(pk=request.integration_id)
    else:
        found = found.filter(organization__account=request.account)
    integrations = list(found)
    values = values_of(integrations)
    return [secret for item in integrations for secret in secrets_of(item, values[item.pk])]
