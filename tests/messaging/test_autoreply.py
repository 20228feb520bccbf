"""What numbers answer by themselves, when they do not, and that two machines come to rest."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import Integration
from messaging.inbound import file_events
from messaging.models import AutoReply, Conversation, Message, Number, OptOut, WebhookEvent
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.rules import autoreply
from portal.models import User
from tests.messaging.rules import CONTACT, accept, answers, receive

WELCOME = ("initial", "Welcome!")
HOURS = ("keyword HOURS", "9 to 5")


@pytest.fixture
def number(private: Number) -> Number:
    """With a welcome and an answer to HOURS."""
    AutoReply.objects.create(number=private, keyword="*", text="Welcome!")
    AutoReply.objects.create(number=private, keyword="HOURS", text="9 to 5")
    return private


def ago(**time: Any) -> None:
    """All that happened so far was so long ago."""
    shift = dt.timedelta(**time)
    for message in Message.objects.all():
        Message.objects.filter(pk=message.pk).update(created_at=message.created_at - shift)
    for item in Conversation.objects.all():
        Conversation.objects.filter(pk=item.pk).update(last_at=item.last_at - shift)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["hi"], [WELCOME]),
        (["hi", "and?"], [WELCOME]),
        (["hours"], [HOURS]),
        (["Hours!"], [HOURS]),
        (["hi", "HOURS"], [WELCOME, HOURS]),
        (["hours", "hours"], [HOURS]),
        (["hours", "hi"], [HOURS]),
        (["opening hours"], [WELCOME]),
    ],
)
@pytest.mark.parametrize("filed", ["each", "together"])
def test_which_text_is_answered(
    number: Number, texts: list[str], expected: list[tuple[str, str]], filed: str
) -> None:
    for place, text in enumerate(texts):
        accept(number, text, f"m{place}")
        if filed == "each":
            file_events.drain()
    file_events.drain()
    assert answers() == expected


def test_an_answer_is_a_message_of_the_conversation(number: Number, sandbox: Any) -> None:
    receive(number, "hi")
    conversation = Conversation.objects.get()
    reply = Message.objects.get(direction="out")
    assert (reply.conversation, reply.author, reply.integration) == (conversation, None, number.integration)
    assert conversation.last_message == reply
    dispatch.drain()
    assert [request.json["content"] for request in sandbox.received] == ["Welcome!"]


@pytest.mark.parametrize(
    ("sticky", "passed", "again"),
    [(0, {"hours": 23}, False), (0, {"hours": 25}, True), (2, {"hours": 1}, False), (2, {"hours": 3}, True)],
)
def test_the_welcome_comes_back_after_the_stickiness_or_a_day(
    number: Number, sticky: int, passed: dict[str, int], again: bool
) -> None:
    Number.objects.update(sticky_hours=sticky)
    receive(number, "hi")
    ago(**passed)
    receive(number, "me again")
    assert answers() == ([WELCOME, WELCOME] if again else [WELCOME])


def test_who_was_written_to_gets_no_welcome(number: Number, alice: User) -> None:
    submit(alice, number, CONTACT, text="Your parcel is here")
    receive(number, "thanks")
    assert answers() == []


@pytest.mark.parametrize(("minutes", "count"), [(4, 1), (6, 2)])
def test_a_keyword_is_answered_again_after_five_minutes(number: Number, minutes: int, count: int) -> None:
    receive(number, "hours")
    ago(minutes=minutes)
    receive(number, "HOURS?")
    assert answers() == [HOURS] * count


@pytest.mark.parametrize("sender", ["12345", "Acme Shop"])
def test_machines_get_no_answer(number: Number, sender: str) -> None:
    receive(number, "hours", sender=sender)
    assert (answers(), Message.objects.count()) == ([], 1)


def test_who_opted_out_gets_no_answer(number: Number) -> None:
    OptOut.objects.create(organization=number.organization, number=number, address=CONTACT)
    receive(number, "hours")
    assert answers() == []


@pytest.mark.parametrize("change", [{"enabled": False}, None])
def test_without_a_service_there_is_no_answer(number: Number, change: dict[str, Any] | None) -> None:
    accept(number, "hours")
    if change is None:
        Number.objects.update(integration=None)
    else:
        Integration.objects.update(**change)
    file_events.drain()
    assert (answers(), Message.objects.count()) == ([], 1)


def test_an_echo_is_not_answered(number: Number) -> None:
    AutoReply.objects.create(number=number, keyword="9 to 5", text="and on Sundays")
    Number.objects.update(header="Acme:")
    receive(number, "hours")
    receive(number, "9 to 5")
    receive(number, "Acme:\n9 to 5", "again")
    assert answers() == [HOURS]


@pytest.mark.parametrize(("hour", "day"), [(autoreply.PER_HOUR, 0), (0, autoreply.PER_DAY)])
def test_a_contact_gets_so_many_automatic_answers(number: Number, hour: int, day: int) -> None:
    receive(number, "hi")
    conversation = Conversation.objects.get()
    for place in range((hour or day) - 2):
        Message.objects.create(
            organization=number.organization,
            conversation=conversation,
            direction="out",
            automatic=f"keyword {place}",
            created_at=timezone.now() - dt.timedelta(minutes=30 if hour else 120),
            expires_at=timezone.now(),
        )
    receive(number, "help")
    before = len(answers())
    receive(number, "hours")
    assert (before, len(answers())) == (hour or day, hour or day)


def test_two_numbers_that_answer_each_other_come_to_rest(
    number: Number, shared: Number, sandbox: Any
) -> None:
    """Each is the other's contact, and each answer is a keyword of the other: the worst case."""
    AutoReply.objects.all().delete()
    for owner in (number, shared):
        AutoReply.objects.create(number=owner, keyword="*", text="HOURS")
        for keyword, text in (("HOURS", "PRICES"), ("PRICES", "INFO"), ("ROOMS", "HOURS")):
            AutoReply.objects.create(number=owner, keyword=keyword, text=text)
        Number.objects.filter(pk=owner.pk).update(help_answer="ROOMS")
    peers = {number.number: number, shared.number: shared}
    accept(number, "hello", sender=shared.number)
    rounds = 0
    while rounds < 50:
        file_events.drain()
        seen = len(sandbox.received)
        dispatch.drain()
        fresh = [request.json for request in sandbox.received[seen:]]
        if not fresh:
            break
        rounds += 1
        for place, sent in enumerate(fresh):
            accept(peers[sent["to"]], sent["content"], f"{rounds} {place}", sender=sent["from"])
    assert 1 < rounds <= 2 * autoreply.PER_HOUR
    assert Message.objects.filter(direction="out").count() <= 2 * autoreply.PER_HOUR


