"""Stories for people: what happened to a message or a webhook, in order, with every secret taken out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from integrations.models import Integration
from integrations.properties import secrets_of, values_of
from integrations.redact import Redactor
from messaging.inbound import reprocess
from messaging.models import DeliveryAttempt, Message, OptOut, WebhookEvent, WebhookRequest
from messaging.statuses import QUARANTINE, Direction, EventState, QueueState, Status, Verdict

SHOWN = 20_000
_ABOUT = ("message__conversation__contact", "message__conversation__number", "number")
# Of a message that was tried for a day there may be many; the first and the last tell the story.
MOST_ATTEMPTS = 60


@dataclass(frozen=True)
class Step:
    """One thing that happened, in a sentence; `attempt` and `event` show the rest of it."""

    at: datetime
    tone: str  # good, bad, or plain
    title: str
    text: str = ""
    attempt: DeliveryAttempt | None = None
    event: WebhookEvent | None = None
    message: Message | None = None  # another one, that it leads to


def of_message(message: Message) -> dict[str, Any]:
    """The whole story of a message, how it ended, and what can be done now."""
    events = list(message.webhook_events.select_related("request").order_by("pk"))
    rows = message.delivery_attempts.select_related("integration__template")
    attempts = list(rows[:MOST_ATTEMPTS])
    left_out = 0
    if len(attempts) == MOST_ATTEMPTS:
        last = list(rows.filter(pk__gt=attempts[-1].pk).order_by("-pk")[:MOST_ATTEMPTS])
        left_out = message.delivery_attempts.count() - len(attempts) - len(last)
        attempts += reversed(last)
    original, copy = message.resend_of, getattr(message, "resent_as", None)
    steps = [
        *_beginning(message, events, original),
        *(_tried(attempt) for attempt in attempts),
        *(_said(event) for event in events if event.type not in ("message", "mms")),
    ]
    if copy is not None:
        steps.append(Step(copy.created_at, "plain", _("It was sent again."), message=copy))
    steps.sort(key=lambda step: step.at)
    return {
        "message": message,
        "tone": tone(message),
        "steps": steps,
        "left_out": left_out,
        "files": list(message.attachments.all()),
        "copy": copy,
        "advice": advice(message, copy),
        "may_resend": copy is None and _unsettled(message),
        "in_doubt": message.direction == Direction.OUT and message.status == Status.UNKNOWN,
        "waiting": message.direction == Direction.OUT and message.queue_state == QueueState.WAITING,
    }


def tone(message: Message) -> str:
    """How an outgoing message fares: bad, good, or plain."""
    if message.direction == Direction.OUT:
        if message.status in (Status.FAILED, Status.UNKNOWN):
            return "bad"
        return "good" if message.status >= Status.DELIVERED else "plain"
    return "good"


def result_of(attempt: DeliveryAttempt) -> str:
    """How an attempt ended, in words."""
    words = {
        "sent": _("the service took it"),
        "failed": _("the service refused it"),
        "retry": _("not now; it is tried again"),
        "throttled": _("the service asked to wait"),
        "opted_out": _("the contact opted out at the service"),
        "unauthorized": _("the service refused the credentials"),
        "unknown": _("no answer came"),
    }
    return words.get(attempt.result, attempt.result)


def advice(message: Message, copy: Message | None = None) -> str:
    """What a person may do now, in plain words; empty: nothing needs to be done."""
    if message.direction == Direction.IN or copy is not None:
        return ""
    if message.queue_state == QueueState.WAITING:
        service = message.integration
        if service is not None and service.paused_until is not None:
            return _("The service is in trouble; the message waits until it works again.")
        return _("It goes out by itself; there is nothing to do.")
    if message.status == Status.UNKNOWN:
        return _(
            "The request was written, and no answer came. It may have arrived: ask the contact, or look at "
            "the service's own log, before you send it again."
        )
    if message.status == Status.FAILED:
        if OptOut.objects.filter(
            number=message.conversation.number_id, address=message.conversation.contact.address
        ).exists():
            return _("The contact has opted out; it cannot be sent again until they text START.")
        return _("Repair what the reason names, then send it again.")
    if message.status == Status.SENT:
        return _(
            "The service took it and has reported nothing since. If that stays so, check that the service "
            "knows the webhook URL."
        )
    return ""


def of_webhook(request: WebhookRequest) -> dict[str, Any]:
    """What came, what it was taken for, and what became of it."""
    hide = Redactor(_secrets(request))
    body = hide.body(bytes(request.body))
    with suppress(ValueError):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    events = list(request.events.select_related(*_ABOUT).order_by("pk"))
    failed = any(event.state == EventState.FAILED for event in events)
    return {
        "webhook": request,
        "quarantined": failed or request.verdict in QUARANTINE,
        "may_read": failed or (not events and request.verdict not in reprocess.SETTLED),
        "may_file": not events and request.verdict == Verdict.DUPLICATE,
        "meaning": meaning(request),
        "place": hide.text(request.place),
        "query": hide.text(bytes(request.query).decode("utf-8", "replace")),
        "headers": hide.headers(request.headers),
        "body": body[:SHOWN],
        "cut": len(body) > SHOWN,
        "events": [(event, _what(event)) for event in events],
    }


def meaning(request: WebhookRequest) -> str:
    """What a verdict means, and what to do about it."""
    verdict = Verdict
    words = {
        verdict.ACCEPTED: _("It was understood, and what it says is filed."),
        verdict.DUPLICATE: _("The same was said before, so nothing was filed a second time."),
        verdict.IGNORED: _("The template names this event as one that changes nothing."),
        verdict.UNMATCHED: _(
            "No event of the template fits. Correct the template's Webhook, then read the request again."
        ),
        verdict.UNKNOWN_NUMBER: _(
            "It is for a number that no organization has with this service. Add the number, or set how the "
            "service writes it, then read the request again."
        ),
        verdict.DISABLED: _(
            "The organization has switched this service off. Switch it on, then read the request again."
        ),
        verdict.UNPARSABLE: _("The body is not what it says it is. The service can tell why."),
        verdict.UNVERIFIED: _(
            "It does not prove that it comes from the service. If it does, compare the keys here and there."
        ),
    }
    return words[verdict(request.verdict)]


def _beginning(message: Message, events: list[WebhookEvent], original: Message | None) -> Iterator[Step]:
    if message.direction == Direction.IN:
        for event in events:
            if event.type in ("message", "mms"):
                yield Step(event.created_at, "good", _("A webhook brought it."), event=event)
        if not events:
            yield Step(message.created_at, "good", _("It came in. Its webhook is no longer kept."))
        return
    if original is not None:
        title = _("It takes the place of a message that was sent before.")
        yield Step(message.created_at, "plain", title, message=original)
    if message.automatic:
        title = _("Patchbay wrote it by itself (%(why)s) and put it into the queue.") % {
            "why": message.automatic
        }
    else:
        title = _("%(author)s wrote it; it was stored and put into the queue.") % {"author": message.author}
    yield Step(message.created_at, "plain", title)


def _tried(attempt: DeliveryAttempt) -> Step:
    names = {
        "service": attempt.integration.template if attempt.integration else _("a service that is gone"),
        "result": result_of(attempt),
        "part": attempt.part,
        "parts": attempt.parts,
    }
    if attempt.parts > 1:
        title = _("Part %(part)d of %(parts)d to %(service)s: %(result)s.") % names
    else:
        title = _("Sent to %(service)s: %(result)s.") % names
    kind = {"sent": "good", "throttled": "plain", "retry": "plain"}.get(attempt.result, "bad")
    return Step(attempt.started_at, kind, title, attempt.text, attempt=attempt)


def _said(event: WebhookEvent) -> Step:
    bad = event.payload.get("status") == "failed" or event.state == EventState.FAILED
    said = _("The service reported: %(what)s.") % {"what": _what(event)}
    return Step(event.created_at, "bad" if bad else "good", said, event.payload.get("text", ""), event=event)


def _what(event: WebhookEvent) -> str:
    """What an event says, in a few words."""
    if event.type == "status":
        code = event.payload.get("code") or ""
        return f"{event.payload.get('status', '')} ({code})" if code else str(event.payload.get("status", ""))
    words = {
        "message": _("a message"),
        "mms": _("a message with files"),
        "optOut": _("the contact opted out"),
        "optIn": _("the contact wants messages again"),
    }
    return words.get(event.type, event.type)


def _unsettled(message: Message) -> bool:
    return message.direction == Direction.OUT and message.status in (Status.FAILED, Status.UNKNOWN)


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
