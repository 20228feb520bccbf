"""Subscriptions: has providers call the webhook that must be asked to, and renews what ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from integrations import calls, http, prepared
from integrations.calls import Call, NotNow
from integrations.events import Fault, HttpResponse, Outcome
from integrations.language.api_methods import SUBSCRIBE, UNSUBSCRIBE
from integrations.language.values import dump, is_number, text
from integrations.models import Subscription
from integrations.prepared import PreparedIntegration
from integrations.properties import ACCESS_TOKEN

logger = logging.getLogger(__name__)

BATCH = 50
RETRY_SECONDS = 60
LONGEST_SECONDS = 3600  # between attempts that cannot be made
# A subscription is renewed when a fifth of its time is left, but at most this long before it ends.
EARLY = timedelta(hours=1)
SHORTEST = 5  # seconds
# How often a provider is asked to end a subscription.
MOST_ENDINGS = 10


@dataclass(frozen=True)
class _Step:
    """What a subscription needs next: a method called with an id, or nothing more for a while."""

    method: str = ""
    subscription_id: str = ""


def renew_due() -> None:
    """Subscribes, renews and unsubscribes all that are due, at once, each under a lease.

    No transaction is open meanwhile: a provider may call the webhook before it answers.
    """
    while rows := Subscription.objects.due().claim(BATCH):
        services = prepared.prepare(row.integration_id for row in rows)
        sent: dict[Future[HttpResponse | Fault], tuple[Subscription, Call]] = {}
        for row in rows:
            try:
                if call := _begin(row, services.get(row.integration_id)):
                    sent[http.send(call.request)] = row, call
            except NotNow as obstacle:
                _postpone(row, obstacle)
            except Exception:
                logger.exception("Subscription %d could not be renewed.", row.pk)
                _postpone(row, NotNow(_("The subscription could not be renewed. See the server's log.")))
        for future in as_completed(sent):
            row, call = sent[future]
            try:
                _record(row, call, future.result())
            except (OperationalError, InterfaceError):
                raise  # the database is away
            except Exception:
                logger.exception(
                    "The answer to %s of subscription %d could not be stored.", call.method, row.pk
                )
                _postpone(row, NotNow(_("The provider's answer could not be stored. See the server's log.")))


def _begin(row: Subscription, service: PreparedIntegration | None) -> Call | None:
    if service is None:
        raise NotNow(_("The integration's values cannot be read. See the server's log."))
    step = _next(row, service)
    if step.method:
        return calls.prepare(service, step.method, subscription_id=step.subscription_id)
    if SUBSCRIBE.name in service.compiled.methods and service.integration.enabled:
        row.finish(_until_renewal(row))
    else:
        _end(row)
    return None


def _end(row: Subscription) -> None:
    """Nothing more is asked of the provider; what it could not be made to end is still shown."""
    calls.clear_problem(row)
    if row.subscribed_at is not None and row.failures >= MOST_ENDINGS:
        row.finish(None, subscribed_at=None, expires_at=None, stamp="", replaced="")
    else:
        row.finish(None, **_NONE)


def _next(row: Subscription, service: PreparedIntegration) -> _Step:
    methods = service.compiled.methods
    ends = UNSUBSCRIBE.name in methods and row.failures < MOST_ENDINGS
    if not service.integration.enabled or SUBSCRIBE.name not in methods:
        last = row.replaced or row.subscription_id
        return _Step(UNSUBSCRIBE.name, last) if row.subscribed_at and ends else _Step()
    left = _until_renewal(row)
    if row.subscribed_at is None or row.stamp != stamp_of(service) or (left is not None and left <= 0):
        return _Step(SUBSCRIBE.name, row.subscription_id)
    return _Step(UNSUBSCRIBE.name, row.replaced) if row.replaced and ends else _Step()


def stamp_of(service: PreparedIntegration) -> str:
    """What a subscription depends on: the webhook URL, the values, and how it is made."""
    values = sorted((label, text(value)) for label, value in service.values.items() if label != ACCESS_TOKEN)
    made = service.compiled.document["API"].get(SUBSCRIBE.name)
    depends = dump([service.integration.webhook_url, [list(pair) for pair in values], made])
    return salted_hmac("integrations.subscriptions", depends, algorithm="sha256").hexdigest()


_NONE: Mapping[str, Any] = {
    "subscription_id": "",
    "replaced": "",
    "stamp": "",
    "subscribed_at": None,
    "expires_at": None,
    "failures": 0,
    "problem": "",
}


def _until_renewal(row: Subscription) -> float | None:
    if row.expires_at is None or row.subscribed_at is None:
        return None
    early = min((row.expires_at - row.subscribed_at) / 5, EARLY)
    return (row.expires_at - early - timezone.now()).total_seconds()


def _record(row: Subscription, call: Call, response: HttpResponse | Fault) -> None:
    outcome = call.read(response)
    gone = isinstance(response, HttpResponse) and response.status in (404, 410)
    replaced = bool(row.replaced) and call.variables.get("subscription_id") == row.replaced
    if outcome.result == "unauthorized" and call.renews_access():
        row.finish(SHORTEST)
    elif call.method == SUBSCRIBE.name and outcome.result == "sent":
        _subscribed(row, call, outcome)
    elif call.method == UNSUBSCRIBE.name and (outcome.result == "sent" or gone):
        calls.clear_problem(row)
        enabled = call.service.integration.enabled
        if replaced:
            row.finish(_until_renewal(row) if enabled else 0, replaced="", failures=0, problem="")
        else:
            row.finish(0 if enabled else None, **_NONE)
    else:
        calls.note_problem(call.service.integration, row, outcome)
        seconds = calls.wait(row.failures + 1, RETRY_SECONDS, calls.LONGEST_WAIT, outcome.retry_after)
        # Who cannot say whether it has ended must subscribe again when the integration is switched on.
        unsure = {"stamp": ""} if call.method == UNSUBSCRIBE.name and not replaced else {}
        row.finish(seconds, failures=row.failures + 1, problem=outcome.text, **unsure)


def _subscribed(row: Subscription, call: Call, outcome: Outcome) -> None:
    now, given = timezone.now(), text(outcome.bound.get("subscription_id"))[:500]
    seconds = text(outcome.bound.get("subscription_expires_in"))
    known = is_number(seconds) and 0 < float(seconds) < 1e9
    row.subscribed_at, row.expires_at = now, now + timedelta(seconds=float(seconds)) if known else None
    replaced = row.subscription_id if given and row.subscription_id not in ("", given) else row.replaced
    ends = replaced and UNSUBSCRIBE.name in call.service.compiled.methods
    left = _until_renewal(row)
    calls.clear_problem(row)
    row.finish(
        0 if ends else left if left is None else max(left, SHORTEST),
        subscription_id=given or row.subscription_id,
        replaced=replaced if ends else "",
        stamp=stamp_of(call.service),
        subscribed_at=row.subscribed_at,
        expires_at=row.expires_at,
        failures=0,
        problem="",
    )


def _postpone(row: Subscription, obstacle: NotNow) -> None:
    calls.postpone(row, obstacle, RETRY_SECONDS, LONGEST_SECONDS)
