"""Each outcome caused for real by a provider that answers so, and the promises of the queue."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations import holds
from integrations.events import Fault, HttpResponse, Outcome
from integrations.models import Integration, PropertyValues, Template
from integrations.sandbox import Mode, Sandbox
from messaging import drain, errors
from messaging.engine import claim, queue
from messaging.models import DeliveryAttempt, Message, Number, OptOut
from messaging.outbound import dispatch, record, render, retry_policy
from messaging.outbound.submit import submit
from messaging.rules import changed_numbers
from messaging.statuses import QueueState, Status, of_parts
from portal.models import User

pytestmark = pytest.mark.django_db(transaction=True)

WAITING, CLAIMED, DONE = QueueState.WAITING, QueueState.CLAIMED, QueueState.DONE


def write(author: User, number: Number, index: int = 0, text: str = "hello") -> Message:
    return submit(author, number, f"+61412{index:06d}", text=text)


def seconds_until_next(message: Message) -> float:
    return (message.next_attempt_at - timezone.now()).total_seconds()


@pytest.mark.parametrize(
    ("mode", "result", "status", "state", "earliest", "latest"),
    [
        ("ok", "sent", Status.SENT, DONE, None, None),
        ("401", "unauthorized", Status.SENDING, WAITING, 7, 13),
        ("500", "retry", Status.SENDING, WAITING, 7, 13),
        ("garbage", "unknown", Status.UNKNOWN, DONE, None, None),
    ],
)
def test_outcomes(
    sandbox: Sandbox,
    private: Number,
    alice: User,
    mode: Mode,
    result: str,
    status: Status,
    state: int,
    earliest: float | None,
    latest: float | None,
) -> None:
    sandbox.answer_with(mode)
    message = write(alice, private)
    dispatch.drain()
    message.refresh_from_db()
    attempt = message.delivery_attempts.get()
    assert (attempt.result, message.status, message.queue_state) == (result, status, state)
    assert len(sandbox.received) == 1
    assert bool(attempt.text) == (mode != "ok")
    if earliest is not None and latest is not None:
        assert earliest < seconds_until_next(message) < latest
    dispatch.drain()
    assert len(sandbox.received) == 1


def test_429_waits_as_long_as_the_provider_says(sandbox: Sandbox, private: Number, alice: User) -> None:
    sandbox.answer_with("429", seconds=40)
    message = write(alice, private)
    dispatch.drain()
    message.refresh_from_db()
    attempt = message.delivery_attempts.get()
    said = float(attempt.answer_headers["retry-after"])
    assert attempt.result == "throttled"
    assert said - 3 < seconds_until_next(message) <= said + 1


@pytest.mark.parametrize("mode", ["refuse"])
def test_a_refused_connection_is_tried_again(
    sandbox: Sandbox, private: Number, alice: User, mode: Mode
) -> None:
    sandbox.stop()
    message = write(alice, private)
    dispatch.drain()
    sandbox.start()
    message.refresh_from_db()
    assert (message.delivery_attempts.get().result, message.queue_state) == ("retry", WAITING)
    assert sandbox.received == []


def test_no_answer_is_unknown_and_never_sent_again(sandbox: Sandbox, private: Number, alice: User) -> None:
    template = _own_template(private, sandbox, timeout=1)
    sandbox.answer_with("hang", seconds=4)
    message = write(alice, private)
    dispatch.drain()
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.UNKNOWN, DONE)
    dispatch.drain()
    assert len(sandbox.received) == 1
    assert template.service_id == "own"


def test_no_answer_is_tried_again_where_the_service_suppresses_repeats(
    sandbox: Sandbox, private: Number, alice: User
) -> None:
    _own_template(private, sandbox, timeout=1, idempotent=True)
    sandbox.answer_with("hang", seconds=4)
    message = write(alice, private)
    dispatch.drain()
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.SENDING, WAITING)


def _own_template(number: Number, sandbox: Sandbox, **send: Any) -> Template:
    source = {
        "id": "own",
        "name": "Own",
        "properties": [{"name": "URL", "type": "url", "secret": False}, "Key"],
        "auth": {"type": "Bearer", "token": "$Key$"},
        "API": {
            "SendMessage": {
                "request_url": "$URL$",
                "request_parameters": {"from": "$from$", "to": "$to$", "content": "$content$"},
                "response_map": {"data": {"id": "$messageid$"}},
                **send,
            }
        },
    }
    template = Template(account=number.account)
    template.revise(json.dumps(source))
    integration = Integration.objects.create(organization=number.organization, template=template)
    holds.enter(integration, {"URL": sandbox.api_url, "Key": "sandbox-key"})
    Number.objects.filter(pk=number.pk).update(integration=integration)
    return template


@pytest.mark.parametrize("together", [False, True])
def test_what_waits_does_not_go_through_a_provider_that_was_taken_off_the_number(
    sandbox: Sandbox, private: Number, alice: User, together: bool
) -> None:
    def choose(integration: Integration | None) -> None:
        private.integration = integration
        if together:
            Number.objects.filter(pk=private.pk).update(integration=integration)
            changed_numbers.follow_up([private])
        else:
            private.save()

    before = private.integration
    now, later = write(alice, private, 1), write(alice, private, 2)
    Message.objects.filter(pk=later.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    choose(None)
    dispatch.drain()
    now.refresh_from_db()
    assert (now.status, now.status_text) == (Status.FAILED, errors.no_integration())
    choose(before)
    Message.objects.filter(pk=later.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    dispatch.drain()
    later.refresh_from_db()
    assert (later.status, len(sandbox.received)) == (Status.SENT, 1)


def test_a_message_waits_while_its_file_cannot_be_read(
    sandbox: Sandbox, private: Number, alice: User, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    asked = {"from": "$from$", "to": "$to$", "content": "$content$", "file": "$media[0].content$"}
    _own_template(private, sandbox, request_parameters=asked)
    message = submit(alice, private, "+61412345678", text="hi", files=[SimpleUploadedFile("a.txt", b"hello")])
    (tmp_path / "media").rename(tmp_path / "away")
    dispatch.drain()
    message.refresh_from_db()
    assert (message.status, message.queue_state, sandbox.received) == (Status.SENDING, WAITING, [])
    assert message.status_text == "A file of the message cannot be read at the moment."
    assert 7 < seconds_until_next(message) < 13

    (tmp_path / "away").rename(tmp_path / "media")
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    dispatch.drain()
    message.refresh_from_db()
    assert message.status == Status.SENT
    assert json.loads(sandbox.received[0].body)["file"] == "aGVsbG8="


def test_trouble_is_shown_until_the_service_takes_a_message_again(
    sandbox: Sandbox, private: Number, alice: User, service: Integration
) -> None:
    sandbox.answer_with("401", "ok")
    write(alice, private)
    dispatch.drain()
    service.refresh_from_db()
    assert service.trouble and service.trouble_since
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    Integration.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    dispatch.drain()
    service.refresh_from_db()
    assert (service.trouble, service.trouble_since) == ("", None)
    assert Message.objects.get().status == Status.SENT


def test_a_retry_goes_on_with_the_first_part_that_was_not_sent(
    sandbox: Sandbox, private: Number, alice: User, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    sandbox.answer_with("ok", "500", "ok")
    message = submit(
        alice, private, "+61412345678", text="caption", files=[SimpleUploadedFile("a.txt", b"hello")]
    )
    dispatch.drain()
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    dispatch.drain()
    message.refresh_from_db()
    keys = [sorted(json.loads(item.body).keys() & {"content", "media_url"}) for item in sandbox.received]
    assert keys == [["content"], ["media_url"], ["media_url"]]
    attempts = message.delivery_attempts.values_list("part", "parts", "result")
    assert list(attempts) == [(1, 2, "sent"), (2, 2, "retry"), (2, 2, "sent")]
    assert message.status == Status.SENT


def test_an_opt_out_holds_at_the_moment_of_sending(sandbox: Sandbox, private: Number, alice: User) -> None:
    message = write(alice, private)
    OptOut.objects.create(organization=private.organization, number=private, address="+61412000000")
    dispatch.drain()
    message.refresh_from_db()
    assert (message.status, sandbox.received) == (Status.FAILED, [])
    assert "opted out" in message.status_text


def test_an_expired_message_is_not_sent(sandbox: Sandbox, private: Number, alice: User) -> None:
    write(alice, private)
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    dispatch.drain()
    assert (Message.objects.get().status, sandbox.received) == (Status.FAILED, [])


def test_a_service_that_is_switched_off_sends_nothing(sandbox: Sandbox, private: Number, alice: User) -> None:
    write(alice, private)
    Integration.objects.update(enabled=False)
    dispatch.drain()
    message = Message.objects.get()
    assert (message.status, sandbox.received) == (Status.FAILED, [])
    assert "switched off" in message.status_text


def test_a_secret_under_a_lost_key_fails_its_own_messages_only(
    sandbox: Sandbox, private: Number, alice: User
) -> None:
    _own_template(private, sandbox)
    lost = write(alice, private)
    other = Number.objects.create(
        organization=private.organization,
        integration=Integration.objects.get(template__service_id="generic"),
        number="+61855555509",
        country="AU",
    )
    other.assignments.create(user=alice)
    fine = write(alice, other, 1)
    row = PropertyValues.objects.get(integration__template__service_id="own")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE integrations_propertyvalues SET values = %s WHERE id = %s", [b"lost", row.pk]
        ) if (connection.vendor == "postgresql") else cursor.execute(
            'UPDATE integrations_propertyvalues SET "values" = %s WHERE id = %s', [b"lost", row.pk]
        )
    dispatch.drain()
    lost.refresh_from_db()
    fine.refresh_from_db()
    assert (lost.status, fine.status) == (Status.FAILED, Status.SENT)


def test_secrets_are_nowhere_in_the_traces(sandbox: Sandbox, private: Number, alice: User) -> None:
    sandbox.answer_with("ok", "401")
    write(alice, private)
    write(alice, private, 1)
    dispatch.drain()
    for row in [*DeliveryAttempt.objects.values(), *Message.objects.values()]:
        assert "sandbox-key" not in json.dumps(row, default=str)
    assert DeliveryAttempt.objects.first().headers["Authorization"] == "Bearer •••"  # type: ignore[union-attr]


def test_no_more_is_claimed_than_there_are_slots(private: Number, alice: User) -> None:
    for index in range(5):
        write(alice, private, index)
    assert claim.claim(0).claims == []
    assert len(claim.claim(1).claims) == 1
    assert len(claim.claim(4).claims) == 3
    assert Message.objects.filter(queue_state=CLAIMED).count() == 4
    assert len(claim.claim(10).claims) == 1


def test_one_message_of_a_conversation_at_a_time_and_in_order(private: Number, alice: User) -> None:
    first, second = write(alice, private, text="first"), write(alice, private, text="second")
    assert [claim.id for claim in claim.claim(10).claims] == [first.pk]
    assert claim.claim(10).claims == []
    queue.record([queue.Change(first.pk, 1, DONE, Status.SENT)])
    assert [claim.id for claim in claim.claim(10).claims] == [second.pk]


def test_messages_arrive_in_the_order_they_were_written(
    sandbox: Sandbox, private: Number, alice: User
) -> None:
    for index in range(10):
        write(alice, private, text=f"text {index}")
    dispatch.drain()
    texts = [json.loads(item.body)["content"] for item in sandbox.received]
    assert texts == [f"text {index}" for index in range(10)]


def test_claims_never_overlap(private: Number, alice: User) -> None:
    for index in range(40):
        write(alice, private, index)
    found: list[int] = []

    def work() -> None:
        while claims := claim.claim(3).claims:
            found.extend(claim.id for claim in claims)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(Message.objects.values_list("pk", flat=True))


def test_a_lost_claim_does_not_overwrite(private: Number, alice: User) -> None:
    message = write(alice, private)
    (old,) = claim.claim(1).claims
    Message.objects.update(queue_state=WAITING)
    (new,) = claim.claim(1).claims
    assert (old.fence, new.fence) == (1, 2)
    assert queue.record([queue.Change(old.id, old.fence, DONE, Status.FAILED)]) == set()
    message.refresh_from_db()
    assert (message.queue_state, message.status) == (CLAIMED, Status.SENDING)
    assert queue.record([queue.Change(new.id, new.fence, DONE, Status.SENT)]) == {message.pk}


def test_an_expired_lease_becomes_unknown(private: Number, alice: User, sandbox: Sandbox) -> None:
    message = write(alice, private)
    claim.claim(1)
    assert dispatch.recover() == 0
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert dispatch.recover() == 1
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.UNKNOWN, DONE)
    assert sandbox.received == []


def test_the_only_process_recovers_all_claims_at_once(private: Number, alice: User) -> None:
    write(alice, private)
    claim.claim(1)
    assert dispatch.recover(everything=True) == 1


@pytest.mark.parametrize("now", list(Status))
@pytest.mark.parametrize("new", list(Status))
def test_a_status_never_goes_back(private: Number, alice: User, now: Status, new: Status) -> None:
    message = write(alice, private)
    Message.objects.update(status=now, queue_state=DONE)
    queue.advance([queue.Change(message.pk, 0, 0, new)])
    message.refresh_from_db()
    assert message.status == max(now, new)


def test_a_batch_takes_as_many_queries_for_ten_as_for_one(private: Number, alice: User) -> None:
    """Claimed, prepared, recorded, and looked for more; the first batch also reads what the process keeps."""
    counts = []
    for batch in (range(1), range(1, 2), range(2, 102)):
        for index in batch:
            write(alice, private, index)
        with CaptureQueriesContext(connection) as captured:
            taken = claim.claim(200)
            jobs = render.prepare(taken.claims, taken.known)
            record.record([_sent(job) for job in jobs])
            assert claim.claim(200).claims == []
        assert len(jobs) == len(batch)
        counts.append(len(captured))
    assert counts[1:] == [16 if connection.vendor == "postgresql" else 15] * 2
    assert not Message.objects.exclude(status=Status.SENT).exists()


def _sent(job: render.Job) -> record.Exchange:
    assert job.through is not None
    body = b'{"data": {"id": "%d"}}' % job.message.pk
    answer = HttpResponse(200, {"content-type": "application/json"}, body)
    return record.Exchange(job, job.through, job.parts[0], timezone.now(), 1, answer)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 10), (2, 60), (3, 300), (4, 900), (5, 3600), (9, 21600)]
)
def test_waits_grow(private: Number, alice: User, attempts: int, seconds: int) -> None:
    message = write(alice, private)
    message.attempts = attempts
    change = retry_policy.decide(message, 1, Outcome("retry", text="busy"), seconds_left=86400)
    assert seconds * 0.8 <= change.delay <= seconds * 1.2
    assert (change.queue_state, change.status) == (queue.WAITING, Status.SENDING)


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 1), (30.0, 30), (10**9, 6 * 3600)])
def test_retry_after_is_honoured_within_bounds(
    private: Number, alice: User, asked: float, waited: float
) -> None:
    asked_for = Outcome("throttled", retry_after=asked)
    change = retry_policy.decide(write(alice, private), 1, asked_for, seconds_left=86400)
    assert change.delay == waited


def test_a_retry_after_the_expiry_ends_it(private: Number, alice: User) -> None:
    message = write(alice, private)
    change = retry_policy.decide(message, 1, Outcome("retry", text="busy"), seconds_left=5)
    assert (change.queue_state, change.status) == (queue.DONE, Status.FAILED)
    assert "busy" in change.text


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([Status.SENT], Status.SENT),
        ([Status.DELIVERED, Status.SENT], Status.SENT),
        ([Status.DELIVERED, Status.READ], Status.DELIVERED),
        ([Status.READ, Status.FAILED], Status.FAILED),
    ],
)
def test_the_status_of_parts(parts: list[Status], whole: Status) -> None:
    assert of_parts(parts) == whole


def test_a_database_that_is_away_loses_nothing_that_was_answered(
    sandbox: Sandbox, private: Number, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind of statement of a drain fails once while its requests are under way or answered."""
    write(alice, private)
    write(alice, private, 1)
    failing = ["messaging_deliveryattempt", "integrations_integration"]

    def fail_once(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sandbox.received and failing and failing[0] in sql:
            failing.pop(0)
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail_once):
        dispatch.drain()
    assert failing == []
    assert set(Message.objects.values_list("status", "queue_state")) == {(Status.SENT, DONE)}
    assert (len(sandbox.received), DeliveryAttempt.objects.count()) == (2, 2)
    assert caplog.text.count("the results of requests are kept in memory") == 2


