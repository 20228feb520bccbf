"""Texts are told by push and by mail: whom, once, and only while they are unread."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import http_ece
import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from py_vapid import Vapid02

from integrations import http
from integrations.events import HttpResponse
from messaging.engine import sweep
from messaging.inbox import pages
from messaging.models import (
    Assignment,
    Contact,
    Conversation,
    Device,
    Mention,
    Message,
    NoticeChoices,
    Number,
    Push,
    PushKey,
    Remark,
)
from messaging.notices import devices, mails, push, snoozes, wording
from messaging.notices.unread import CONVERSATIONS, ended, newest, unread
from messaging.outbound.submit import submit
from messaging.rules import contacts, teamwork
from messaging.wakeups import Task
from portal.models import Account, SeenSession, User
from tests import mailbox
from tests.conftest import person
from tests.local_server import LocalServer
from tests.messaging.rules import CONTACT, receive

AGENT = (
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36"
)


class PushService(LocalServer):
    """Keeps what comes for each browser, and answers as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []

    def respond(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.came.append((path, dict(headers), body))
        status, sent = self.answers.pop(0) if self.answers else (201, {})
        return status, sent, b""


class Browser:
    """A browser with its subscription, which reads what comes."""

    def __init__(self, service: PushService, user: User, name: str = "one") -> None:
        self.service, self.path = service, f"/push/{name}"
        self.key, self.auth = ec.generate_private_key(ec.SECP256R1()), b"sixteen bytes ok"
        self.client = Client(HTTP_USER_AGENT=AGENT)
        self.client.force_login(user)

    def subscription(self, **changed: str) -> dict[str, str]:
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        found = {
            "endpoint": f"{self.service.origin}{self.path}",
            "p256dh": base64.urlsafe_b64encode(point).decode().rstrip("="),
            "auth": base64.urlsafe_b64encode(self.auth).decode().rstrip("="),
        }
        return found | changed

    def subscribe(self, **changed: str) -> Any:
        return self.client.post("/account/notifications/devices/", self.subscription(**changed))

    def read(self) -> list[dict[str, Any]]:
        return [
            json.loads(
                http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
            )
            for path, _headers, body in self.service.came
            if path == self.path
        ]


@pytest.fixture
def service_of_browsers(
    settings: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PushService]:
    """The only one on this machine that users may name."""
    service, real = PushService(), devices.is_exempt
    settings.PATCHBAY_ALLOWED_ORIGINS = [*settings.PATCHBAY_ALLOWED_ORIGINS, service.origin]
    monkeypatch.setattr(
        devices, "is_exempt", lambda endpoint: real(endpoint) and not endpoint.startswith(service.origin)
    )
    yield service
    service.stop()


@pytest.fixture
def browser(service_of_browsers: PushService, alice: User) -> Browser:
    found = Browser(service_of_browsers, alice)
    assert found.subscribe().status_code == 204
    return found


def make_due() -> None:
    Push.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def send() -> None:
    make_due()
    push.send_due()


def test_a_text_is_told_to_a_device_once(private: Number, browser: Browser, alice: User) -> None:
    receive(private, "Are you open\non Sunday?")
    assert sweep.due_tasks()[0] == set()  # whoever looks reads it first
    make_due()
    assert sweep.due_tasks()[0] == {Task.SEND_PUSHES}
    push.send_due()
    send()
    message = Message.objects.get(direction="in")
    url = f"/inbox/{message.conversation_id}/"
    assert browser.read() == [
        {
            "title": CONTACT,
            "body": "Are you open on Sunday?",
            "url": url,
            "tag": f"c{message.conversation_id}",
            "message": message.pk,
            "unread": 1,
        }
    ]
    assert not Push.objects.exists()


def test_the_push_service_gets_what_the_standards_ask_for(private: Number, browser: Browser) -> None:
    receive(private, "Hi")
    send()
    [(_path, headers, body)] = browser.service.came
    assert {name: headers[name] for name in ("Content-Encoding", "TTL", "Urgency")} == {
        "Content-Encoding": "aes128gcm",
        "TTL": "86400",
        "Urgency": "high",
    }
    assert Vapid02.verify(headers["Authorization"])
    token, key = headers["Authorization"].removeprefix("vapid t=").split(",k=")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["aud"], claims["sub"]) == (browser.service.origin, "mailto:patchbay@localhost")
    assert key == push.public_key()
    assert b"Hi" not in body
    assert PushKey.objects.count() == 1


def test_who_wants_no_text_shown_is_told_who_wrote(private: Number, browser: Browser, alice: User) -> None:
    NoticeChoices.objects.create(user=alice, shows_text=False)
    receive(private, "Secret")
    send()
    assert [(said["title"], said["body"]) for said in browser.read()] == [(CONTACT, "A new message")]


def test_what_is_read_in_time_is_not_told(private: Number, browser: Browser, alice: User) -> None:
    receive(private, "Hi")
    pages.mark_read(Message.objects.get(direction="in").conversation, alice)
    send()
    assert browser.service.came == []
    assert not Push.objects.exists()


