"""The pages of event receivers: who may see and change which, and what they say."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.models import EventKind, Number, OutgoingEvent, Receiver
from messaging.receivers import deliver, outbox
from portal.models import Account, AuditEntry, Organization, User
from tests.messaging.rules import receive
from tests.messaging.test_receivers import Program, receiver_of, signed_by

pytestmark = pytest.mark.django_db

LIST = "/admin/messaging/receiver/"
ADD = f"{LIST}add/"
BUSY = 'hx-select="#events"'


@pytest.fixture
def program(settings: Any) -> Iterator[Program]:
    made = Program()
    settings.PATCHBAY_ALLOWED_ORIGINS = [made.origin]
    yield made
    made.stop()


@pytest.fixture
def receiver(acme: Organization, program: Program) -> Receiver:
    return receiver_of(acme, f"{program.origin}/hook")


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(receiver: Receiver, *more: str) -> str:
    return f"{LIST}{receiver.pk}/{'/'.join([*more, '']) if more else 'change/'}"


def text_of(response: Any) -> str:
    shown = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return " ".join(html.unescape(shown).split())


def secret_in(response: Any) -> str:
    return html.unescape(re.findall(r'id="secret" readonly value="([^"]+)"', response.content.decode())[0])


def given(**fields: Any) -> dict[str, Any]:
    return {"url": "https://hooks.acme.example/patchbay", "received": "on", "enabled": "on", **fields}


def test_an_admin_adds_a_receiver_sees_its_secret_once_and_a_test_event_arrive(
    admin_of_acme: User, acme: Organization, program: Program
) -> None:
    client = as_user(admin_of_acme)
    response = client.post(ADD, given(organization=acme.pk, url=f" {program.origin}/hook "))
    assert response.status_code == 200
    secret = secret_in(response)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert "no-store" in response["Cache-Control"]
    made = Receiver.objects.get()
    assert (made.account, made.organization, made.url) == (acme.account, acme, f"{program.origin}/hook")
    assert (made.received, made.statuses, made.alerts, made.enabled) == (True, False, False, True)
    page = client.get(page_of(made))
    assert secret not in page.content.decode() and "whsec_" not in page.content.decode()
    response = client.post(page_of(made, "test"), follow=True)
    assert "On its way." in text_of(response) and BUSY in response.content.decode()
    deliver.drain()
    page = client.get(page_of(made))
    assert "with 204." in text_of(page) and BUSY not in page.content.decode()
    ((_path, headers, body),) = program.came
    assert signed_by(secret.encode(), headers, body)
    assert program.told()[0]["type"] == EventKind.TEST
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "name")) == [
        ("added", made.url),
        ("event_tested", made.url),
    ]
    assert "whsec" not in str(list(AuditEntry.objects.values_list("changes", flat=True)))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "ftp://x.example/"}, "begins with https://"),
        ({"url": "hooks.acme.example"}, "begins with https://"),
        ({"url": "http://hooks.acme.example/"}, "must begin with https"),
        ({"url": "https://10.0.0.1/"}, "not on the public internet"),
        ({"url": "https://user:pw@hooks.acme.example/"}, ""),
        ({"url": "https://localhost/"}, "this machine itself"),
        ({"url": f"https://x.example/{'a' * 1000}"}, "at most 1000 characters"),
        ({"url": "https://x.example/\0"}, "Null characters are not allowed"),
        ({"received": ""}, "Choose at least one thing"),
        ({"organization": ""}, "This field is required"),
    ],
)
def test_what_is_wrong_is_said_and_stores_nothing(
    admin_of_acme: User, acme: Organization, fields: dict[str, str], said: str
) -> None:
    response = as_user(admin_of_acme).post(ADD, given(organization=acme.pk) | fields)
    assert response.status_code == 200
    assert said in text_of(response) and 'id="secret"' not in response.content.decode()
    assert not Receiver.objects.exists()


def test_an_owner_has_a_few_receivers(admin_of_acme: User, acme: Organization) -> None:
    for number in range(Receiver.MAX_PER_OWNER):
        receiver_of(acme, f"https://x.example/{number}")
    response = as_user(admin_of_acme).post(ADD, given(organization=acme.pk))
    assert "10 receivers already" in text_of(response)
    assert Receiver.objects.count() == Receiver.MAX_PER_OWNER


def test_the_account_as_a_whole_is_for_its_admins_and_for_alerts(
    reseller: User, admin_of_acme: User, account: Account, acme: Organization
) -> None:
    whole = given(organization="", account=account.pk, url="https://x.example/")
    assert "This field is required" in text_of(as_user(admin_of_acme).post(ADD, whole))
    client = as_user(reseller)
    assert "told of alerts only" in text_of(client.post(ADD, whole))
    assert not Receiver.objects.exists()
    assert secret_in(client.post(ADD, whole | {"received": "", "alerts": "on"}))
    made = Receiver.objects.get()
    assert (made.account, made.organization) == (account, None)
    assert "the account Southern Voice" in text_of(client.get(LIST))
    assert made.url not in text_of(as_user(admin_of_acme).get(LIST))
    assert as_user(admin_of_acme).get(page_of(made)).status_code == 404


@pytest.mark.parametrize("what", ["change", "test", "again", "secret", "delete"])
def test_strangers_find_nothing_and_change_nothing(
    receiver: Receiver, admin_of_globex: User, alice: User, program: Program, what: str
) -> None:
    OutgoingEvent.objects.create(
        receiver=receiver, uuid=receiver.account.pk and outbox.uuid4(), kind="test", payload="{}",
        due_at=None, expires_at=timezone.now(),
    )  # fmt: skip
    url, before = page_of(receiver, what), list(Receiver.objects.values())
    data = given(url="https://evil.example/") if what == "change" else {"post": "yes"}
    assert as_user(admin_of_globex).post(url, data).status_code == 404
    assert as_user(alice).post(url, data).status_code == 403  # no administrator
    assert Client().post(url, data).status_code == 302
    assert list(Receiver.objects.values()) == before
    assert OutgoingEvent.objects.failed().count() == 1 == OutgoingEvent.objects.count()
    assert program.came == []


def test_what_failed_is_sent_again(
    receiver: Receiver, private_of_acme: Number, admin_of_acme: User, program: Program
) -> None:
    client = as_user(admin_of_acme)
    for number in range(3):
        receive(private_of_acme, f"text {number}", f"m{number}")
    program.answers["/hook"] = [(500, {}, b"")] * 3
    OutgoingEvent.objects.update(expires_at=timezone.now())
    deliver.drain()
    page = text_of(client.get(page_of(receiver)))
    assert page.count("Given up: It answered 500 instead of 200.") == 3 and "text 1" in page
    assert "The events fail since" in page
    Receiver.objects.update(paused_until=None)
    one = OutgoingEvent.objects.order_by("pk")[0]
    client.post(page_of(receiver, "again"), {"event": one.pk})
    deliver.drain()
    assert program.ids()[3:] == [str(one.uuid)]
    client.post(page_of(receiver, "again"))
    deliver.drain()
    assert not OutgoingEvent.objects.filter(delivered_at=None).exists()
    assert len(set(program.ids())) == 3
    said = text_of(client.post(page_of(receiver, "again"), follow=True))
    assert "There was nothing to be sent again." in said
    client.post(page_of(receiver, "again"), {"event": one.pk})  # which was accepted, and is wanted again
    deliver.drain()
    assert program.ids().count(str(one.uuid)) == 3
    assert AuditEntry.objects.filter(action="events_again").count() == 3


@pytest.fixture
def private_of_acme(private: Number, program: Program, settings: Any, sandbox: Any) -> Number:
    settings.PATCHBAY_ALLOWED_ORIGINS = [program.origin, sandbox.origin]
    return private


def test_switching_off_gives_up_what_waits_and_on_starts_over(
    receiver: Receiver, private_of_acme: Number, admin_of_acme: User, program: Program
) -> None:
    client, past = as_user(admin_of_acme), timezone.now() - timedelta(days=2)
    receive(private_of_acme, "one")
    Receiver.objects.update(failures=5, failing_since=past, paused_until=timezone.now() + timedelta(hours=1))
    client.post(page_of(receiver), given(url=receiver.url, enabled=""))
    assert OutgoingEvent.objects.get().problem == "The receiver was switched off."
    page = client.get(page_of(receiver))
    assert "Send again" not in text_of(page) and "Send a test event" not in text_of(page)
    assert "switched off" in text_of(client.post(page_of(receiver, "test"), follow=True))
    assert "switched off" in text_of(client.post(page_of(receiver, "again"), follow=True))
    client.post(page_of(receiver), given(url=receiver.url))
    receiver.refresh_from_db()
    assert (receiver.enabled, receiver.failures, receiver.failing_since) == (True, 0, None)
    deliver.drain()
    assert program.came == []
    client.post(page_of(receiver, "again"))
    deliver.drain()
    assert len(program.came) == 1


def test_a_new_secret_is_shown_once(receiver: Receiver, admin_of_acme: User) -> None:
    old = bytes(receiver.secret).decode()
    response = as_user(admin_of_acme).post(page_of(receiver, "secret"))
    receiver.refresh_from_db()
    assert secret_in(response) == bytes(receiver.secret).decode() != old
    assert receiver.secrets[1:] == [old.encode()]
    entry = AuditEntry.objects.order_by("-pk")[0]
    assert (entry.action, entry.changes) == ("changed", {"secret": None, "old secret": None})


def test_a_secret_that_was_lost_is_made_anew(receiver: Receiver, admin_of_acme: User) -> None:
    Receiver.objects.update(**Receiver.WITHOUT_KEY)
    client = as_user(admin_of_acme)
    assert "is lost" in text_of(client.get(page_of(receiver)))
    assert "has lost its secret" in text_of(client.post(page_of(receiver), given(url=receiver.url)))
    assert secret_in(client.post(page_of(receiver, "secret")))
    assert client.post(page_of(receiver), given(url=receiver.url)).status_code == 302
    receiver.refresh_from_db()
    assert receiver.enabled and len(receiver.secrets) == 1


def test_deleting_a_receiver_deletes_its_events(
    receiver: Receiver, private_of_acme: Number, admin_of_acme: User
) -> None:
    receive(private_of_acme, "one")
    client = as_user(admin_of_acme)
    assert "one" not in text_of(client.get(page_of(receiver, "delete"))).split("Yes")[0].split("hook")[-1]
    assert client.post(page_of(receiver, "delete"), {"post": "yes"}).status_code == 302
    assert not Receiver.objects.exists() and not OutgoingEvent.objects.exists()


def test_pages_take_as_many_queries_for_many_rows(
    receiver: Receiver, acme: Organization, admin_of_acme: User
) -> None:
    client, counts = as_user(admin_of_acme), []
    for more in (0, 1, 9):
        for number in range(more):
            receiver_of(acme, f"https://x.example/{number}")
            outbox.note_test(receiver)
        for url in (LIST, page_of(receiver)):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(url).status_code == 200
            counts.append(len(queries))
    assert counts[2:4] == counts[4:]
