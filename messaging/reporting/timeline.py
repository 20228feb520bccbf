"""The timeline of a message: what happened to it, in order, and what an administrator can do now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from messaging.models import DeliveryAttempt, Message, WebhookEvent
from messaging.reporting.webhook_details import describe
from messaging.statuses import EventState, Status

# A message may have many attempts; the page shows the first and the last ones.
MAX_ATTEMPTS = 60


@dataclass(frozen=True)
class Step:
    """One entry of a timeline; `attempt`, `event` and `message` lead to the details."""

    at: datetime
    tone: str  # good, bad, or plain
    title: str
    text: str = ""
    attempt: DeliveryAttempt | None = None
    event: WebhookEvent | None = None
    message: Message | None = None  # another message, such as the original of a copy


def of_message(message: Message) -> dict[str, Any]:
    """The template context of a message's page: its timeline, its outcome, and the possible actions."""
    events = list(message.webhook_events.select_related("request").order_by("pk"))
    attempts, left_out = _attempts(message)
    original, copy = message.resend_of, getattr(message, "resent_as", None)
    steps = [
        *_origin(message, events, original),
        *(_attempt(attempt) for attempt in attempts),
        *(_report(event) for event in events if event.type not in ("message", "mms")),
    ]
    if copy is not None:
        steps.append(Step(copy.created_at, "plain", _("Resent."), message=copy))
    steps.sort(key=lambda step: step.at)
    return {
        "message": message,
        "tone": tone(message),
        "steps": steps,
        "left_out": left_out,
        "files": list(message.attachments.all()),
        "copy": copy,
        "advice": advice(message, copy),
        "may_resend": copy is None and message.needs_attention,
    }


def tone(message: Message) -> str:
    """Whether a message went well: bad, good, or plain."""
    if message.needs_attention:
        return "bad"
    return "good" if message.is_inbound or message.status in (Status.DELIVERED, Status.READ) else "plain"


def result_label(result: str) -> str:
    """The result of a delivery attempt, in a word or two."""
    labels = {
        "sent": _("accepted"),
        "failed": _("rejected"),
        "retry": _("temporary failure"),
        "throttled": _("rate limited"),
        "opted_out": _("contact opted out"),
        "unauthorized": _("credentials rejected"),
        "unknown": _("no response"),
    }
    return labels.get(result, result)


def advice(message: Message, copy: Message | None = None) -> str:
    """What an administrator can do about a message; empty if there is nothing to do."""
    if message.is_inbound or copy is not None:
        return ""
    if message.is_waiting:
        integration = message.integration
        if integration is not None and integration.paused_until is not None:
            return _("%(provider)s is paused. The message will be sent when it has recovered.") % {
                "provider": integration.template
            }
        return _("The message will be sent automatically.")
    if message.is_unknown:
        return _(
            "The request was sent, but there was no response: the message may have been delivered. Ask the "
            "contact or check the provider's own log before you resend it."
        )
    if message.has_failed:
        if message.conversation.opted_out:
            return _("The contact has opted out. You can resend the message after they text START.")
        return _("Correct the cause that is stated above, then resend the message.")
    if message.status == Status.SENT:
        return _(
            "The provider has accepted the message but not reported its delivery. If reports never arrive, "
            "check that the provider knows the webhook URL."
        )
    return ""


def _attempts(message: Message) -> tuple[list[DeliveryAttempt], int]:
    """The first and the last delivery attempts, and how many are left out between them."""
    rows = message.delivery_attempts.select_related("integration__template")
    first = list(rows[:MAX_ATTEMPTS])
    if len(first) < MAX_ATTEMPTS:
        return first, 0
    last = list(rows.filter(pk__gt=first[-1].pk).order_by("-pk")[:MAX_ATTEMPTS])
    left_out = message.delivery_attempts.count() - len(first) - len(last)
    return [*first, *reversed(last)], left_out


def _origin(message: Message, events: list[WebhookEvent], original: Message | None) -> Iterator[Step]:
    if message.is_inbound:
        for event in events:
            if event.type in ("message", "mms"):
                yield Step(event.created_at, "good", _("Received in a webhook request."), event=event)
        if not events:
            title = _("Received. The webhook request has since been deleted.")
            yield Step(message.created_at, "good", title)
        return
    if original is not None:
        title = _("Created to resend an earlier message.")
        yield Step(message.created_at, "plain", title, message=original)
    if message.automatic:
        title = _("Queued as an auto-reply (%(trigger)s).") % {"trigger": message.automatic}
    else:
        title = _("Submitted by %(author)s and queued.") % {"author": message.author}
    yield Step(message.created_at, "plain", title)


def _attempt(attempt: DeliveryAttempt) -> Step:
    title = _result_sentence(attempt)
    if attempt.upload:
        title = _("Upload of file %(number)d: %(result)s") % {"number": attempt.upload, "result": title}
    elif attempt.parts > 1:
        title = _("Part %(part)d of %(parts)d: %(result)s") % {
            "part": attempt.part,
            "parts": attempt.parts,
            "result": title,
        }
    kind = {"sent": "good", "throttled": "plain", "retry": "plain"}.get(attempt.result, "bad")
    return Step(attempt.started_at, kind, title, attempt.text, attempt=attempt)


def _result_sentence(attempt: DeliveryAttempt) -> str:
    sentences = {
        "sent": _("%(provider)s accepted it.") if attempt.upload else _("%(provider)s accepted the message."),
        "failed": _("%(provider)s rejected the message."),
        "retry": _("%(provider)s could not take the message. Patchbay retries later."),
        "throttled": _("%(provider)s asked to slow down. Patchbay retries later."),
        "opted_out": _("%(provider)s rejected the message because the contact has opted out."),
        "unauthorized": _("%(provider)s rejected the credentials."),
        "unknown": _("%(provider)s did not respond in time."),
    }
    if attempt.result == "failed" and attempt.answer_status is None:  # the provider has rejected nothing
        sentences["failed"] = _("The message was not sent through %(provider)s.")
    provider = attempt.integration.template if attempt.integration else _("The provider")
    return sentences.get(attempt.result, attempt.result) % {"provider": provider}


def _report(event: WebhookEvent) -> Step:
    bad = event.payload.get("status") == "failed" or event.state == EventState.FAILED
    text = event.payload.get("text", "")
    return Step(event.created_at, "bad" if bad else "good", f"{describe(event)}.", text, event=event)
