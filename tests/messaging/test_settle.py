"""Marking by hand what became of a message that got no answer."""

from __future__ import annotations

import pytest

from messaging.engine import queue
from messaging.errors import Refused
from messaging.models import Message, Number
from messaging.outbound.settle import settle
from messaging.statuses import QueueState, Status
from portal.models import User
from tests.messaging.queues import write_many

pytestmark = pytest.mark.django_db


@pytest.fixture
def unknown(private: Number) -> Message:
    (message,) = write_many(private, 1, status=Status.UNKNOWN, queue_state=QueueState.DONE)
    return message


@pytest.mark.parametrize(("outcome", "status"), [("sent", Status.SENT), ("failed", Status.FAILED)])
@pytest.mark.parametrize("person", ["alice", "admin_of_acme", "reseller", "operator"])
def test_who_sends_or_administers_may(
    request: pytest.FixtureRequest, unknown: Message, person: str, outcome: str, status: Status
) -> None:
    author = request.getfixturevalue(person)
    settled = settle(author, unknown, outcome)  # type: ignore[arg-type]
    assert (settled.status, settled.queue_state) == (status, QueueState.DONE)
    assert settled.status_text == f"Marked as {outcome} by {author}."


@pytest.mark.parametrize("person", ["bob", "charlie", "admin_of_globex"])
def test_nobody_else_may(request: pytest.FixtureRequest, unknown: Message, person: str) -> None:
    with pytest.raises(Refused, match="cannot send through this number"):
        settle(request.getfixturevalue(person), unknown, "sent")
    unknown.refresh_from_db()
    assert (unknown.status, unknown.status_text) == (Status.UNKNOWN, "")


@pytest.mark.parametrize("status", [status for status in Status if status != Status.UNKNOWN])
def test_only_what_is_unknown_can_be_marked(alice: User, unknown: Message, status: Status) -> None:
    Message.objects.update(status=status)
    with pytest.raises(Refused, match="got no response"):
        settle(alice, unknown, "failed")
    unknown.refresh_from_db()
    assert unknown.status == status


def test_a_later_report_still_counts(alice: User, unknown: Message) -> None:
    settle(alice, unknown, "failed")
    queue.advance([queue.Change(unknown.pk, 0, queue.DONE, Status.DELIVERED)])
    unknown.refresh_from_db()
    assert unknown.status == Status.DELIVERED