def test_what_a_colleague_has_closed_is_not_told(
    shared: Number, browser: Browser, alice: User, bob: User, mail_server: None
) -> None:
    """The badge does not count it, and so neither notices, nor mail, nor push tell of it."""
    choose(alice, mail="at_once")
    receive(shared, "Hi")
    talk = Conversation.objects.get()
    submit(bob, shared, CONTACT, text="We are open until five.")
    teamwork.close(talk, bob)
    assert (pages.unread(alice), unread(alice)) == (0, [])
    assert browser.client.get("/inbox/news/", {"after": "0"}).json()["notices"] == []
    make_mail_due()
    mails.send_due()
    send()
    assert (mail.outbox, browser.read(), Push.objects.count()) == ([], [], 0)
    receive(shared, "And tomorrow?", "m2")
    assert [message.text for message in unread(alice)] == ["Hi", "And tomorrow?"]
    send()
    assert [said["body"] for said in browser.read()] == ["And tomorrow?"]


@pytest.mark.parametrize("reason", ["assignment", "session", "password", "blocked"])
def test_who_may_not_read_it_any_more_is_not_told(
    private: Number, browser: Browser, alice: User, reason: str
) -> None:
    receive(private, "Hi")
    if reason == "assignment":
        Assignment.objects.filter(user=alice).delete()
    elif reason == "session":
        browser.client.session.flush()
    elif reason == "password":
        alice.set_password("another-long-secret")
        alice.save()
    else:
        alice.is_active = False
        alice.save()
    send()
    assert browser.service.came == []
    assert not Push.objects.exists()


def test_a_private_conversation_is_told_to_its_user_only(shared: Number, browser: Browser, bob: User) -> None:
    other = Browser(browser.service, bob, "two")
    other.subscribe()
    receive(shared, "For both")
    send()
    assert [len(each.read()) for each in (browser, other)] == [1, 1]
    conversation = Message.objects.get(direction="in").conversation
    Number.objects.update(sticky_hours=1)
    conversation.private_to, conversation.private_until = bob, timezone.now() + timedelta(hours=1)
    conversation.save()
    receive(shared, "For Bob")
    send()
    assert [len(each.read()) for each in (browser, other)] == [1, 2]


def test_push_services_that_do_not_answer_delay_nobody_else(
    shared: Number, service_of_browsers: PushService, alice: User, bob: User
) -> None:
    """Anybody may name 20 of them."""
    dead = [Browser(service_of_browsers, bob, f"dead/{number}") for number in range(20)]
    alices = Browser(service_of_browsers, alice)
    for each in [*dead, alices]:
        assert each.subscribe().status_code == 204
    told, most = threading.Event(), []

    def respond(method: str, path: str, *_request: Any) -> tuple[int, dict[str, str], bytes]:
        service_of_browsers.came.append((path, *_request))
        if "dead" in path:
            told.wait(10)
            return 500, {}, b""
        most.append(len(service_of_browsers.came) - 1)
        push.send_due()  # as another wake-up would: it takes no thread of the worker
        told.set()
        return 201, {}, b""

    service_of_browsers.respond = respond  # type: ignore[method-assign]
    receive(shared, "Hi")
    make_due()
    Push.objects.filter(device__user=alice).update(due_at=timezone.now())
    push.send_due()
    assert told.is_set()
    assert most[0] <= push.EACH
    assert [each["title"] for each in alices.read()] == [CONTACT]
    assert sum("dead" in path for path, *_ in service_of_browsers.came) == 20


@pytest.mark.parametrize("status", [404, 410])
def test_a_device_that_its_push_service_does_not_know_goes(
    private: Number, browser: Browser, status: int
) -> None:
    browser.service.answers = [(status, {})]
    receive(private, "Hi")
    send()
    assert not Device.objects.exists()
    assert not Push.objects.exists()


def test_a_push_service_that_is_away_is_tried_a_few_times(private: Number, browser: Browser) -> None:
    receive(private, "Hi")
    browser.service.answers = [(503, {}), (429, {"Retry-After": "120"})] + [(500, {})] * 10
    waits = []
    for _ in range(8):
        send()
        if waiting := Push.objects.first():
            waits.append(round((waiting.due_at - timezone.now()).total_seconds()))
    assert waits == [10, 120, 300, 900]
    assert len(browser.service.came) == 5
    assert Device.objects.count() == 1


def test_what_the_push_service_refuses_is_given_up(private: Number, browser: Browser) -> None:
    browser.service.answers = [(400, {})]
    receive(private, "Hi")
    send()
    send()
    assert len(browser.service.came) == 1
    assert not Push.objects.exists()


def test_a_claimed_push_is_left_alone_until_its_lease_ends(private: Number, browser: Browser) -> None:
    receive(private, "Hi")
    make_due()
    assert len(Push.objects.claim(10, 10, {})) == 1
    push.send_due()
    assert browser.service.came == []
    send()
    assert len(browser.service.came) == 1


