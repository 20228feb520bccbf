"""Events out: receivers are told of texts and alerts, by signed requests, until they accept them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import Integration
from messaging import alerts, erasure, retention
from messaging.alerts import wording
from messaging.api.serializers import MessageSerializer
from messaging.engine import queue, sweep
from messaging.models import (
    Alert,
    Contact,
    Conversation,
    EventKind,
    Message,
    Number,
    OutgoingEvent,
    Receiver,
)
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.receivers import deliver, outbox
from messaging.receivers import queue as receivers
from messaging.rules import move_number, schedule
from messaging.statuses import QueueState, Status
from messaging.wakeups import Task
from portal.models import Account, Organization, User
from tests.local_server import LocalServer
from tests.messaging.rules import CONTACT, receive

pytestmark = pytest.mark.django_db

Answer = tuple[int, dict[str, str], bytes]


class Program(LocalServer):
    """A program that keeps what it is told, and answers by path as it is told, else 204."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, list[Answer | Callable[[], Answer]]] = {}
        super().__init__()

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.came.append((path, {name.lower(): value for name, value in headers.items()}, body))
        waiting = self.answers.get(path)
        answer = waiting.pop(0) if waiting else (204, {}, b"")
        return answer() if callable(answer) else answer

    def told(self, path: str = "/hook") -> list[dict[str, Any]]:
        """What it was told at a path, in order."""
        return [json.loads(body) for at, _headers, body in self.came if at == path]

    def ids(self, path: str = "/hook") -> list[str]:
        return [headers["webhook-id"] for at, headers, _body in self.came if at == path]


@pytest.fixture
def program(settings: Any, sandbox: Any) -> Iterator[Program]:
    made = Program()
    settings.PATCHBAY_ALLOWED_ORIGINS = [*settings.PATCHBAY_ALLOWED_ORIGINS, made.origin]
    yield made
    made.stop()


def receiver_of(owner: Organization | Account, url: str, **fields: Any) -> Receiver:
    if isinstance(owner, Organization):
        owned: dict[str, Any] = {"account": owner.account, "organization": owner}
        wanted = {"received": True, "statuses": True, "alerts": True}
    else:
        owned, wanted = {"account": owner}, {"alerts": True}
    return Receiver.objects.create(url=url, **owned, **(wanted | fields))


@pytest.fixture
def receiver(acme: Organization, program: Program) -> Receiver:
    return receiver_of(acme, f"{program.origin}/hook")


