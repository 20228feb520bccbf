"""From what a provider's answer means to what becomes of the message."""

from __future__ import annotations

import random
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.events import Outcome
from messaging.models import Message
from messaging.queue import DONE, WAITING, Change
from messaging.statuses import Status

# Seconds before the second, third, … attempt; the last repeats until the message expires.
DELAYS = (10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600)
JITTER = 0.2
MIN_RETRY_AFTER, MAX_RETRY_AFTER = 1, 6 * 3600

OF_RESULT = {
    "sent": Status.SENT,
    "failed": Status.FAILED,
    "opted_out": Status.FAILED,
    "unknown": Status.UNKNOWN,
    "retry": Status.SENDING,
    "throttled": Status.SENDING,
    "unauthorized": Status.SENDING,
}


def decide(message: Message, fence: int, outcome: Outcome, *, idempotent: bool = False) -> Change:
    """What to write for a claimed message after this outcome of one of its requests.

    An unknown outcome ends it for a person to decide, unless the provider suppresses repeats (`idempotent`).
    A retry that would come after the message's expiry ends it as failed.
    """
    again = outcome.result in ("retry", "throttled", "unauthorized")
    if not again and not (outcome.result == "unknown" and idempotent):
        return Change(message.pk, fence, DONE, OF_RESULT[outcome.result], outcome.code, outcome.text)
    delay = _delay(message.attempts, outcome.retry_after)
    if seconds_left(message.expires_at) <= delay:
        reason = _("Not sent before it expired. The last try: %(reason)s") % {"reason": outcome.text}
        return Change(message.pk, fence, DONE, Status.FAILED, outcome.code, reason[:500])
    return Change(message.pk, fence, WAITING, Status.SENDING, outcome.code, outcome.text, delay)


def refusal(message: Message, fence: int, reason: str) -> Change:
    """What to write for a claimed message that cannot be sent at all."""
    return Change(message.pk, fence, DONE, Status.FAILED, "", reason[:500])


def seconds_left(moment: datetime) -> float:
    """Seconds until a moment."""
    return (moment - timezone.now()).total_seconds()


def _delay(attempts: int, retry_after: float | None) -> float:
    if retry_after is not None:
        return min(max(retry_after, MIN_RETRY_AFTER), MAX_RETRY_AFTER)
    planned = DELAYS[min(max(attempts, 1), len(DELAYS)) - 1]
    return planned * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (spreads load, guards nothing)