def test_a_redirect_is_not_followed(private: Number, browser: Browser) -> None:
    browser.service.answers = [(307, {"Location": f"{browser.service.origin}/elsewhere"})]
    receive(private, "Hi")
    send()
    assert [path for path, *_ in browser.service.came] == [browser.path]


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "http://push.example/abc"},
        {"endpoint": "https://127.0.0.1/abc"},
        {"endpoint": "https://10.1.2.3/abc"},
        {"endpoint": "https://localhost/abc"},
        {"endpoint": "https://[::1]/abc"},
        {"endpoint": "https://user:word@push.example/abc"},
        {"endpoint": "file:///etc/passwd"},
        {"endpoint": "https://push.example/" + "x" * 2000},
        {"endpoint": ""},
        {"p256dh": "AAAA"},
        {"p256dh": "ö"},
        {"p256dh": "BAAA" + "A" * 83},
        {"auth": "AAAA"},
        {"auth": "*"},
    ],
)
def test_no_subscription_leads_into_the_network(
    service_of_browsers: PushService, alice: User, changed: dict[str, str]
) -> None:
    answer = Browser(service_of_browsers, alice).subscribe(**changed)
    assert answer.status_code == 422, answer.content
    assert answer.content
    assert not Device.objects.exists()


@pytest.mark.parametrize("origin", ["http://10.0.0.5:13013", "https://sms.internal.example"])
def test_no_subscription_leads_to_where_only_providers_are_called(
    service_of_browsers: PushService, alice: User, settings: Any, origin: str
) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = [origin]
    answer = Browser(service_of_browsers, alice).subscribe(endpoint=f"{origin}/cgi-bin/sendsms?to=1")
    assert answer.status_code == 422
    assert not Device.objects.exists()