def test_answers_of_a_batch_take_a_constant_number_of_queries(number: Number, settings: Any) -> None:
    settings.NUMBER_PER_MINUTE = 120
    counts = []
    for size in (1, 10):
        for place in range(size):
            accept(number, "hours", f"{size} {place}", sender=f"+614123456{size}{place}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            file_events.file_batch()
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert len(answers()) == 11


def test_nothing_is_asked_of_numbers_without_answers(private: Number) -> None:
    accept(private, "hello")
    with CaptureQueriesContext(connection) as queries:
        file_events.file_batch()
    assert sum("autoreply" in query["sql"] for query in queries) == 1
    assert not any("optout" in query["sql"] for query in queries)


@pytest.mark.parametrize("filed", ["each", "together"])
def test_the_numbers_limit_holds_automatic_answers_back(number: Number, settings: Any, filed: str) -> None:
    settings.NUMBER_PER_MINUTE = 1
    for place, text in enumerate(("hi", "hours", "stop")):
        accept(number, text, f"m{place}")
        if filed == "each":
            file_events.drain()
    file_events.drain()
    assert [why for why, _text in answers()] == (["initial", "opt-out"] if filed == "each" else ["opt-out"])


@pytest.mark.django_db(transaction=True)
def test_two_workers_give_the_first_answer_once(number: Number) -> None:
    for place in range(6):
        receive(number, "long ago", f"old {place}", sender=f"+6141234567{place}")
    ago(hours=25)
    before = len(answers())
    for place in range(12):
        accept(number, f"hi {place}", f"new {place}", sender=f"+6141234567{place // 2}")
    waiting = list(WebhookEvent.objects.filter(state="waiting").order_by("pk").values_list("pk", flat=True))
    start = threading.Barrier(2)

    def work(keys: list[int]) -> None:
        try:
            for pk in keys:
                start.wait()
                file_events._file(WebhookEvent.objects.filter(pk=pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[waiting[half::2]]) for half in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Message.objects.filter(direction="in", text__startswith="hi ").count() == 12
    assert len(answers()) == before + 6
