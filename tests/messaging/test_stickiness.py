"""Session stickiness: who sees a conversation on a shared number, before and after an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging.inbound import file_events
from messaging.models import Assignment, Attachment, Conversation, Message, Number, WebhookEvent
from messaging.outbound.enqueue import enqueue_many
from messaging.outbound.submit import Refused, prepare, submit
from portal.models import Membership, User
from tests.messaging.rules import CONTACT, accept, receive


@pytest.fixture
def sticky(shared: Number) -> Number:
    """A number of Alice and Bob where conversations stay private for two hours."""
    shared.sticky_hours = 2
    shared.save()
    return shared


def test_a_batch_that_begins_many_conversations_takes_no_more_queries(sticky: Number, alice: User) -> None:
    costs = []
    for start, count in ((100, 1), (200, 12)):
        batch = [
            prepare(alice, sticky, f"+61412345{start + place}", text="Hi", uuid=uuid4())
            for place in range(count)
        ]
        with CaptureQueriesContext(connection) as queries:
            enqueue_many(batch)
        costs.append(len(queries))
    assert costs[0] == costs[1]
    assert Conversation.objects.filter(private_to=alice).count() == 13


def passed(**time: int) -> None:
    Conversation.objects.update(private_until=F("private_until") - timedelta(**time))


def seen_by(*users: User) -> list[tuple[int, int]]:
    """For each user: how many conversations and messages there are."""
    return [
        (Conversation.objects.for_user(user).count(), Message.objects.for_user(user).count())
        for user in users
    ]


def test_a_begun_conversation_is_private(sticky: Number, alice: User, bob: User, charlie: User) -> None:
    submit(alice, sticky, CONTACT, text="Your results are here")
    conversation = Conversation.objects.get()
    assert conversation.private_to == alice
    assert seen_by(alice, bob, charlie) == [(1, 1), (0, 0), (0, 0)]


@pytest.mark.parametrize(("minutes", "private"), [(0, True), (119, True), (121, False)])
def test_an_answer_in_time_stays_private_a_later_one_is_for_all(
    sticky: Number, alice: User, bob: User, charlie: User, minutes: int, private: bool
) -> None:
    submit(alice, sticky, CONTACT, text="one")
    passed(minutes=minutes)
    receive(sticky, "two")
    receive(sticky, "three")
    assert seen_by(alice, bob, charlie) == [(1, 3), (0, 0) if private else (1, 3), (0, 0)]


def test_what_arrived_in_time_counts_although_it_is_filed_late(
    sticky: Number, alice: User, bob: User
) -> None:
    submit(alice, sticky, CONTACT, text="one")
    accept(sticky, "two")
    arrived = WebhookEvent.objects.get().created_at
    Conversation.objects.update(private_until=arrived + timedelta(microseconds=1))
    file_events.drain()
    assert seen_by(bob) == [(0, 0)]


def test_each_answer_prolongs_it(sticky: Number, alice: User, bob: User) -> None:
    submit(alice, sticky, CONTACT, text="one")
    for text in ("two", "three", "four"):
        passed(minutes=90)
        receive(sticky, text)
    passed(minutes=90)
    submit(alice, sticky, CONTACT, text="five")
    passed(minutes=90)
    receive(sticky, "six")
    assert seen_by(alice, bob) == [(1, 6), (0, 0)]


def test_what_the_contact_began_is_for_all(sticky: Number, alice: User, bob: User) -> None:
    receive(sticky, "hello?")
    submit(alice, sticky, CONTACT, text="hi")
    assert seen_by(alice, bob) == [(1, 2), (1, 2)]


@pytest.mark.parametrize("users", [1, 2])
@pytest.mark.parametrize("hours", [0, 2])
def test_only_on_numbers_with_several_users_and_stickiness(
    shared: Number, alice: User, bob: User, users: int, hours: int
) -> None:
    Number.objects.update(sticky_hours=hours)
    if users == 1:
        Assignment.objects.filter(user=bob).delete()
    submit(alice, shared, CONTACT, text="one")
    assert (Conversation.objects.get().private_to == alice) is (users == 2 and hours == 2)


def test_a_colleague_is_refused_in_words_while_it_is_private(sticky: Number, alice: User, bob: User) -> None:
    submit(alice, sticky, CONTACT, text="one")
    with pytest.raises(Refused, match="Alice has a private conversation with this contact until"):
        submit(bob, sticky, CONTACT, text="two")
    assert Message.objects.count() == 1
    passed(minutes=121)
    submit(bob, sticky, CONTACT, text="two")
    assert seen_by(alice, bob) == [(1, 2), (1, 2)]


def _blocked(number: Number, alice: User) -> None:
    Membership.objects.filter(user=alice).update(status=Membership.Status.BLOCKED)


def _unassigned(number: Number, alice: User) -> None:
    Assignment.objects.filter(user=alice).delete()


def _left(number: Number, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


@pytest.mark.parametrize("change", [_blocked, _unassigned, _left])
def test_an_answer_to_somebody_who_left_is_for_the_others(
    sticky: Number, alice: User, bob: User, change: Any
) -> None:
    submit(alice, sticky, CONTACT, text="one")
    change(sticky, alice)
    receive(sticky, "two")
    assert seen_by(bob) == [(1, 2)]


def test_switching_stickiness_off_opens_what_was_private(sticky: Number, alice: User, bob: User) -> None:
    submit(alice, sticky, CONTACT, text="one")
    sticky.sticky_hours = 0
    sticky.save()
    assert seen_by(bob) == [(1, 1)]


def test_a_file_of_a_private_conversation(
    sticky: Number, alice: User, bob: User, charlie: User, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    submit(alice, sticky, CONTACT, files=[SimpleUploadedFile("a.txt", b"secret")])
    conversation = Conversation.objects.get()
    urls = [
        reverse("inbox_file", args=[Attachment.objects.get().uuid]),
        reverse("conversation", args=[conversation.pk]),
        reverse("inbox_thread", args=[conversation.pk]),
    ]
    for user, status in ((alice, 200), (bob, 404), (charlie, 404)):
        client = Client()
        client.force_login(user)
        for url in urls:
            answer = client.get(url)
            answer.getvalue()
            assert answer.status_code == status
        assert (CONTACT in client.get(reverse("inbox")).content.decode()) is (user == alice)


def test_the_page_says_that_it_is_private(sticky: Number, alice: User) -> None:
    submit(alice, sticky, CONTACT, text="one")
    client = Client()
    client.force_login(alice)
    url = reverse("conversation", args=[Conversation.objects.get().pk])
    assert "Private to you until" in client.get(url).content.decode()
    passed(minutes=121)
    assert "Private to you. The next answer is for Bob too." in client.get(url).content.decode()