def test_an_origin_that_is_allowed_for_providers_later_is_not_called(
    private: Number, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(private, "Hi")
    monkeypatch.setattr(devices, "is_exempt", http.is_allowed)
    send()
    assert browser.service.came == []
    assert not Push.objects.exists()


def test_an_address_that_leads_inside_later_is_not_called(
    private: Number, browser: Browser, settings: Any
) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = []
    receive(private, "Hi")
    send()
    assert browser.service.came == []
    assert not Push.objects.exists()


def test_signing_out_forgets_the_device(
    browser: Browser, service_of_browsers: PushService, alice: User
) -> None:
    Browser(service_of_browsers, alice, "two").subscribe()
    browser.client.post("/account/logout/")
    assert [device.subscription["endpoint"][-3:] for device in Device.objects.all()] == ["two"]


def test_a_device_whose_key_is_lost_keeps_no_other_from_being_told(
    private: Number, browser: Browser, service_of_browsers: PushService, alice: User, settings: Any
) -> None:
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = Browser(service_of_browsers, alice, "two")
    lost.subscribe()
    settings.ENCRYPTION_KEYS = keys
    receive(private, "Are you there?")
    assert Push.objects.count() == 2
    send()
    assert [notice["body"] for notice in browser.read()] == ["Are you there?"]
    assert push.send_test(alice) == 1
    send()
    assert len(browser.read()) == 2
    assert lost.read() == [] and not Push.objects.exists()
    # Its browser is asked for another subscription, which takes the place of the one that is lost.
    assert (
        lost.client.post("/account/notifications/devices/", lost.subscription(again="1")).status_code == 404
    )
    assert lost.subscribe().status_code == 204
    browser.client.post("/account/notifications/test/")
    send()
    assert len(lost.read()) == 1
    browser.client.post("/account/logout/")
    assert Device.objects.get().subscription["endpoint"].endswith("two")


def test_whoever_must_set_up_a_second_factor_first_is_told_nothing(
    private: Number, browser: Browser, account: Account
) -> None:
    Account.objects.filter(pk=account.pk).update(second_factor="everybody")
    receive(private, "Hi")
    send()
    assert (browser.read(), Push.objects.count()) == ([], 0)


def test_after_signing_in_again_a_device_is_renewed(private: Number, browser: Browser, alice: User) -> None:
    browser.client.session.flush()
    browser.client = Client()
    browser.client.force_login(alice)
    assert browser.subscribe(again="yes").status_code == 204
    receive(private, "Hi")
    send()
    assert len(browser.read()) == 1
    Device.objects.all().delete()
    assert browser.subscribe(again="yes").status_code == 404
    assert not Device.objects.exists()


def test_a_browser_belongs_to_who_signed_in_last(browser: Browser, bob: User) -> None:
    browser.client.force_login(bob)
    assert browser.subscribe().status_code == 204
    assert [device.user for device in Device.objects.all()] == [bob]


def test_there_is_a_most_of_devices(service_of_browsers: PushService, alice: User) -> None:
    for place in range(Device.MAX_PER_USER + 2):
        Browser(service_of_browsers, alice, f"n{place}").subscribe()
    assert Device.objects.count() == Device.MAX_PER_USER
    assert Device.objects.first().subscription["endpoint"].endswith("n21")  # type: ignore[union-attr]


def test_the_page_names_devices_and_sends_tests(browser: Browser, bob: User) -> None:
    page = browser.client.get("/account/notifications/").content.decode()
    assert "Chrome on Android" in page
    assert browser.client.post("/account/notifications/test/").status_code == 302
    push.send_due()
    assert [said["title"] for said in browser.read()] == ["Notices work"]
    device = Device.objects.get()
    stranger = Client()
    stranger.force_login(bob)
    remove = f"/account/notifications/devices/{device.pk}/remove/"
    assert stranger.post(remove).status_code == 404
    assert "Chrome on Android" not in stranger.get("/account/notifications/").content.decode()
    assert browser.client.get(remove).status_code == 405
    assert Device.objects.count() == 1
    browser.client.post(remove)
    assert not Device.objects.exists()


def test_push_is_offered_only_where_browsers_permit_it(alice: User, settings: Any) -> None:
    client = Client()
    client.force_login(alice)
    assert "Turn on for this device" in client.get("/account/notifications/").content.decode()
    settings.PUBLIC_URL = "http://sms.example.com"
    assert "Turn on for this device" not in client.get("/account/notifications/").content.decode()
    assert client.post("/account/notifications/devices/", {}).status_code == 422


def test_filing_costs_one_query_where_nobody_is_told(private: Number, browser: Browser) -> None:
    def cost(messageid: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            receive(private, "Hi", messageid)
        return len(queries)

    cost("m1")
    told = cost("m2")
    Device.objects.all().delete()
    assert told - cost("m3") == 2  # the devices, and what is to be sent to them


@pytest.mark.parametrize("reason", ["idle", "idle but that does not matter", "key"])
def test_a_session_that_nobody_uses_is_told_nothing(
    private: Number, browser: Browser, settings: Any, reason: str
) -> None:
    settings.IDLE_HOURS = 0 if "but" in reason else 10
    if reason == "key":  # it was renewed, and the old one is still good
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    else:
        SeenSession.objects.update(seen_at=timezone.now() - timedelta(hours=11))
    receive(private, "Hi")
    send()
    assert len(browser.read()) == (0 if reason == "idle" else 1)
    assert Device.objects.count() == 1


def test_a_batch_takes_no_more_queries_for_many(
    shared: Number, service_of_browsers: PushService, alice: User
) -> None:
    """A hundred notices of many users, devices and conversations against one."""

    def cost() -> int:
        make_due()
        with CaptureQueriesContext(connection) as captured:
            letters = push._letters(Push.objects.claim(100, 10, {}))
            push._settle([(each, HttpResponse(201)) for each, _request in letters])
        return len(captured)

    push.public_key()  # the first time it is made
    Browser(service_of_browsers, alice, "first").subscribe()
    receive(shared, "One")
    one = cost()
    for place in range(9):
        user = person(f"More{place}", shared.organization)
        Assignment.objects.create(number=shared, user=user)
        Browser(service_of_browsers, user, f"n{place}").subscribe()
    for place in range(10):
        receive(shared, "Many", f"m{place}", f"+614123400{place:02}")
    assert Push.objects.count() == 100
    assert cost() == one
    assert Push.objects.count() == 0


def test_the_unread_of_many_are_those_of_each(
    shared: Number, private: Number, alice: User, bob: User
) -> None:
    ada = person("Ada", shared.organization)  # she uses no number
    for place, number in enumerate([shared, shared, private]):
        receive(number, "Hi", f"m{place}", f"+6141234000{place}")
    first, second, _third = Conversation.objects.order_by("pk")
    pages.mark_read(first, alice)
    Conversation.objects.filter(pk=second.pk).update(private_to=bob)
    teamwork.note(first, bob, "For you, @Alice")
    users = [alice, bob, ada]

    def many() -> list[int]:
        found = pages.unread_of({user.pk for user in users})
        return [found.get(user.pk, 0) for user in users]

    assert many() == [pages.unread(user) for user in users] == [2, 2, 0]
    for change in ({"closed_at": timezone.now()}, {"closed_at": None, "private_to": None}):
        Conversation.objects.filter(pk=second.pk).update(**change)
        assert many() == [pages.unread(user) for user in users]


# --- Mail --------------------------------------------------------------------------------------------------


@pytest.fixture
def mail_server(settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"


def choose(user: User, **fields: Any) -> NoticeChoices:
    return NoticeChoices.objects.create(user=user, **fields)


def make_mail_due() -> None:
    NoticeChoices.objects.exclude(mail_due_at=None).update(mail_due_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("mail_", "fields", "zone", "now", "at"),
    [
        ("at_once", {}, "UTC", "2026-03-01T10:00:00", "2026-03-01T10:00:30"),
        ("later", {"mail_minutes": 30}, "UTC", "2026-03-01T10:00:00", "2026-03-01T10:30:00"),
        ("daily", {"mail_hour": 8}, "UTC", "2026-03-01T07:59:00", "2026-03-01T08:00:00"),
        ("daily", {"mail_hour": 8}, "UTC", "2026-03-01T08:00:00", "2026-03-02T08:00:00"),
        ("daily", {"mail_hour": 8}, "Australia/Perth", "2026-03-01T10:00:00", "2026-03-02T00:00:00"),
        # The night in which clocks go forward: the day has 23 hours.
        ("daily", {"mail_hour": 8}, "Europe/Berlin", "2026-03-28T09:00:00", "2026-03-29T06:00:00"),
    ],
)
def test_when_mail_is_due(
    alice: User, mail_: str, fields: dict[str, int], zone: str, now: str, at: str
) -> None:
    alice.time_zone = zone
    choices = NoticeChoices(user=alice, mail=mail_, **fields)
    due = choices.next_mail(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert due is not None
    assert due.astimezone(UTC).isoformat() == f"{at}+00:00"


def test_who_is_never_told_by_mail_has_no_time(alice: User) -> None:
    assert NoticeChoices(user=alice).next_mail(timezone.now()) is None


def test_unread_texts_are_mailed_once(private: Number, alice: User, mail_server: None) -> None:
    choose(alice, mail="later", mail_minutes=15)
    receive(private, "First")
    due = NoticeChoices.objects.get().mail_due_at
    assert due is not None
    assert round((due - timezone.now()).total_seconds() / 60) == 15
    receive(private, "Second", "m2")
    assert NoticeChoices.objects.get().mail_due_at == due
    assert sweep.due_tasks()[0] == set()
    make_mail_due()
    assert sweep.due_tasks()[0] == {Task.SEND_NOTICE_MAILS}
    mails.send_due()
    mails.send_due()
    [sent] = mail.outbox
    assert (sent.to, sent.subject, sent.reply_to) == ([alice.email], f"2 messages from {CONTACT}", [])
    assert "First" in sent.body
    assert "Second" in sent.body
    conversation = Message.objects.filter(direction="in")[0].conversation_id
    assert f"http://localhost:8000/inbox/{conversation}/" in sent.body
    assert NoticeChoices.objects.get().mail_due_at is None
    receive(private, "Third", "m3")
    make_mail_due()
    mails.send_due()
    assert len(mail.outbox) == 2
    assert "First" not in mail.outbox[1].body
    assert "Third" in mail.outbox[1].body


def test_what_is_read_is_not_mailed(private: Number, alice: User, mail_server: None) -> None:
    choose(alice, mail="later")
    receive(private, "Hi")
    pages.mark_read(Message.objects.get(direction="in").conversation, alice)
    make_mail_due()
    mails.send_due()
    assert mail.outbox == []
    assert NoticeChoices.objects.get().mail_due_at is None


@pytest.mark.parametrize(("texts", "more"), [(49, False), (51, True)])
def test_a_mail_says_that_more_is_unread_than_it_names(
    private: Number, alice: User, mail_server: None, texts: int, more: bool
) -> None:
    choose(alice, mail="daily")
    for place in range(texts):
        receive(private, f"Text {place}", f"m{place}")
    make_mail_due()
    mails.send_due()
    [sent] = mail.outbox
    assert ("Text 0\n" in sent.body) is not more
    assert ("what else is unread: http://localhost:8000/inbox/" in sent.body) is more


def test_a_mail_says_no_text_to_who_wants_none(private: Number, alice: User, mail_server: None) -> None:
    choose(alice, mail="at_once", shows_text=False)
    receive(private, "Secret")
    make_mail_due()
    mails.send_due()
    assert "Secret" not in mail.outbox[0].body


@pytest.mark.parametrize("reason", ["inactive", "assignment"])
def test_who_may_not_read_it_any_more_gets_no_mail(
    private: Number, alice: User, mail_server: None, reason: str
) -> None:
    choose(alice, mail="at_once")
    receive(private, "Hi")
    if reason == "inactive":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    else:
        Assignment.objects.all().delete()
    make_mail_due()
    mails.send_due()
    assert mail.outbox == []
    assert NoticeChoices.objects.get().mail_due_at is None


def test_an_unread_text_is_told_however_much_was_read_since(
    private: Number, alice: User, mail_server: None
) -> None:
    choose(alice, mail="daily")
    receive(private, "Help")
    for place in range(CONVERSATIONS + 1):
        receive(private, "Hi", f"m{place}", f"+614123400{place:02}")
    waits, *talks = Conversation.objects.order_by("pk")
    for place, talk in enumerate(talks):
        pages.mark_read(talk, alice)
        if place % 2:
            teamwork.note(talk, alice, "For you, @Alice")  # counts as unread, but is no text
    assert [message.text for message in unread(alice)] == ["Help"]
    newest_read = talks[-1].last_message_id
    assert [message.text for message in unread(alice, 0, looking_at=talks[-1].pk)] == ["Help", "Hi"]
    assert unread(alice, newest_read or 0) == []
    make_mail_due()
    mails.send_due()
    (letter,) = mail.outbox
    assert f"/inbox/{waits.pk}/" in letter.body
    assert "Hi" not in letter.body


def test_texts_that_were_told_hide_no_later_one(private: Number, alice: User) -> None:
    """Each of the others is unread as well, and was answered since."""
    for place in range(CONVERSATIONS + 1):
        receive(private, "Hi", f"m{place}", f"+614123400{place:02}")
    told = Message.objects.latest("pk").pk
    receive(private, "Help", "m99")
    for place in range(CONVERSATIONS + 1):
        submit(alice, private, f"+614123400{place:02}", text="Yes?")
    assert [message.text for message in unread(alice, told)] == ["Help"]


def test_an_address_that_no_mail_can_go_to_delays_nobody(
    shared: Number, alice: User, bob: User, mail_server: None
) -> None:
    alice.email = f"alice@{'ü' * 60}.example"
    alice.full_clean(exclude=["password"])  # it passes as an address
    alice.save()
    for user in (alice, bob):
        choose(user, mail="at_once")
    receive(shared, "Hi")
    make_mail_due()
    NoticeChoices.objects.filter(user=alice).update(mail_due_at=timezone.now() - timedelta(hours=1))  # first
    mails.send_due()
    assert [letter.to for letter in mail.outbox] == [[bob.email]]
    unsent = NoticeChoices.objects.get(user=alice)
    assert (unsent.mail_failures, unsent.mailed_to) == (1, 0)
    assert unsent.mail_due_at is not None
    assert unsent.mail_due_at > timezone.now()


def test_a_mail_server_that_is_away_is_tried_again(
    private: Number, alice: User, mail_server: None, settings: Any
) -> None:
    choose(alice, mail="at_once")
    receive(private, "Hi")
    settings.EMAIL_BACKEND, working = "django.core.mail.backends.smtp.EmailBackend", settings.EMAIL_BACKEND
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    waits = []
    for _ in range(3):
        make_mail_due()
        mails.send_due()
        due = NoticeChoices.objects.get().mail_due_at
        assert due is not None
        waits.append(round((due - timezone.now()).total_seconds() / 60))
    assert waits == [5, 10, 20]
    settings.EMAIL_BACKEND = working
    make_mail_due()
    mails.send_due()
    assert len(mail.outbox) == 1
    assert NoticeChoices.objects.get().mail_failures == 0


def test_letters_that_went_out_before_the_mail_server_broke_off_are_not_sent_again(
    private: Number, alice: User, settings: Any
) -> None:
    settings.EMAIL_HOST, settings.REPLY_ADDRESS = "mail.example", "reply@sms.example.com"
    choose(alice, mail="at_once")
    senders = [f"+6141234000{place}" for place in range(3)]
    for sender in senders:
        receive(private, f"From {sender}", sender, sender)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with mailbox.running() as letters:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", letters.port
        letters.most = 2
        make_mail_due()
        mails.send_due()
        assert NoticeChoices.objects.get().mail_failures == 1
        receive(private, "Another", "m9", senders[0])
        letters.most = None
        make_mail_due()
        mails.send_due()
        said = [str(letter.get_payload(decode=True)) for letter in letters.letters]
    assert [[sender in text for sender in senders].index(True) for text in said] == [0, 1, 2, 0]
    assert ["Another" in text for text in said] == [False, False, False, True]
    assert sum(f"From {senders[0]}" in text for text in said) == 1
    choices = NoticeChoices.objects.get()
    assert (choices.mailed_apart, choices.mail_due_at, choices.mail_failures) == ({}, None, 0)


def test_without_a_mail_server_nothing_claims_that_mail_is_sent(
    private: Number, alice: User, settings: Any
) -> None:
    client = Client()
    client.force_login(alice)
    assert "By email" not in client.get("/account/notifications/").content.decode()
    client.post("/account/notifications/", {"sound": "on", "mail": "at_once"})
    choices = NoticeChoices.objects.get()
    assert (choices.sound, choices.shows_text, choices.mail) == (True, False, "off")
    NoticeChoices.objects.update(mail="at_once")  # as it was before the setting went
    receive(private, "Hi")
    assert NoticeChoices.objects.get().mail_due_at is None


def test_what_came_before_mail_was_chosen_is_not_mailed(
    private: Number, alice: User, mail_server: None
) -> None:
    receive(private, "Before")
    client = Client()
    client.force_login(alice)
    form = {"shows_text": "on", "mail": "daily", "mail_minutes": "15", "mail_hour": "7"}
    assert client.post("/account/notifications/", form)["Location"] == "/account/notifications/"
    receive(private, "After", "m2")
    make_mail_due()
    mails.send_due()
    assert "Before" not in mail.outbox[0].body
    assert "After" in mail.outbox[0].body
    answer = client.post("/account/notifications/", form | {"mail_hour": "99", "mail": "x"})
    assert answer.status_code == 422
    assert NoticeChoices.objects.get().mail_hour == 7


@pytest.mark.parametrize(
    "form",
    [
        {"mail": "later", "mail_minutes": "60", "mail_hour": "8"},
        {"mail": "daily", "mail_minutes": "15", "mail_hour": "7"},
        {"mail": "later", "mail_minutes": "15", "mail_hour": "8", "sound": "on"},
    ],
)
def test_another_choice_loses_no_notice(
    private: Number, alice: User, mail_server: None, form: dict[str, str]
) -> None:
    choose(alice, mail="later")
    receive(private, "Waits")
    client = Client()
    client.force_login(alice)
    assert client.post("/account/notifications/", {"shows_text": "on", **form}).status_code == 302
    assert NoticeChoices.objects.get().mail_due_at is not None
    make_mail_due()
    mails.send_due()
    assert "Waits" in mail.outbox[0].body


# --- What the open page asks for ---------------------------------------------------------------------------


def test_the_open_page_is_told_what_has_come(private: Number, alice: User, charlie: User) -> None:
    client, stranger = Client(), Client()
    client.force_login(alice)
    stranger.force_login(charlie)
    assert client.get("/inbox/news/").json() == {"unread": 0, "newest": "0.0", "notices": []}
    receive(private, "One")
    receive(private, "Two", "m2")
    first, second = Message.objects.filter(direction="in").order_by("pk")
    assert client.get("/inbox/news/").json() == {
        "unread": 1,
        "newest": f"{second.pk}.0",
        "notices": [],
    }
    said = client.get("/inbox/news/", {"after": first.pk}).json()
    assert [notice["body"] for notice in said["notices"]] == ["Two"]
    assert client.get("/inbox/news/", {"after": second.pk}).json()["notices"] == []
    assert client.get("/inbox/news/", {"after": "9" * 40}).status_code == 200
    assert stranger.get("/inbox/news/", {"after": "0"}).json() == {
        "unread": 0,
        "newest": "0.0",
        "notices": [],
    }
    page = client.get("/inbox/").content.decode()
    assert f'data-newest="{second.pk}.0"' in page  # this page does not tell of earlier ones
    # The thread that somebody looks at is noted as read before the page asks.
    pages.mark_read(second.conversation, alice)
    for opened, count in ((second.conversation_id, 1), (0, 0), ("x", 0)):
        asked = {"after": f"{first.pk}.0", "open": opened}
        assert len(client.get("/inbox/news/", asked).json()["notices"]) == count


def test_news_cost_the_same_for_many_texts(private: Number, alice: User) -> None:
    client = Client()
    client.force_login(alice)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/inbox/news/", {"after": "0"}).json()["notices"]
        return len(queries)

    receive(private, "Hi")
    one = cost()
    for place in range(20):
        receive(private, "Hi", f"m{place}", sender=f"+614123456{place:02}")
    assert cost() == one


def test_people_and_groups_are_named_in_one_query(private: Number, alice: User) -> None:
    """By the contact that they were merged into, or by members, of whom each may be merged."""
    organization = private.organization
    person_ = Contact.objects.create(organization=organization, address="+61412999999", name="Robin")

    def arrive(place: int) -> None:
        senders = [f"+6141234{kind}0{place:02}" for kind in range(2)]
        for sender in senders:
            talk = snoozed(private, alice, sender)
            snoozes.tell_due()
            receive(private, "Hi", f"another {sender}", sender)
            # As if the text had come before the end.
            Conversation.objects.filter(pk=talk.pk).update(snoozed_until=timezone.now())
        single, group = Contact.objects.filter(address__in=senders).order_by("address")
        Contact.objects.filter(pk=single.pk).update(merged_into=person_)
        member = Contact.objects.create(
            organization=organization, address=f"+614120000{place:02}", merged_into=person_
        )
        Contact.objects.filter(pk=group.pk).update(is_group=True)
        group.members.add(member)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            titles = [wording.title(row.conversation.contact) for row in [*unread(alice), *ended(alice)]]
        assert set(titles) == {"Robin"}
        assert len(titles) == 4 * Contact.objects.filter(is_group=True).count()
        return len(queries)

    arrive(0)
    one = cost()
    for place in range(1, 11):
        arrive(place)
    assert cost() == one


# --- The end of a snooze -----------------------------------------------------------------------------------


def snoozed(number: Number, by: User, sender: str = CONTACT) -> Conversation:
    """A conversation that its users have read, and whose snooze is over, but nobody was told yet."""
    receive(number, "Call me tomorrow", f"m{sender}", sender=sender)
    talk = Conversation.objects.get(number=number, contact__address=sender)
    for user in number.users.all():
        pages.mark_read(talk, user)
    Push.objects.all().delete()
    NoticeChoices.objects.update(mail_due_at=None)
    teamwork.snooze(talk, by, timezone.now() + timedelta(hours=1))
    assert sweep.due_tasks()[0] == set()
    past = timezone.now() - timedelta(seconds=1)
    Conversation.objects.filter(pk=talk.pk).update(snoozed_until=past, wakes_at=past)
    assert sweep.due_tasks()[0] == {Task.END_SNOOZES}
    return talk


def told() -> list[str]:
    return [str(mention.user) for mention in Mention.objects.order_by("user__name").select_related("user")]


def test_the_end_of_a_snooze_is_told_once(private: Number, alice: User, browser: Browser) -> None:
    talk = snoozed(private, alice)
    snoozes.tell_due()
    snoozes.tell_due()
    remark = Remark.objects.get(kind="over")
    assert (sweep.due_tasks()[0], pages.unread(alice)) == (set(), 1)
    send()
    send()
    assert browser.read() == [
        {
            "title": CONTACT,
            "body": "The snooze is over.",
            "url": f"/inbox/{talk.pk}/",
            "tag": f"c{talk.pk}",
            "message": talk.last_message_id,
            "remark": remark.pk,
            "unread": 1,
        }
    ]
    page = browser.client.get("/inbox/").content.decode()
    assert "(1) Inbox" in page and 'aria-label="The snooze is over"' in page
    thread = browser.client.get(f"/inbox/{talk.pk}/").content.decode()
    assert "The snooze is over." in thread
    assert pages.unread(alice) == 0


@pytest.mark.parametrize("assignee", ["Alice", "Bob", ""])
def test_whoever_has_the_conversation_is_told(
    shared: Number, alice: User, bob: User, charlie: User, assignee: str
) -> None:
    talk = snoozed(shared, alice)
    Conversation.objects.update(assignee=User.objects.filter(name=assignee).first())
    snoozes.tell_due()
    assert told() == ([assignee] if assignee else ["Alice", "Bob"])
    assert [pages.unread(user) for user in (alice, bob)] == [assignee != "Bob", assignee != "Alice"]
    assert talk.mentions.filter(user=charlie).count() == 0


def test_one_who_has_left_the_number_has_nothing_any_more(shared: Number, alice: User, bob: User) -> None:
    talk = snoozed(shared, alice)
    Conversation.objects.update(assignee=bob)
    Assignment.objects.filter(user=bob).delete()
    snoozes.tell_due()
    assert (told(), pages.unread(bob)) == (["Alice"], 0)
    assert talk.mentions.count() == 1


def test_a_private_conversation_is_told_to_whom_it_is_private(shared: Number, alice: User, bob: User) -> None:
    snoozed(shared, alice)
    Conversation.objects.update(private_to=bob)
    snoozes.tell_due()
    assert told() == ["Bob"]


@pytest.mark.parametrize("what", ["closed", "reopened", "blocked", "a text", "snoozed anew"])
def test_nothing_is_told_of_a_conversation_that_does_not_come_back(
    private: Number, alice: User, browser: Browser, what: str
) -> None:
    talk = snoozed(private, alice)
    match what:
        case "closed":
            teamwork.close(talk, alice)
        case "reopened":
            teamwork.reopen(talk, alice)
        case "blocked":
            contacts.block(talk.contact, alice)
        case "a text":
            receive(private, "Hello?", "m2")
            Push.objects.all().delete()
        case _anew:  # by an older version, which knows of no `wakes_at`
            Conversation.objects.update(snoozed_until=timezone.now() + timedelta(hours=1))
    snoozes.tell_due()
    assert (told(), Push.objects.count(), Remark.objects.filter(kind="over").count()) == ([], 0, 0)
    assert sweep.due_tasks()[0] <= {Task.DISPATCH_DUE}
    talk.refresh_from_db()
    assert talk.wakes_at == (talk.snoozed_until if what == "snoozed anew" else None)


def test_a_push_that_waits_is_not_sent_once_somebody_took_the_conversation_up(
    private: Number, alice: User, browser: Browser
) -> None:
    for undo in (teamwork.reopen, teamwork.close, lambda talk, user: pages.mark_read(talk, user)):
        talk = snoozed(private, alice)
        snoozes.tell_due()
        undo(talk, alice)
        send()
        assert (browser.read(), Push.objects.count()) == ([], 0)


def test_the_end_of_a_snooze_is_mailed_once(private: Number, alice: User, mail_server: None) -> None:
    NoticeChoices.objects.create(user=alice, mail="at_once", shows_text=False)
    talk = snoozed(private, alice)
    snoozes.tell_due()
    make_mail_due()
    mails.send_due()
    (letter,) = mail.outbox
    assert (letter.subject, letter.to) == (f"The snooze is over: {CONTACT}", [alice.email])
    assert "The snooze is over." in letter.body and f"/inbox/{talk.pk}/" in letter.body
    assert "Call me tomorrow" not in letter.body
    snoozed(private, alice, "+61412000001")
    receive(private, "Hi", "m3", sender="+61412000002")
    snoozes.tell_due()
    make_mail_due()
    mails.send_due()
    assert (mail.outbox[1].subject, len(mail.outbox)) == ("1 unread message", 2)
    assert mail.outbox[1].body.count("The snooze is over.") == 1
    make_mail_due()
    mails.send_due()
    assert len(mail.outbox) == 2


def test_several_ends_are_one_mail(private: Number, alice: User, mail_server: None) -> None:
    NoticeChoices.objects.create(user=alice, mail="daily")
    for sender in (CONTACT, "+61412000001"):
        snoozed(private, alice, sender)
        snoozes.tell_due()
    make_mail_due()
    mails.send_due()
    assert [letter.subject for letter in mail.outbox] == ["2 snoozes are over"]


def test_the_open_page_tells_of_the_end_of_a_snooze(private: Number, alice: User, charlie: User) -> None:
    client, stranger = Client(), Client()
    client.force_login(alice)
    stranger.force_login(charlie)
    talk = snoozed(private, alice)
    before, stamp = str(newest(alice)), pages.change_stamp(alice)
    snoozes.tell_due()
    assert pages.change_stamp(alice) != stamp
    said = client.get("/inbox/news/", {"after": before}).json()
    assert [(notice["body"], notice["url"]) for notice in said["notices"]] == [
        ("The snooze is over.", f"/inbox/{talk.pk}/")
    ]
    assert said["newest"] == str(newest(alice)) != before
    assert client.get("/inbox/news/", {"after": said["newest"]}).json()["notices"] == []
    assert stranger.get("/inbox/news/", {"after": "0.0"}).json()["notices"] == []
    pages.mark_read(talk, alice)
    assert client.get("/inbox/news/", {"after": before}).json()["notices"] == []
    assert len(client.get("/inbox/news/", {"after": before, "open": talk.pk}).json()["notices"]) == 1


def test_ends_cost_the_same_for_many(shared: Number, alice: User, bob: User, browser: Browser) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            snoozes.tell_due()
        return len(queries)

    snoozed(shared, alice)
    one = cost()
    for place in range(20):
        snoozed(shared, alice, f"+614123456{place:02}")
        Conversation.objects.update(wakes_at=None)
    past = timezone.now() - timedelta(seconds=1)
    Conversation.objects.filter(snoozed_until__isnull=False).update(wakes_at=past)
    assert cost() == one
    assert Mention.objects.count() == 2 + 21 * 2
