"""Limits against mass sending: what is refused, in which words, and that a refusal stores nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from messaging.models import Assignment, Conversation, Message, Number
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
