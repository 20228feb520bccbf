"""Resending one or many messages: previews, permissions, refusals, and workers that die."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.models import Integration
from messaging.engine import sweep
from messaging.models import Assignment, BulkResend, Message, Number, OptOut
from messaging.outbound import bulk_resend, submit
from messaging.statuses import QueueState, Status
from messaging.wakeups import Task
from portal.models import Organization, User
from tests.messaging.queues import write_many

pytestmark = pytest.mark.django_db

LIST = "/admin/messaging/message/"
START = "/admin/messaging/message/send-again/"


def failed(number: Number, count: int, author: User | None = None, **fields: Any) -> list[Message]:
    fields = {"status": Status.FAILED, "queue_state": QueueState.DONE, **fields}
    return write_many(number, count, author=author, **fields)


def copies() -> list[int | None]:
    """Of which messages there are copies, in the order of these."""
    rows = Message.objects.filter(resend_of__isnull=False).order_by("pk")
    return list(rows.values_list("resend_of", flat=True))


def joined(rows: list[Message]) -> str:
    return ",".join(str(row.pk) for row in rows)


@pytest.mark.parametrize("who", ["operator", "reseller", "admin_of_acme"])
def test_one_goes_again_in_its_authors_name(
    private: Number, alice: User, client: Client, request: pytest.FixtureRequest, who: str
) -> None:
    (message,) = failed(private, 1, alice)
    Assignment.objects.all().delete()  # Alice does not use the number any more
    client.force_login(request.getfixturevalue(who))
    for _ in range(2):  # pressed twice
        answer = client.post(reverse("admin:messaging_resend_one", args=[message.pk]), follow=True)
    copy = Message.objects.get(resend_of=message)
    assert (copy.author, copy.text, copy.queue_state) == (alice, "text 0", QueueState.WAITING)
    assert answer.redirect_chain[-1][0] == reverse("admin:messaging_message_change", args=[copy.pk])


def test_what_nobody_wrote_stays_so(private: Number, admin_of_acme: User, client: Client) -> None:
    (message,) = failed(private, 1, automatic="keyword HOURS")
    client.force_login(admin_of_acme)
    client.post(reverse("admin:messaging_resend_one", args=[message.pk]))
    copy = Message.objects.get(resend_of=message)
    assert (copy.author, copy.automatic) == (None, "keyword HOURS")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda number, to: OptOut.objects.create(organization=number.organization, number=number, address=to), "has opted out"),
        (lambda number, to: Number.objects.update(active=False), "cannot send through this number"),
        (lambda number, to: Integration.objects.update(enabled=False), "has no provider to send through"),
        (lambda number, to: Message.objects.update(status=Status.DELIVERED), "Only a message that failed"),
    ],
    ids=["opted out", "number off", "service off", "arrived"],
)  # fmt: skip
def test_what_cannot_go_again_says_why(
    private: Number,
    alice: User,
    admin_of_acme: User,
    client: Client,
    spoil: Callable[[Number, str], object],
    reason: str,
) -> None:
    (message,) = failed(private, 1, alice)
    spoil(private, message.conversation.contact.address)
    client.force_login(admin_of_acme)
    answer = client.post(reverse("admin:messaging_resend_one", args=[message.pk]), follow=True)
    assert reason in answer.content.decode()
    assert copies() == []


def every_kind(number: Number, author: User) -> dict[str, list[Message]]:
    kinds = {
        "failed": failed(number, 3, author),
        "unknown": failed(number, 2, author, status=Status.UNKNOWN),
        "arrived": failed(number, 1, author, status=Status.DELIVERED),
        "copied": failed(number, 1, author),
        "out": failed(number, 1, author),
    }
    submit.resend_for_author(kinds["copied"][0])
    address = kinds["out"][0].conversation.contact.address
    OptOut.objects.create(organization=number.organization, number=number, address=address)
    return kinds


def test_the_page_says_what_would_go_again(
    private: Number, alice: User, admin_of_acme: User, client: Client
) -> None:
    kinds = every_kind(private, alice)
    chosen = [row.pk for rows in kinds.values() for row in rows]
    client.force_login(admin_of_acme)
    page = client.post(LIST, {"action": "resend", "_selected_action": chosen})
    preview = page.context["preview"]
    assert preview.failed == [row.pk for row in kinds["failed"]]
    assert preview.unknown == [row.pk for row in kinds["unknown"]]
    assert dict(preview.refused) == {
        "Sent, or still in the queue": 1,
        "Already resent": 1,
        "Contact has opted out": 1,
    }
    assert "3 failed messages will be resent" in page.content.decode()
    assert copies() == [kinds["copied"][0].pk]
    assert not BulkResend.objects.exists()


def test_looking_at_many_takes_one_query(private: Number, alice: User) -> None:
    failed(private, 40, alice)
    with CaptureQueriesContext(connection) as captured:
        found = bulk_resend.preview(Message.objects.all())
    assert (len(found.failed), len(captured)) == (40, 1)


@pytest.mark.parametrize(("include", "sent"), [("", 3), ("unknown", 5)])
def test_many_go_again_in_chunks(
    private: Number,
    alice: User,
    admin_of_acme: User,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    include: str,
    sent: int,
) -> None:
    monkeypatch.setattr(bulk_resend, "CHUNK", 2)
    kinds = every_kind(private, alice)
    client.force_login(admin_of_acme)
    data = {"failed": joined(kinds["failed"]), "unknown": joined(kinds["unknown"]), "include": include}
    page = client.post(START, data, follow=True)
    assert "every 2s" in page.content.decode()
    assert Task.RESEND in sweep.due_tasks()[0]
    bulk_resend.drain()
    row = BulkResend.objects.get()
    assert (row.author, row.done, row.sent, row.refused) == (admin_of_acme, sent, sent, [])
    wanted = kinds["failed"] + (kinds["unknown"] if include else [])
    assert copies() == [kinds["copied"][0].pk, *(message.pk for message in wanted)]
    assert Task.RESEND not in sweep.due_tasks()[0]
    page = client.get(page.redirect_chain[-1][0])
    assert f"{sent} of {sent} messages processed." in page.content.decode()
    assert "every 2s" not in page.content.decode()


def test_what_changed_meanwhile_is_told(
    private: Number, alice: User, admin_of_acme: User, client: Client
) -> None:
    first, second = failed(private, 2, alice)
    row = bulk_resend.start(admin_of_acme, [first.pk, second.pk, 10**12])
    Message.objects.filter(pk=second.pk).update(status=Status.DELIVERED)
    bulk_resend.drain()
    row.refresh_from_db()
    assert (row.done, row.sent) == (3, 1)
    assert row.refused == [
        [second.pk, "Only a message that failed or got no response can be sent again."],
        [10**12, "The message no longer exists."],
    ]
    client.force_login(admin_of_acme)
    page = client.get(reverse("admin:messaging_resend_progress", args=[row.pk]))
    assert second.conversation.contact.address in page.content.decode()


def test_a_chunk_whose_worker_dies_is_done_by_the_next(
    private: Number, alice: User, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = failed(private, 5, alice)
    row = bulk_resend.start(operator, [message.pk for message in rows])
    real, calls = submit.resend_for_author, []

    def dies(message: Message) -> Message:
        calls.append(message.pk)
        if len(calls) == 4:
            raise SystemExit
        return real(message)

    monkeypatch.setattr(bulk_resend, "CHUNK", 2)
    monkeypatch.setattr(submit, "resend_for_author", dies)
    with pytest.raises(SystemExit):
        bulk_resend.drain()
    row.refresh_from_db()
    assert (row.done, row.sent, row.finished_at) == (2, 2, None)
    assert copies() == [message.pk for message in rows[:2]]
    bulk_resend.drain()
    row.refresh_from_db()
    assert (row.done, row.sent) == (5, 5)
    assert copies() == [message.pk for message in rows]


def test_one_that_fails_oddly_holds_up_nobody(
    private: Number, alice: User, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = failed(private, 2, alice)
    real = submit.resend_for_author

    def odd(message: Message) -> Message:
        if message == first:
            raise ZeroDivisionError
        return real(message)

    monkeypatch.setattr(submit, "resend_for_author", odd)
    row = bulk_resend.start(operator, [first.pk, second.pk])
    bulk_resend.drain()
    row.refresh_from_db()
    assert (row.sent, row.finished_at is None) == (1, False)
    assert row.refused == [[first.pk, "The message could not be resent. The server's log has the details."]]
    assert copies() == [second.pk]


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_once(
    private: Number, alice: User, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_resend, "CHUNK", 3)
    rows = failed(private, 30, alice)
    for half in (rows[::2], rows[1::2]):
        bulk_resend.start(operator, [message.pk for message in half])
    problems: list[BaseException] = []

    def work() -> None:
        try:
            bulk_resend.drain()
        except BaseException as error:
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bulk_resend.drain()  # a thread ends when the other holds the last row
    assert problems == []
    assert sorted(key or 0 for key in copies()) == sorted(message.pk for message in rows)
    assert [row.sent for row in BulkResend.objects.order_by("pk")] == [15, 15]


@pytest.mark.parametrize("own", [0, 1])
def test_strangers_start_nothing(
    private: Number, globex: Organization, alice: User, admin_of_globex: User, client: Client, own: int
) -> None:
    messages = failed(private, 2, alice)
    if own:
        theirs = Number.objects.create(organization=globex, number="+61855555599", country="AU")
        messages += failed(theirs, 1)
    client.force_login(admin_of_globex)
    assert client.post(START, {"failed": joined(messages)}).status_code == 404
    assert client.post(reverse("admin:messaging_resend_one", args=[messages[0].pk])).status_code == 404
    assert not BulkResend.objects.exists()
    assert copies() == []


@pytest.mark.parametrize(
    ("who", "status"),
    [("reseller", 200), ("operator", 200), ("admin_of_acme", 404), ("admin_of_globex", 404)],
)
def test_progress_is_for_who_began_it(
    private: Number, reseller: User, client: Client, request: pytest.FixtureRequest, who: str, status: int
) -> None:
    row = bulk_resend.start(reseller, [])
    client.force_login(request.getfixturevalue(who))
    assert client.get(reverse("admin:messaging_resend_progress", args=[row.pk])).status_code == status


@pytest.mark.parametrize(("outcome", "status"), [("sent", Status.SENT), ("failed", Status.FAILED)])
def test_an_unknown_outcome_is_settled_by_hand(
    private: Number, alice: User, admin_of_acme: User, client: Client, outcome: str, status: Status
) -> None:
    (message,) = failed(private, 1, alice, status=Status.UNKNOWN)
    client.force_login(admin_of_acme)
    page = client.get(reverse("admin:messaging_message_change", args=[message.pk])).content.decode()
    assert "Mark as failed" in page
    client.post(reverse("admin:messaging_settle", args=[message.pk]), {"outcome": outcome})
    message.refresh_from_db()
    assert message.status == status
    assert "by Ada" in message.status_text


def test_strangers_settle_nothing(
    private: Number, alice: User, admin_of_globex: User, client: Client
) -> None:
    (message,) = failed(private, 1, alice, status=Status.UNKNOWN)
    client.force_login(admin_of_globex)
    url = reverse("admin:messaging_settle", args=[message.pk])
    assert client.post(url, {"outcome": "sent"}).status_code == 404
    message.refresh_from_db()
    assert message.status == Status.UNKNOWN


def test_nothing_chosen_starts_nothing(private: Number, operator: User, client: Client) -> None:
    client.force_login(operator)
    answer = client.post(START, {"failed": "x,-1,99999999999999999999"}, follow=True)
    assert "There are no messages to resend." in answer.content.decode()
    assert not BulkResend.objects.exists()
