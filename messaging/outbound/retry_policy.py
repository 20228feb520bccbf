"""What becomes of a message after a request: done, failed, or tried again later."""

from __future__ import annotations

import random

from django.conf import settings
from django.utils.translation import gettext as _

from integrations.events import Outcome
from messaging.engine.queue import DONE, WAITING, Change
from messaging.models import Message
from messaging.statuses import OF_RESULT, Status

JITTER = 0.2
MIN_RETRY_AFTER, MAX_RETRY_AFTER = 1, 6 * 3600


def decide(
    message: Message, fence: int, outcome: Outcome, *, seconds_left: float, idempotent: bool = False
) -> Change:
    """The next state of a claimed message after this outcome of one of its requests.

    An unknown outcome is for a person to decide, unless the provider suppresses repeats (`idempotent`).
    The message fails if it expires, in `seconds_left`, before the next attempt.
    """
    again = outcome.result in ("retry", "throttled", "unauthorized")
    if not again and not (outcome.result == "unknown" and idempotent):
        return Change(message.pk, fence, DONE, OF_RESULT[outcome.result], outcome.code, outcome.text)
    delay = _delay(message.attempts, outcome.retry_after)
    if seconds_left <= delay:
        reason = _("Not sent before it expired. The last attempt: %(reason)s") % {"reason": outcome.text}
        return Change(message.pk, fence, DONE, Status.FAILED, outcome.code, reason[:500])
    return Change(message.pk, fence, WAITING, Status.SENDING, outcome.code, outcome.text, delay)


def refusal(message: Message, fence: int, reason: str) -> Change:
    """The next state of a claimed message that cannot be sent at all."""
    return Change(message.pk, fence, DONE, Status.FAILED, "", reason[:500])


def release(message: Message, fence: int, reason: str) -> Change:
    """The next state of a claimed message that another process should send at once."""
    return Change(message.pk, fence, WAITING, Status.SENDING, "", reason)


def retry_after(asked: float) -> float:
    """The seconds that a provider asks to wait, within bounds."""
    return min(max(asked, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _delay(attempts: int, asked: float | None) -> float:
    if asked is not None:
        return retry_after(asked)
    planned = settings.RETRY_SECONDS[min(max(attempts, 1), len(settings.RETRY_SECONDS)) - 1]
    return planned * random.uniform(1 - JITTER, 1 + JITTER)  # nosec B311 # spreads load, guards nothing
