"""The details of a webhook request: what it contained, how it was understood, and its events, redacted."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from integrations import as_text
from integrations.models import Integration
from integrations.properties import credentials_of
from integrations.redact import Redactor
from messaging.inbound import reprocess
from messaging.models import WebhookEvent, WebhookRequest
from messaging.statuses import QUARANTINE, UNFIT, EventState, Verdict

MAX_BODY = 20_000  # characters
_RELATED = ("message__sender", "message__conversation__contact", "message__conversation__number", "number")


def of(request: WebhookRequest) -> dict[str, Any]:
    """The template context of a webhook request's page, without secrets."""
    hide = Redactor(_secrets(request))
    body = as_text.body(bytes(request.body), request.headers, hide)
    events = list(request.events.select_related(*_RELATED).order_by("pk"))
    failed = any(event.state == EventState.FAILED for event in events)
    return {
        "webhook": request,
        "tone": "bad" if failed else tone(request),
        "may_reprocess": failed or (not events and request.verdict not in reprocess.SETTLED),
        "may_process_anyway": not events and request.verdict == Verdict.DUPLICATE,
        "advice": advice(request),
        "tried": [_mismatch(pointer, reason) for pointer, reason in request.tried],
        "place": hide.text(request.place),
        "query": hide.text(bytes(request.query).decode("utf-8", "replace")),
        "headers": hide.headers(request.headers),
        "body": body[:MAX_BODY],
        "cut": len(body) > MAX_BODY,
        "events": [(event, describe(event)) for event in events],
    }


def tone(request: WebhookRequest) -> str:
    """Whether a request went well: bad, good, or plain."""
    if request.verdict in (*QUARANTINE, Verdict.UNVERIFIED):
        return "bad"
    return "plain" if request.verdict == Verdict.IGNORED else "good"


def advice(request: WebhookRequest) -> str:
    """What the verdict means for an administrator, in addition to the request's reason."""
    sentences = {
        Verdict.ACCEPTED: _("The events of the request are listed below."),
        Verdict.DUPLICATE: _("The request was not processed again."),
        Verdict.IGNORED: _("The template ignores this event, so nothing was changed."),
        Verdict.UNMATCHED: _("Correct the webhook events of the template, then reprocess the request."),
        Verdict.UNKNOWN_NUMBER: _("After that, reprocess the request."),
        Verdict.DISABLED: _("Switch the integration on, then reprocess the request."),
        Verdict.UNPARSABLE: _("Ask the provider about the cause."),
        Verdict.UNVERIFIED: _(
            "If the request did come from the provider, compare the keys here with those at the provider."
        ),
    }
    return sentences[Verdict(request.verdict)]


def describe(event: WebhookEvent) -> str:
    """An event in a few words."""
    if event.type == "status":
        report = {"status": event.payload.get("status", ""), "code": event.payload.get("code") or ""}
        if report["code"]:
            return _("Delivery report: %(status)s (%(code)s)") % report
        return _("Delivery report: %(status)s") % report
    if event.type == UNFIT:
        place = {"place": event.payload.get("place", "")}
        if not place["place"]:
            return _("A part of the request could not be filed for anybody")
        return _("%(place)s of the request fits no event of the template") % place
    labels = {
        "message": _("Message"),
        "mms": _("Message with files"),
        "optOut": _("Opt-out"),
        "optIn": _("Opt-in"),
    }
    return labels.get(event.type, event.type)


def _mismatch(pointer: str, reason: str) -> tuple[str, str]:
    """Where an event of the template did not match, as precisely as the reason says, and why."""
    place, colon, rest = reason.partition(": ")
    return (place, rest) if colon and place.startswith(pointer) else (pointer, reason)


def _secrets(request: WebhookRequest) -> list[str]:
    """The secrets of the request's integration or, if that is unknown, of all integrations it may be for."""
    found = Integration.objects.ready().filter(template=request.template)
    if request.integration_id is not None:
        found = found.filter(pk=request.integration_id)
    else:
        found = found.filter(organization__account=request.account)
    integrations = list(found)
    return [secret for found in credentials_of(integrations).values() for secret in found.private]
