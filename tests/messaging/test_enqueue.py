"""Submissions of one moment: one transaction, the same statements for any number, and a result for each."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging.engine.outbox import Submission, Submitted
from messaging.errors import LimitReached, Refused
from messaging.models import Contact, Conversation, Message, Number, OptOut
from messaging.outbound.enqueue import Submissions
from portal.models import User


def submission(
    author: User | None, number: Number, place: int = 0, uuid: UUID | None = None, **more: Any
) -> Submission:
    return Submission(uuid or uuid4(), author, number, f"+614123400{place:02}", f"text {place}", **more)


def write(batch: list[Submission]) -> list[Submitted | Refused]:
    """The results of a batch that is written at once."""
    with transaction.atomic():
        return Submissions().write(batch)


def outcomes(batch: list[Submission]) -> list[str]:
    """The text of each message, or the reason why there is none."""
    return [found.message.text if isinstance(found, Submitted) else str(found) for found in write(batch)]


@pytest.mark.parametrize("known", [False, True])
def test_one_or_twenty_take_the_same_statements(private: Number, alice: User, known: bool) -> None:
    if known:
        write([submission(alice, private, place) for place in range(25)])
    counts = []
    for places in (range(1), range(1, 21)):
        with CaptureQueriesContext(connection) as queries:
            write([submission(alice, private, place) for place in places])
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert Conversation.objects.count() == Contact.objects.count() == (25 if known else 21)


def test_each_has_its_own_result(private: Number, shared: Number, alice: User, bob: User) -> None:
    OptOut.objects.create(organization=private.organization, number=private, address="+61412340002")
    found = outcomes(
        [
            submission(alice, private, 1),
            submission(alice, private, 2),
            submission(bob, private, 3),
            submission(bob, shared, 4),
            submission(None, private, 5, trusted=True),
            submission(None, private, 6),
        ]
    )
    not_yours = "You cannot send through this number."
    assert found == [
        "text 1", "+61412340002 has opted out of messages from this number.", not_yours, "text 4", "text 5", not_yours,
    ]  # fmt: skip
    assert list(Message.objects.order_by("pk").values_list("text", flat=True)) == [
        "text 1",
        "text 4",
        "text 5",
    ]
    assert Contact.objects.count() == 3


def test_a_uuid_is_one_message_also_within_a_moment(
    private: Number, shared: Number, alice: User, bob: User
) -> None:
    uuid = uuid4()
    first, second, stranger = write(
        [
            submission(user, number, 1, uuid)
            for user, number in ((alice, private), (alice, private), (bob, shared))
        ]
    )
    assert isinstance(first, Submitted)
    assert (first.before, second) == (None, Submitted(first.key, first.address, first.message))
    assert isinstance(stranger, Refused)
    assert write([submission(alice, private, 1, uuid)]) == [second]
    assert Message.objects.count() == 1


def test_the_messages_of_a_moment_count_towards_the_limits(
    private: Number, alice: User, settings: Any
) -> None:
    settings.USER_PER_MINUTE = 3
    write([submission(alice, private)])
    found = write([submission(alice, private, place) for place in range(4)])
    assert [type(item) for item in found] == [Submitted, Submitted, LimitReached, LimitReached]
    assert Message.objects.count() == 3


def test_a_conversation_shows_the_latest_of_its_messages(private: Number, alice: User) -> None:
    write([submission(alice, private, 1), submission(alice, private, 2), submission(alice, private, 1)])
    for conversation in Conversation.objects.all():
        assert conversation.last_message == conversation.messages.latest("pk")


def test_the_first_of_a_moment_makes_a_conversation_private(shared: Number, alice: User, bob: User) -> None:
    shared.sticky_hours = 4
    shared.save()
    mine, his = write([submission(alice, shared, 1), submission(bob, shared, 1)])
    assert isinstance(mine, Submitted)
    assert str(his).startswith("Alice has a private conversation with this contact until ")
    conversation = Conversation.objects.get()
    assert (conversation.private_to, conversation.last_message) == (alice, mine.message)