def test_what_is_recorded_twice_is_there_once(private: Number, alice: User) -> None:
    """A commit whose answer got lost is tried again."""
    message = write(alice, private)
    (job,) = render.prepare(claim.claim(1).claims)
    for _ in range(2):
        record.record([_sent(job)])
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.SENT, DONE)
    assert DeliveryAttempt.objects.count() == 1


def test_stopping_cuts_what_does_not_end_and_records_it(
    sandbox: Sandbox, private: Number, alice: User, service: Integration
) -> None:
    sandbox.answer_with("hang")
    message = write(alice, private)
    thread = threading.Thread(target=_drain)
    thread.start()
    while not sandbox.received:
        time.sleep(0.01)
    later = write(alice, private, 1)
    dispatch.stop(0.1)
    thread.join()
    drain.start()
    for item in (message, later, service):
        item.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.UNKNOWN, DONE)
    assert (later.status, later.queue_state, later.attempts) == (Status.QUEUED, WAITING, 0)
    assert service.failures == 0


def _drain() -> None:
    dispatch.drain()
    connections.close_all()


def test_what_was_not_written_when_we_stop_is_left_to_another_process(
    private: Number, alice: User, service: Integration
) -> None:
    message = write(alice, private)
    (job,) = render.prepare(claim.claim(1).claims)
    assert job.through is not None
    fault = Fault("connect", "No connection: Patchbay was stopped.")
    record.record([record.Exchange(job, job.through, job.parts[0], timezone.now(), 1, fault)], stopping=True)
    message.refresh_from_db()
    service.refresh_from_db()
    assert (message.status, message.queue_state, service.failures) == (Status.SENDING, WAITING, 0)
    assert [item.id for item in claim.claim(1).claims] == [message.pk]


