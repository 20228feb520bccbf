"""Reports of services: whatever the order in which they and the answers arrive, the end is the same."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.events import StatusUpdate, to_json
from integrations.models import Integration
from messaging import retention
from messaging.engine import claim, queue, webhooks
from messaging.inbound import file_events
from messaging.models import DeliveryAttempt, Message, Number, WebhookEvent, WebhookRequest
from messaging.outbound.submit import submit
from messaging.statuses import OF_REPORT, EventState, Status, of_parts
from portal.database import bulk
from portal.models import User


def say(number: Number, *said: StatusUpdate) -> list[WebhookEvent]:
    """The reports come in."""
    assert number.integration is not None
    request = WebhookRequest.objects.create(
        account=number.account,
        template=number.integration.template,
        integration=number.integration,
        organization=number.organization,
        method="POST",
        query=b"",
        headers={},
        body=b"",
        digest=uuid4().hex,
        verdict="accepted",
        answer_status=200,
    )
    events = [
        WebhookEvent(request=request, type="status", payload=to_json(item), provider_id=item.messageid)
        for item in said
    ]
    return WebhookEvent.objects.bulk_create(events)


def answer(message: Message, part: int = 1, parts: int = 1) -> None:
    """The service has answered the request for a part, and given it the id p<part>: as dispatch records it."""
    DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=message.integration,
        part=part,
        parts=parts,
        fence=message.fence,
        started_at=message.created_at,
        result="sent",
        provider_id=f"p{part}",
        status=Status.SENT,
    )
    last = part == parts
    state, status = (queue.DONE, Status.SENT) if last else (queue.CLAIMED, Status.SENDING)
    change = queue.Change(message.pk, message.fence, state, status)
    if not queue.record([change]):
        queue.advance([change])
    webhooks.release_orphans([f"p{part}"], [message.pk])


@pytest.fixture
def message(alice: User, private: Number) -> Message:
    """A message that is on its way."""
    made = submit(alice, private, "+61412345678", text="hi")
    assert [taken.id for taken in claim.claim(1, Counter()).claims] == [made.pk]
    made.refresh_from_db()
    return made


REPORTS = ["queued", "sent", "delivered", "read", "failed", "retrying"]


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[Any]]:
    """Answers to the requests of a message in their order, and reports of each, in any order between them.

    A part that fails is never delivered: which of the two came first would count, and none tells.
    """
    parts = draw(st.integers(1, 3))
    steps: list[Any] = []
    for part in range(1, parts + 1):
        told = draw(st.lists(st.sampled_from(REPORTS), max_size=4))
        if parts > 1 and "failed" in told:
            told = [word for word in told if word not in ("delivered", "read")]
        by_both = draw(st.booleans())
        steps += [(word, part, by_both) for word in told]
    mixed = draw(st.permutations([*steps, *["answer"] * parts]))
    files = draw(st.lists(st.booleans(), min_size=len(mixed), max_size=len(mixed)))
    return parts, list(zip(mixed, files, strict=True))


def expected(parts: int, steps: list[Any]) -> Status:
    of_part = dict.fromkeys(range(1, parts + 1), Status.SENT)
    for step, _ in steps:
        if step != "answer" and step[0] in OF_REPORT:
            of_part[step[1]] = max(of_part[step[1]], OF_REPORT[step[0]])
    return of_parts(list(of_part.values()))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_in_every_order_the_end_is_the_same(
    message: Message, private: Number, history: tuple[int, list[Any]]
) -> None:
    parts, steps = history
    point = transaction.savepoint()
    try:
        answered = 0
        for step, file_now in steps:
            if step == "answer":
                answered += 1
                answer(message, answered, parts)
            else:
                word, part, by_both = step
                say(private, StatusUpdate(word, f"p{part}", str(message.uuid) if by_both else ""))
            if file_now:
                file_events.drain()
        file_events.drain()
        end = Message.objects.get(pk=message.pk)
        assert (Status(end.status), end.queue_state) == (expected(parts, steps), queue.DONE)
        assert set(WebhookEvent.objects.values_list("state", flat=True)) <= {EventState.DONE}
        assert not WebhookEvent.objects.exclude(message=message).exists()
    finally:
        transaction.savepoint_rollback(point)


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "failed", "answer"])))
def test_a_message_of_one_request(message: Message, private: Number, order: tuple[str, ...]) -> None:
    for step in order:
        if step == "answer":
            answer(message)
        else:
            say(private, StatusUpdate(step, "p1", text=f"it is {step}"))  # type: ignore[arg-type]
        file_events.drain()
    message.refresh_from_db()
    assert (message.status, message.status_text) == (Status.DELIVERED, "it is delivered")
    assert DeliveryAttempt.objects.get().status == Status.DELIVERED


def test_a_report_by_our_id_alone_needs_no_answer(message: Message, private: Number) -> None:
    say(private, StatusUpdate("delivered", message_uuid=str(message.uuid)))
    file_events.drain()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED
    answer(message)
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.DELIVERED, queue.DONE)


def test_ids_that_differ_from_the_answers_are_found_by_ours(message: Message, private: Number) -> None:
    say(private, StatusUpdate("delivered", "other-than-p1", str(message.uuid)))
    file_events.drain()
    assert WebhookEvent.objects.get().state == EventState.ORPHAN
    answer(message)
    file_events.drain()
    message.refresh_from_db()
    assert (message.status, WebhookEvent.objects.get().state) == (Status.DELIVERED, EventState.DONE)


def test_the_reason_of_a_failed_part_is_the_messages(message: Message, private: Number) -> None:
    answer(message, 1, 2)
    answer(message, 2, 2)
    say(
        private,
        StatusUpdate("delivered", "p1"),
        StatusUpdate("failed", "p2", code="30", text="no such number"),
    )
    file_events.drain()
    message.refresh_from_db()
    assert (message.status, message.status_code, message.status_text) == (
        Status.FAILED,
        "30",
        "no such number",
    )


def test_retrying_is_recorded_and_changes_nothing(message: Message, private: Number) -> None:
    answer(message)
    say(private, StatusUpdate("retrying", "p1", text="try 2"))
    file_events.drain()
    message.refresh_from_db()
    event = WebhookEvent.objects.get()
    assert (message.status, event.state, event.message) == (Status.SENT, EventState.DONE, message)


def test_an_answer_that_is_committed_while_its_report_is_filed(
    message: Message, private: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    (event,) = say(private, StatusUpdate("delivered", "p1"))
    real = bulk.update

    def update(rows: Any, *names: str) -> None:
        answer(message)  # too late to be seen by the one who files, too early to see an orphan
        real(rows, *names)

    monkeypatch.setattr(bulk, "update", update)
    file_events.file_batch()
    monkeypatch.undo()
    event.refresh_from_db()
    assert event.state == EventState.WAITING
    file_events.drain()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED


def test_an_orphan_that_a_crash_left_behind_is_found_within_a_day(message: Message, private: Number) -> None:
    say(private, StatusUpdate("delivered", "p1"), StatusUpdate("delivered", "unknown"))
    file_events.drain()
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {EventState.ORPHAN}
    DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=message.integration,
        fence=1,
        started_at=message.created_at,
        result="sent",
        provider_id="p1",
        status=Status.SENT,
    )
    retention.clean_up()
    file_events.drain()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED
    assert WebhookEvent.objects.get(provider_id="unknown").state == EventState.ORPHAN


def test_100_reports_take_as_many_queries_as_one(
    message: Message, private: Number, service: Integration
) -> None:
    answer(message)
    counts = []
    for count in (1, 100):
        say(private, *[StatusUpdate("sent", "p1") for _ in range(count)])
        with CaptureQueriesContext(connection) as captured:
            assert file_events.file_batch() == count
        counts.append(len(captured))
    assert counts[0] == counts[1]
