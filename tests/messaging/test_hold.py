"""What waited when a backup was made is held, and everything else is as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from messaging.engine.claim import claim
from messaging.models import BulkResend, Message, Number
from messaging.outbound import hold
from messaging.outbound.submit import submit
from messaging.statuses import QueueState, Status
from portal.models import User

MADE_AT = datetime(2026, 11, 26, 3, 15, tzinfo=UTC)
REASON = (
    "Held: the message waited when the backup of 2026-11-26 03:15 UTC was made, and may have been sent since. "
    "Resend it if it was not."
)


@pytest.mark.parametrize(
    ("before", "status", "after", "text"),
    [
        (QueueState.WAITING, Status.QUEUED, Status.UNKNOWN, REASON),
        (QueueState.WAITING, Status.SENDING, Status.UNKNOWN, REASON),
        (QueueState.CLAIMED, Status.SENDING, Status.UNKNOWN, REASON),
        # A part of it was sent already, or a report came early: a status never goes back.
        (QueueState.CLAIMED, Status.SENT, Status.SENT, "before"),
        (QueueState.DONE, Status.UNKNOWN, Status.UNKNOWN, "before"),
        (QueueState.DONE, Status.FAILED, Status.FAILED, "before"),
    ],
)
def test_what_waited_is_unknown_and_nothing_is_sent(
    private: Number, alice: User, before: QueueState, status: Status, after: Status, text: str
) -> None:
    message = submit(alice, private, "+61412345678", text="Hello")
    lease = timezone.now() + timedelta(seconds=90) if before == QueueState.CLAIMED else None
    Message.objects.update(queue_state=before, status=status, status_text="before", lease_until=lease)
    resend = BulkResend.objects.create(author=alice, wanted=[message.pk])
    assert hold.waiting() == (before != QueueState.DONE)
    assert hold.hold(MADE_AT) == (before != QueueState.DONE)
    message.refresh_from_db()
    assert (message.queue_state, message.status, message.status_text) == (QueueState.DONE, after, text)
    assert (hold.waiting(), claim(10).claims, message.lease_until) == (0, [], None)
    resend.refresh_from_db()
    assert resend.finished_at is not None


@pytest.mark.parametrize(
    ("count", "send", "said"),
    [
        (0, False, "No message waited to be sent."),
        (0, True, "No message waited to be sent."),
        (1, True, "1 message waits to be sent, and goes out as soon as Patchbay runs."),
        (2, True, "2 messages wait to be sent, and go out as soon as Patchbay runs."),
        (1, False, "1 message that waited to be sent is held, since it may have been sent after the backup."),
        (
            2,
            False,
            "2 messages that waited to be sent are held, since they may have been sent after the backup.",
        ),
    ],
)
def test_the_operator_is_told(count: int, send: bool, said: str) -> None:
    assert hold.told(count, send).startswith(said)