def test_two_sweepers_recover_a_message_once(private: Number, alice: User) -> None:
    for index in range(20):
        write(alice, private, index)
    claim.claim(40)
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    recovered: list[int] = []
    together = threading.Barrier(2)

    def work() -> None:
        together.wait()
        recovered.append(dispatch.recover())
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(recovered) == 20
    assert set(Message.objects.values_list("status", "queue_state")) == {(Status.UNKNOWN, DONE)}


def test_the_clock_of_a_process_decides_nothing(sandbox: Sandbox, private: Number, alice: User) -> None:
    """Two days ahead: nothing has expired, no lease is over."""
    message = write(alice, private)
    other = write(alice, private, 1)
    queue.record([queue.Change(claimed.id, claimed.fence, CLAIMED, 10) for claimed in claim.claim(1).claims])
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=True):
        assert dispatch.recover() == 0
        dispatch.drain()
    message.refresh_from_db()
    other.refresh_from_db()
    assert (message.queue_state, other.status) == (CLAIMED, Status.SENT)


@pytest.mark.parametrize(
    ("held", "answered", "waits"),
    [
        (dispatch.GATHER_FROM - 1, 1, False),  # few are under way: each is written at once
        (100, 10, True),
        (100, dispatch.GATHER_MOST + 1, False),  # enough for a batch: the others are on their way meanwhile
    ],
)
def test_answers_are_gathered_while_many_are_under_way(
    held: int, answered: int, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, slept = dispatch.Dispatcher(), list[float]()
    monkeypatch.setattr(
        dispatch.time, "sleep", lambda seconds: slept.append(seconds) or dispatcher.answers.put(more)
    )
    exchanges: list[Any] = [object() for _ in range(answered)]
    more: Any = object()
    for exchange in exchanges:
        dispatcher.answers.put(exchange)
    dispatcher.in_flight[1] = held
    found = dispatcher.next_answers(None)
    assert found[:answered] == exchanges
    assert bool(slept) == waits
    assert len(found) == answered + len(slept)
    assert len(found) <= dispatch.GATHER_MOST + 1
