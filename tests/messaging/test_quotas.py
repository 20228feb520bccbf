"""Limits against mass sending: what is refused, in which words, and that a refusal stores nothing."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from messaging.engine.outbox import Submission
from messaging.models import Assignment, Conversation, Message, Number
from messaging.outbound.enqueue import Submissions
from messaging.outbound.submit import Refused, resend, submit
from messaging.statuses import QueueState, Status
from portal.models import User


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("USER_PER_MINUTE", "You have sent 2 messages within a minute."),
        ("USER_PER_HOUR", "You have sent 2 messages within an hour"),
        ("NUMBER_PER_MINUTE", r"\+61855555501 has sent 2 messages within a minute"),
        ("ORGANIZATION_PER_HOUR", "Acme has sent 2 messages within an hour"),
    ],
)
def test_what_is_over_the_limit_is_refused_and_not_stored(
    private: Number, alice: User, settings: Any, setting: str, words: str
) -> None:
    setattr(settings, setting, 2)
    submit(alice, private, "+61412345671", text="one")
    submit(alice, private, "+61412345672", text="two")
    with pytest.raises(Refused, match=words):
        submit(alice, private, "+61412345673", text="three")
    assert (Message.objects.count(), Conversation.objects.count()) == (2, 2)
    Message.objects.update(created_at=F("created_at") - timedelta(minutes=61))
    submit(alice, private, "+61412345673", text="three")
    assert Message.objects.count() == 3


def test_a_colleague_and_another_number_have_their_own(
    private: Number, shared: Number, alice: User, bob: User, settings: Any
) -> None:
    settings.USER_PER_MINUTE = settings.NUMBER_PER_MINUTE = 1
    submit(alice, private, "+61412345671", text="one")
    with pytest.raises(Refused, match="You have sent"):
        submit(alice, shared, "+61412345672", text="two")
    submit(bob, shared, "+61412345672", text="two")
    Assignment.objects.create(number=private, user=bob)
    settings.USER_PER_MINUTE = 0
    with pytest.raises(Refused, match="has sent 1 messages"):
        submit(bob, private, "+61412345673", text="three")


def test_sending_again_does_not_count(private: Number, alice: User, settings: Any) -> None:
    settings.USER_PER_MINUTE = 1
    message = submit(alice, private, "+61412345671", text="one")
    Message.objects.update(status=Status.FAILED, queue_state=QueueState.DONE)
    message.refresh_from_db()
    assert resend(alice, message).resend_of == message


def test_counting_takes_the_same_queries_whatever_was_sent(
    private: Number, alice: User, settings: Any
) -> None:
    settings.USER_PER_MINUTE, settings.NUMBER_PER_MINUTE = 30, 120
    counts = []
    for place in range(10):
        with CaptureQueriesContext(connection) as queries:
            submit(alice, private, f"+6141234567{place}", text="x")
        counts.append(len(queries))
    assert set(counts) == {counts[0]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("setting", ["USER_PER_MINUTE", "NUMBER_PER_MINUTE", "ORGANIZATION_PER_HOUR"])
def test_processes_that_send_at_once_have_one_quota_together(
    private: Number, alice: User, settings: Any, setting: str
) -> None:
    setattr(settings, setting, 1)
    results: list[Any] = []
    over = threading.Event()

    def write(place: str) -> None:
        (found,) = Submissions().write([Submission(uuid4(), alice, private, f"+6141234567{place}", "text")])
        results.append(found)

    def other_process() -> None:
        try:
            with transaction.atomic():
                write("2")
        finally:
            over.set()
            connection.close()

    other = threading.Thread(target=other_process)
    with transaction.atomic():
        write("1")
        other.start()
        assert not over.wait(0.5)  # it counts once this is committed
    other.join(10)
    assert [isinstance(found, Refused) for found in results] == [False, True]
    assert Message.objects.count() == 1