def signed_by(secret: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures is of this secret, as the specification describes the check."""
    assert secret[:6] == b"whsec_"
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    made = base64.b64encode(hmac.new(base64.b64decode(secret[6:]), content, hashlib.sha256).digest()).decode()
    found = [each.split(",", 1) for each in headers["webhook-signature"].split(" ")]
    assert {version for version, _ in found} == {"v1"}
    return made in {value for _, value in found}


def soon() -> None:
    """All waits are over."""
    past = timezone.now() - timedelta(seconds=1)
    OutgoingEvent.objects.exclude(due_at=None).update(due_at=past)
    Receiver.objects.exclude(paused_until=None).update(paused_until=past)
    deliver.drain()


def row() -> OutgoingEvent:
    return OutgoingEvent.objects.get()


def test_a_text_that_arrives_is_told_once_and_signed(
    receiver: Receiver, private: Number, program: Program
) -> None:
    receive(private, "Is it ready? 🎉")
    assert Task.DELIVER_EVENTS in sweep.due_tasks()[0]
    before = time.time()
    deliver.drain()
    deliver.drain()
    assert sweep.due_tasks() == (set(), False)
    message = Message.objects.get()
    (told,) = program.told()
    assert told == {
        "id": str(row().uuid),
        "type": "message.received",
        "timestamp": outbox.moment(message.created_at),
        "data": {
            "id": str(message.uuid),
            "organization": "acme.example",
            "from": CONTACT,
            "to": private.number,
            "members": [],
            "text": "Is it ready? 🎉",
            "files": 0,
            "created_at": outbox.moment(message.created_at),
        },
    }
    ((_path, headers, body),) = program.came
    assert headers["webhook-id"] == told["id"]
    assert before - 1 <= int(headers["webhook-timestamp"]) <= time.time()
    assert headers["content-type"] == "application/json"
    assert signed_by(bytes(receiver.secret), headers, body)
    assert not signed_by(b"whsec_" + base64.b64encode(b"another secret of 24 byte"), headers, body)
    assert (row().status, row().problem, row().due_at, row().attempts) == (204, "", None, 1)
    assert row().delivered_at is not None


def test_each_status_is_told_once_in_the_words_of_the_api(
    receiver: Receiver, private: Number, alice: User, program: Program
) -> None:
    message = submit(alice, private, CONTACT, text="Yes")
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    dispatch.drain()
    for status in (Status.SENT, Status.DELIVERED, Status.DELIVERED, Status.SENT, Status.READ):
        queue.advance([queue.Change(message.pk, 0, queue.DONE, status, "", "")])
        deliver.drain()
    assert [told["data"]["status"] for told in program.told()] == ["sent", "delivered", "read"]
    assert {told["type"] for told in program.told()} == {"message.status"}
    message.refresh_from_db()
    last = program.told()[-1]
    said = MessageSerializer(message).data
    assert last["data"] == {**said, "organization": "acme.example", "members": []}
    assert last["timestamp"] == said["changed_at"]
    assert len(set(program.ids())) == 3


def test_what_fails_without_a_request_is_told_too(
    receiver: Receiver, private: Number, globex: Organization, alice: User, program: Program
) -> None:
    moved, canceled = (
        submit(alice, private, CONTACT, text="1"),
        submit(alice, private, "+61412000000", text="2"),
    )
    schedule.cancel(canceled, alice)
    move_number.move(private, globex)
    deliver.drain()
    told = {each["data"]["id"]: each["data"] for each in program.told()}
    assert told[str(moved.uuid)]["status"] == "failed"
    assert "moved" in told[str(moved.uuid)]["status_text"]
    assert told[str(canceled.uuid)]["status"] == "canceled"


def test_expired_messages_are_told(
    receiver: Receiver, private: Number, alice: User, program: Program
) -> None:
    submit(alice, private, CONTACT, text="late")
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert private.integration_id is not None
    queue.expire([private.integration_id], "Too late.")
    deliver.drain()
    assert [told["data"]["status_text"] for told in program.told()] == ["Too late."]


@pytest.mark.parametrize(
    ("answer", "seconds", "said"),
    [
        ((500, {}, b""), 5, "It answered 500 instead of 200."),
        ((503, {"Retry-After": "120"}, b""), 120, "It answered 503 instead of 200."),
        ((302, {"Location": "/other"}, b""), 5, "Redirects are not followed"),
        ((401, {}, b"whsec_leaked"), 5, "Does it check the signature with the current secret?"),
        ((404, {}, b""), 5, "Is the address right?"),
    ],
)
def test_what_is_not_accepted_is_told_again_under_the_same_id(
    receiver: Receiver,
    private: Number,
    program: Program,
    answer: Answer,
    seconds: int,
    said: str,
) -> None:
    program.answers["/hook"] = [answer]
    receive(private, "Hello")
    deliver.drain()
    assert said in row().problem and "leaked" not in row().problem
    assert row().status == answer[0]
    due_at = row().due_at
    assert due_at is not None
    assert timedelta(seconds=0.7 * seconds) < due_at - timezone.now() < timedelta(seconds=1.3 * seconds)
    deliver.drain()  # it is not due
    assert len(program.came) == 1
    soon()
    first, second = program.came
    assert first[1]["webhook-id"] == second[1]["webhook-id"] and first[2] == second[2]
    assert row().delivered_at is not None and row().attempts == 2
    receiver.refresh_from_db()
    assert (receiver.failures, receiver.failing_since, receiver.paused_until) == (0, None, None)


def test_an_answer_that_is_lost_with_the_process_is_asked_for_again_under_the_same_id(
    receiver: Receiver, private: Number, program: Program
) -> None:
    receive(private, "Hello")
    (claimed,) = receivers.claim([receiver.pk], 10)  # by a process that dies after sending
    assert receivers.ready() == {} and receivers.claim([receiver.pk], 10) == []
    soon()
    assert program.ids() == [str(claimed.uuid)]
    assert row().attempts == 2
    # The one that was thought dead comes late, and changes nothing.
    receivers.record([receivers.Change(claimed, False, 5, 500, "late")])
    assert (row().due_at, row().status) == (None, 204)


def test_a_connection_that_breaks_says_so(receiver: Receiver, private: Number, settings: Any) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = []
    receive(private, "Hello")
    deliver.drain()
    assert "not on the public internet" in row().problem
    assert row().status is None and row().due_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_slow_receiver_delays_nobody(
    receiver: Receiver, private: Number, globex: Organization, acme: Organization, program: Program
) -> None:
    quick = receiver_of(acme, f"{program.origin}/quick")
    opened, arrived = threading.Event(), threading.Event()

    def hold() -> Answer:
        arrived.set()
        opened.wait()
        return 200, {}, b""

    program.answers["/hook"] = [hold]
    receive(private, "one")
    working = threading.Thread(target=run)
    working.start()
    try:
        assert arrived.wait(20)
        receive(private, "two")
        deliver.drain()  # has the thread look again
        wait_until(lambda: quick.events.exclude(delivered_at=None).count() == 2)
        assert receiver.events.filter(delivered_at=None).count() == 2
        assert len(program.told("/hook")) == 1
    finally:
        opened.set()
        working.join(20)
    assert OutgoingEvent.objects.filter(delivered_at=None).count() == 0


def run() -> None:
    try:
        deliver.drain()
    finally:
        connection.close()


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_receiver_that_fails_gets_one_event_at_a_time_until_it_works(
    receiver: Receiver, private: Number, program: Program
) -> None:
    for number in range(4):
        receive(private, f"text {number}", f"m{number}")
    program.answers["/hook"] = [(500, {}, b"")] * 5
    deliver.drain()
    assert len(program.came) == 4
    receiver.refresh_from_db()
    assert receiver.failures == 1  # they were under way together
    receive(private, "text 4", "m4")
    deliver.drain()
    assert len(program.came) == 4  # it is paused
    soon()
    assert len(program.came) == 5  # one, which fails
    assert receivers.ready() == {}
    soon()
    assert len(program.came) == 5 + 5
    assert OutgoingEvent.objects.filter(delivered_at=None).count() == 0


def test_an_event_that_nobody_takes_is_given_up_after_a_day_and_can_be_sent_again(
    receiver: Receiver, private: Number, program: Program
) -> None:
    receive(private, "old", "m1")
    receive(private, "waiting", "m2")
    OutgoingEvent.objects.update(expires_at=timezone.now())
    second = OutgoingEvent.objects.order_by("-pk")[0]
    OutgoingEvent.objects.filter(pk=second.pk).update(due_at=timezone.now() + timedelta(hours=1))
    program.answers["/hook"] = [(500, {}, b"")]
    deliver.drain()
    assert OutgoingEvent.objects.failed().count() == 2
    assert sweep.due_tasks() == (set(), False)
    assert OutgoingEvent.objects.failed().send_again() == 2
    soon()
    assert OutgoingEvent.objects.filter(delivered_at=None).count() == 0
    assert program.ids().count(str(second.uuid)) == 1
    assert len(set(program.ids())) == 2


@pytest.mark.parametrize("gone", [True, False])
def test_a_receiver_that_fails_for_days_is_switched_off_and_its_admins_are_told(
    receiver: Receiver, private: Number, admin_of_acme: User, alice: User, program: Program, gone: bool
) -> None:
    other = receiver_of(private.account, f"{program.origin}/account")
    receive(private, "one", "m1")
    receive(private, "two", "m2")
    if not gone:
        Receiver.objects.filter(pk=receiver.pk).update(
            failures=9, failing_since=timezone.now() - timedelta(days=3, minutes=1)
        )
    program.answers["/hook"] = [(410 if gone else 500, {}, b"")] * 2
    deliver.drain()
    receiver.refresh_from_db()
    assert not receiver.enabled and receiver.off_reason.startswith(
        "It answered 4" if gone else "It answered 5"
    )
    assert OutgoingEvent.objects.failed().count() == 2
    assert Task.SEND_ALERTS in sweep.due_tasks()[0]
    alerts.send_due()
    (letter,) = mail.outbox
    assert letter.to == [admin_of_acme.email]
    assert letter.subject == f"{receiver.place} gets no more events of Acme"
    assert f"/admin/messaging/receiver/{receiver.pk}/change/" in letter.body
    deliver.drain()
    (told,) = program.told("/account")
    assert (told["type"], told["data"]["kind"]) == ("alert.raised", "receiver")
    receive(private, "three", "m3")
    assert receiver.events.count() == 2  # nothing is kept for it
    Receiver.objects.filter(pk=receiver.pk).update(enabled=True)
    receiver.start_over()
    alerts.send_due()
    deliver.drain()
    assert [each["type"] for each in program.told("/account")] == ["alert.raised", "alert.over"]
    assert {each["data"]["id"] for each in program.told("/account")} == {told["data"]["id"]}
    assert other.events.count() == 2


def test_alerts_are_told_to_the_organization_and_its_account_and_to_nobody_else(
    receiver: Receiver,
    service: Integration,
    account: Account,
    globex: Organization,
    admin_of_acme: User,
    program: Program,
    settings: Any,
) -> None:
    receiver_of(account, f"{program.origin}/account")
    receiver_of(globex, f"{program.origin}/globex")
    receiver_of(Account.objects.create(name="Other"), f"{program.origin}/other")
    settings.EMAIL_BACKEND = "tests.messaging.test_receivers.Refusing"
    Integration.objects.filter(pk=service.pk).update(
        tell_at=Now(), paused_until=Now(), trouble="Key +61 refused."
    )
    alerts.send_due()
    Alert.objects.update(tell_at=Now())
    alerts.send_due()  # again, since the mail server refuses: the event is noted once
    deliver.drain()
    assert sorted(path for path, _, _ in program.came) == ["/account", "/hook"]
    (told,) = program.told("/hook")
    alert = Alert.objects.get()
    assert told == {
        "id": str(receiver.events.get().uuid),
        "type": "alert.raised",
        "timestamp": outbox.moment(alert.began_at),
        "data": {
            "id": told["data"]["id"],
            "kind": "sending",
            "account": account.accountid,
            "organization": "acme.example",
            "provider": service.template.name,
            "title": f"{service.template.name} is paused for Acme",
            "reason": "Key +61 refused.",
            "url": wording.url(alert),
            "began_at": outbox.moment(alert.began_at),
            "over_at": None,
        },
    }
    assert program.told("/account") == [told]


class Refusing(BaseEmailBackend):
    """A mail server that takes nothing."""

    def send_messages(self, letters: Any) -> int:
        raise OSError("refused")


def test_two_receivers_of_an_organization_get_the_same_event_under_the_same_id(
    receiver: Receiver, private: Number, acme: Organization, program: Program
) -> None:
    receiver_of(acme, f"{program.origin}/too")
    receiver_of(acme, f"{program.origin}/off", enabled=False)
    receiver_of(acme, f"{program.origin}/alerts", received=False, statuses=False)
    receive(private, "Hello")
    deliver.drain()
    assert sorted(path for path, _, _ in program.came) == ["/hook", "/too"]
    assert program.told("/hook") == program.told("/too") != []


def test_other_organizations_learn_nothing(
    private: Number, globex: Organization, account: Account, alice: User, program: Program
) -> None:
    receiver_of(globex, f"{program.origin}/globex")
    receiver_of(account, f"{program.origin}/account", received=True, statuses=True)
    receive(private, "Hello")
    message = submit(alice, private, CONTACT, text="Hello")
    queue.advance([queue.Change(message.pk, 0, queue.DONE, Status.DELIVERED)])
    assert not OutgoingEvent.objects.exists()


def test_while_a_secret_is_replaced_both_sign(receiver: Receiver, private: Number, program: Program) -> None:
    old = bytes(receiver.secret)
    new = receiver.renew_secret().encode()
    assert new != old
    receive(private, "one", "m1")
    deliver.drain()
    ((_, headers, body),) = program.came
    assert signed_by(old, headers, body) and signed_by(new, headers, body)
    Receiver.objects.update(old_secret_until=timezone.now())
    receive(private, "two", "m2")
    deliver.drain()
    _, headers, body = program.came[-1]
    assert not signed_by(old, headers, body) and signed_by(new, headers, body)


def test_where_nobody_wants_to_know_statuses_cost_nothing_and_texts_one_look(
    private: Number, alice: User, acme: Organization
) -> None:
    message = submit(alice, private, CONTACT, text="Hello")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        queue.advance([queue.Change(message.pk, 0, queue.DONE, Status.SENT)])
    assert statements(queries) == ["UPDATE messaging_message"]
    receive(private, "first", "m0")
    with CaptureQueriesContext(connection) as queries:
        receive(private, "second", "m1")
    looks = [each for each in queries if "messaging_receiver" in each["sql"]]
    assert len(looks) == 1


def statements(queries: CaptureQueriesContext) -> list[str]:
    words = [each["sql"].split()[:2] for each in queries]
    return [" ".join(two) for two in words if two[0] not in ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")]


def test_a_batch_of_statuses_costs_as_many_statements_as_one(
    receiver: Receiver, private: Number, alice: User, acme: Organization
) -> None:
    receiver_of(acme, "https://hooks.example/")
    keys = [submit(alice, private, f"+6141234567{n}", text="Hello").pk for n in range(10)]
    counts = []
    for some in (keys[:1], keys[1:]):
        with CaptureQueriesContext(connection) as queries:
            queue.advance([queue.Change(key, 0, queue.DONE, Status.SENT) for key in some])
        counts.append(len(queries))
        assert sum("INSERT INTO" in each["sql"] for each in queries) == 1
    assert counts[0] == counts[1]
    assert OutgoingEvent.objects.count() == 20


def test_erasing_a_contact_erases_what_was_told_of_it_and_what_is_still_to_be_told(
    receiver: Receiver, private: Number, alice: User, program: Program
) -> None:
    receive(private, "secret words")
    deliver.drain()
    message = submit(alice, private, CONTACT, text="secret answer")
    queue.advance([queue.Change(message.pk, 0, queue.DONE, Status.SENT)])
    receive(private, "of somebody else", "m9", sender="+61412000009")
    came = len(program.came)
    Message.objects.update(queue_state=QueueState.DONE)
    erasure.carry_out(erasure.start(private.organization, CONTACT, None).pk)
    (left,) = OutgoingEvent.objects.all()
    assert "of somebody else" in left.payload
    deliver.drain()
    assert len(program.came) == came + 1


@pytest.mark.parametrize("group", [False, True])
def test_a_text_that_an_erasure_keeps_from_being_sent_is_told_without_content(
    receiver: Receiver, private: Number, globex: Organization, alice: User, program: Program, group: bool
) -> None:
    theirs = receiver_of(globex, f"{program.origin}/theirs")
    message = submit(alice, private, CONTACT, text="secret words")
    if group:
        other = Contact.objects.create(organization=private.organization, address="+61412000009")
        talk = Contact.objects.get(address=CONTACT)
        both = Contact.objects.create(
            organization=private.organization, address=f"+61412000009, {CONTACT}", is_group=True
        )
        both.members.set([other, talk])
        Conversation.objects.update(contact=both)
    row = erasure.start(private.organization, CONTACT, None)
    assert erasure.carry_out(row.pk) and not erasure.carry_out(row.pk)
    deliver.drain()
    (told,) = program.told()
    assert told["type"] == "message.status"
    assert told["timestamp"] == told["data"].pop("changed_at") > told["data"].pop("created_at")
    assert told["data"] == {
        "id": str(message.uuid),
        "organization": "acme.example",
        "status": "failed",
        "status_code": None,
        "status_text": "The contact was erased.",
        "from": private.number,
        "to": "",
        "members": [],
        "text": "",
        "send_at": None,
    }
    assert CONTACT[1:] not in OutgoingEvent.objects.get().payload
    assert theirs.events.count() == 0


def test_events_are_kept_as_long_as_raw_webhooks(
    receiver: Receiver, private: Number, program: Program, settings: Any
) -> None:
    for number in range(3):
        receive(private, f"text {number}", f"m{number}")
    old, waiting, _young = OutgoingEvent.objects.order_by("pk")
    past = timezone.now() - timedelta(days=settings.WEBHOOK_DAYS, minutes=1)
    OutgoingEvent.objects.filter(pk__in=[old.pk, waiting.pk]).update(created_at=past)
    OutgoingEvent.objects.filter(pk=old.pk).update(due_at=None)
    retention.clean_up()
    assert not OutgoingEvent.objects.filter(pk=old.pk).exists()
    assert OutgoingEvent.objects.count() == 2


def test_kinds_say_what_the_documents_say() -> None:
    assert EventKind.values == ["message.received", "message.status", "alert.raised", "alert.over", "test"]
