"""Sending later: the time that is chosen, changing it, and taking a text back before it is sent."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from messaging.engine import claim, queue
from messaging.errors import Refused
from messaging.models import Message, Number, OptOut, WritingChoices
from messaging.outbound import render
from messaging.outbound.submit import resend, submit
from messaging.rules import schedule
from messaging.statuses import QueueState, Status
from portal.models import Account, Organization, User
from tests.messaging import queues
from tests.messaging.test_inbox import CONTACT, arrive, signed_in

HTMX = {"HX-Request": "true"}
TOMORROW = timedelta(days=1)
PERTH = ZoneInfo("Australia/Perth")


def scheduled(alice: User, number: Number, after: timedelta = TOMORROW) -> Message:
    return submit(alice, number, CONTACT, text="Later", send_at=timezone.now() + after)


def state(message: Message) -> tuple[str, int, str]:
    message.refresh_from_db()
    return message.status_name, message.queue_state, message.status_text


def write(user: User, pk: int, **fields: Any) -> Any:
    return signed_in(user).post(f"/inbox/{pk}/", {"text": "Hello", "uuid": uuid4(), **fields}, headers=HTMX)


def test_a_scheduled_text_is_due_at_its_time_and_expires_after_that(shared: Number, alice: User) -> None:
    message = scheduled(alice, shared)
    assert message.send_at is not None
    assert message.next_attempt_at == message.send_at
    assert message.expires_at == message.send_at + settings.MESSAGE_EXPIRY
    assert message.is_scheduled and claim.claim(8).claims == []
    schedule.send_now(message)
    [taken] = claim.claim(8).claims
    assert taken.id == message.pk


@pytest.mark.parametrize(("seconds", "held"), [(None, 5), (0, 0), (10, 10)])
def test_a_text_waits_as_long_as_its_author_wants_to_be_able_to_undo(
    shared: Number, alice: User, seconds: int | None, held: int
) -> None:
    if seconds is not None:
        WritingChoices.objects.create(user=alice, undo_seconds=seconds)
    pk = arrive(shared).conversation_id
    before = timezone.now()
    answer = write(alice, pk)
    message = Message.objects.get(direction="out")
    assert answer.status_code == 200
    assert ("Undo" in answer.content.decode()) is bool(held)
    if held:
        assert message.send_at is not None
        assert timedelta(0) <= message.send_at - before - timedelta(seconds=held) < timedelta(seconds=5)
    else:
        assert message.send_at is None


def test_texts_of_programs_go_at_once(shared: Number, alice: User) -> None:
    assert submit(alice, shared, CONTACT, text="Now").send_at is None


def test_canceling_is_final(shared: Number, alice: User) -> None:
    message = scheduled(alice, shared, timedelta(seconds=5))
    schedule.cancel(message, alice)
    assert state(message) == ("canceled", QueueState.DONE, "Canceled by Alice.")
    queue.advance([queue.Change(message.pk, 0, queue.DONE, Status.DELIVERED)])  # an impossible report
    assert state(message)[0] == "canceled"
    Message.objects.update(next_attempt_at=timezone.now() - TOMORROW)
    assert claim.claim(8).claims == []
    for late in (lambda: schedule.cancel(message, alice), lambda: schedule.send_now(message)):
        with pytest.raises(Refused):
            late()
    with pytest.raises(Refused):
        resend(alice, message)
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"queue_state": QueueState.CLAIMED, "lease_until": "2030-01-01T00:00:00Z", "attempts": 1},
        {"queue_state": QueueState.WAITING, "attempts": 1, "status": Status.SENDING},
        {"queue_state": QueueState.DONE, "status": Status.SENT},
        {"direction": "in"},
    ],
)
def test_what_was_tried_cannot_be_canceled_or_changed(
    shared: Number, alice: User, fields: dict[str, Any]
) -> None:
    message = scheduled(alice, shared)
    Message.objects.update(**fields)
    before = state(message)
    with pytest.raises(Refused):
        schedule.cancel(message, alice)
    with pytest.raises(Refused):
        schedule.reschedule(message, timezone.now() + TOMORROW)
    assert state(message) == before


def test_owner_colleague_and_stranger(
    shared: Number, alice: User, bob: User, charlie: User, admin_of_acme: User
) -> None:
    for number, user in enumerate((alice, bob)):
        message = scheduled(alice, shared)
        path = f"/inbox/messages/{message.uuid}"
        for stranger in (charlie, admin_of_acme):
            assert signed_in(stranger).post(f"{path}/cancel/", headers=HTMX).status_code == 404
            assert signed_in(stranger).post(f"{path}/time/", {"do": "now"}).status_code == 404
        assert state(message)[:2] == ("queued", QueueState.WAITING)
        assert signed_in(user).get(f"{path}/cancel/").status_code == 405
        later = timezone.now() + timedelta(days=2)
        answer = signed_in(user).post(f"{path}/time/", {"at": later.isoformat()}, headers=HTMX)
        message.refresh_from_db()
        assert (answer.status_code, message.send_at) == (200, later)
        assert message.expires_at == later + settings.MESSAGE_EXPIRY
        answer = signed_in(user).post(f"{path}/cancel/", headers=HTMX)
        assert (answer.status_code, state(message)[2]) == (200, f"Canceled by {user}.")
        assert f"Canceled by {user}." in answer.content.decode()
        assert ('"canceled"' in answer["HX-Trigger"]) is (user == alice)
        assert Message.objects.count() == number + 1
        assert signed_in(user).post(f"{path}/cancel/", headers=HTMX).status_code == 422


@pytest.mark.parametrize(
    "given",
    [
        *({"at": ""}, {"at": "soon"}, {"at": "2020-01-01T08:00"}, {"at": "9999-12-31T23:59"}),
        *({"at": "2026-13-40T99:99"}, {"at": "x" * 5000}, {"at": "\0"}, {}),
    ],
)
def test_a_time_that_is_none_is_refused_and_nothing_is_stored(
    shared: Number, alice: User, given: dict[str, str]
) -> None:
    message = scheduled(alice, shared)
    answer = signed_in(alice).post(f"/inbox/messages/{message.uuid}/time/", given, headers=HTMX)
    assert answer.status_code == 422
    sent = write(alice, message.conversation_id, later="at", **given)
    assert sent.status_code == 422 and Message.objects.count() == 1
    before = message.send_at
    message.refresh_from_db()
    assert message.send_at == before


def test_the_time_is_the_persons_own(shared: Number, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="America/New_York")
    pk = arrive(shared).conversation_id
    day = (timezone.now() + timedelta(days=3)).date()
    assert write(alice, pk, at=f"{day}T09:30").status_code == 200  # a time that is written counts
    message = Message.objects.get(direction="out")
    wanted = datetime.combine(day, datetime.min.time(), ZoneInfo("America/New_York"))
    assert message.send_at == wanted.replace(hour=9, minute=30)


@pytest.mark.parametrize(
    ("hour", "night", "day", "at"),
    [(7, True, 0, 8), (8, False, 1, 8), (21, False, 1, 8), (22, True, 1, 8), (0, True, 0, 8)],
)
def test_night_and_the_next_morning(hour: int, night: bool, day: int, at: int) -> None:
    moment = datetime(2026, 3, 1, hour, 0, tzinfo=PERTH)
    assert schedule.is_night(PERTH, moment) is night
    assert schedule.morning(PERTH, moment) == datetime(2026, 3, 1 + day, at, tzinfo=PERTH)


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("+4915112345678", "Europe/Berlin"),
        ("+12125550123", None),  # a country with several, and not the number's
        ("+61412345678", "Australia/Perth"),  # the number's: the person's own
        ("12345", None),
        ("alice@example.com", None),
    ],
)
def test_the_zone_of_a_contact(shared: Number, address: str, zone: str | None) -> None:
    with timezone.override(PERTH):
        found = schedule.zone_of(address, shared)
    assert (found and found.key) == zone


def test_an_opt_out_that_comes_before_the_time_counts(shared: Number, alice: User) -> None:
    message = scheduled(alice, shared)
    OptOut.objects.create(organization=shared.organization, number=shared, address=CONTACT)
    schedule.send_now(message)
    [job] = render.prepare(claim.claim(8).claims)
    assert job.refusal and not job.requests


def test_after_its_time_the_thread_says_for_when_it_was(shared: Number, alice: User) -> None:
    message = scheduled(alice, shared)
    client = signed_in(alice)
    page = client.get(f"/inbox/{message.conversation_id}/").content.decode()
    assert "scheduled" in page and "Change the time" in page and "Send now" in page
    Message.objects.update(status=Status.DELIVERED, queue_state=QueueState.DONE)
    page = client.get(f"/inbox/{message.conversation_id}/").content.decode()
    assert "delivered" in page and "Change the time" not in page and "Cancel<" not in page


@pytest.mark.django_db(transaction=True)
def test_of_a_claim_and_a_cancel_at_one_moment_never_both_win(account: Account, acme: Organization) -> None:
    template = queues.template_of(account)
    number = queues.number_of(queues.integration_of(acme, template, "http://a"), "+61855550001")
    messages = queues.write_many(number, 60)
    claimed: set[int] = set()
    canceled: set[int] = set()
    start = threading.Barrier(3)

    def claims() -> None:
        start.wait()
        for _round in range(20):
            claimed.update(item.id for item in claim.claim(2).claims)
        connections.close_all()

    def cancels(keys: list[int]) -> None:
        start.wait()
        canceled.update(key for key in keys if queue.cancel(key, "Canceled."))
        connections.close_all()

    keys = [message.pk for message in messages]
    # Whoever is faster, some are left for each: nobody cancels the first four, and not all are claimed.
    wanted = keys[4:]
    threads = [
        threading.Thread(target=claims),
        threading.Thread(target=cancels, args=(wanted[::2],)),
        threading.Thread(target=cancels, args=(wanted[::-1],)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert claimed and canceled and not claimed & canceled
    rows = dict(Message.objects.values_list("pk", "status"))
    assert {key for key, status in rows.items() if status == Status.CANCELED} == canceled
    assert {key for key, status in rows.items() if status == Status.SENDING} == claimed
    assert claimed | canceled == set(keys)


def test_nothing_is_scheduled_without_a_time(private: Number, alice: User) -> None:
    talk = arrive(private).conversation
    answer = write(alice, talk.pk, schedule="yes")
    assert (answer.status_code, Message.objects.filter(direction="out").count()) == (422, 0)
    assert "Choose a time, or press Send." in answer.content.decode()
    assert write(alice, talk.pk, schedule="yes", later="tomorrow").status_code == 200
    assert Message.objects.get(direction="out").is_scheduled


def test_the_list_says_of_a_text_that_it_waits_or_was_taken_back(shared: Number, alice: User) -> None:
    message = scheduled(alice, shared)
    client = signed_in(alice)
    assert '<span class="draft">Scheduled:</span> ' in client.get("/inbox/list/").content.decode()
    schedule.cancel(message, alice)
    assert '<span class="draft">Canceled:</span> ' in client.get("/inbox/list/").content.decode()
