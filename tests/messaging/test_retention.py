"""What is old is deleted, and nothing else; what a contact wants erased is nowhere any more."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.events import InboundRequest
from integrations.models import Template
from integrations.sandbox import Sandbox
from integrations.studio import captures
from messaging import erasure, media, retention, wakeups
from messaging.inbound import file_events
from messaging.models import (
    Attachment,
    Contact,
    Conversation,
    DeliveryAttempt,
    Erasure,
    Message,
    Number,
    OptOut,
    WebhookEvent,
    WebhookRequest,
)
from messaging.outbound import dispatch
from messaging.outbound.submit import resend_for_author, submit
from messaging.statuses import AttachmentState, QueueState, Status
from portal.models import Invitation, Organization, User

ANNA, BERT = "+61412345678", "+61412000000"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def with_file(message: Message, name: str = "a.txt") -> Attachment:
    item = media.keep(Attachment(message=message), ContentFile(b"secret file"), "text/plain", name)
    item.save()
    return item


def aged(message: Message, days: float) -> Message:
    """The message, sent so many days ago."""
    then = timezone.now() - timedelta(days=days)
    Message.objects.filter(pk=message.pk).update(
        created_at=then, expires_at=then + timedelta(days=1), queue_state=QueueState.DONE, status=Status.SENT
    )
    Conversation.objects.filter(pk=message.conversation_id).update(last_at=then)
    return message


def attempt(message: Message, days: float = 0) -> DeliveryAttempt:
    return DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=message.integration,
        fence=1,
        started_at=timezone.now() - timedelta(days=days),
        result="sent",
        body=message.text,
        status=Status.SENT,
    )


@pytest.mark.parametrize(
    ("installation", "own", "gone"),
    [
        (0, None, False),
        (0, 0, False),
        (5, None, True),
        (0, 5, True),
        (5, 0, False),
        (20, None, False),
        (20, 5, True),
    ],
)
def test_messages_go_when_the_account_says_so_or_else_the_installation(
    private: Number, alice: User, settings: Any, folder: Path, installation: int, own: int | None, gone: bool
) -> None:
    settings.MESSAGE_DAYS = installation
    account = private.organization.account
    account.message_days = own
    account.save()
    old = aged(submit(alice, private, ANNA, text="old"), 10)
    with_file(old)
    attempt(old)
    new = aged(submit(alice, private, BERT, text="new"), 1)
    retention.clean_up()
    assert set(Message.objects.values_list("pk", flat=True)) == ({new.pk} if gone else {old.pk, new.pk})
    assert Contact.objects.filter(address=ANNA).exists() is not gone
    assert (Attachment.objects.count(), files(folder), DeliveryAttempt.objects.count()) == (
        (0, 0, 0) if gone else (1, 1, 1)
    )


def test_what_may_still_be_sent_or_fetched_stays(private: Number, alice: User, settings: Any) -> None:
    settings.MESSAGE_DAYS = settings.FILE_DAYS = 1
    waiting = submit(alice, private, ANNA, text="waiting")
    Message.objects.filter(pk=waiting.pk).update(created_at=timezone.now() - timedelta(days=10))
    fetched = aged(submit(alice, private, BERT, text="its file may be fetched for two days more"), 2)
    with_file(fetched)
    retention.clean_up()
    assert Message.objects.count() == 2
    assert Attachment.objects.get().state == AttachmentState.KEPT


def test_files_may_go_before_their_messages(
    private: Number, alice: User, settings: Any, folder: Path
) -> None:
    settings.FILE_DAYS = 5
    old = aged(submit(alice, private, ANNA, text="old"), 10)
    with_file(old)
    kept = with_file(aged(submit(alice, private, BERT, text="new"), 1))
    retention.clean_up()
    gone = Attachment.objects.exclude(pk=kept.pk).get()
    assert (gone.state, gone.file.name, gone.name) == ("deleted", "", "")
    assert (Message.objects.count(), files(folder)) == (2, 1)
    retention.clean_up()
    assert files(folder) == 1


def test_a_file_that_a_resent_message_shares_stays_with_it(
    private: Number, alice: User, settings: Any, folder: Path
) -> None:
    settings.MESSAGE_DAYS = 5
    old = submit(alice, private, ANNA, text="with a file")
    with_file(old)
    Message.objects.filter(pk=old.pk).update(status=Status.FAILED, queue_state=QueueState.DONE)
    old.refresh_from_db()
    copy = resend_for_author(old)
    aged(old, 10)
    retention.clean_up()
    assert list(Message.objects.values_list("pk", flat=True)) == [copy.pk]
    assert files(folder) == 1
    aged(copy, 10)
    retention.clean_up()
    assert files(folder) == 0


def test_each_account_keeps_its_own(private: Number, alice: User, acme: Organization, settings: Any) -> None:
    acme.account.attempt_days, acme.account.webhook_days = 3, 3
    acme.account.save()
    message = submit(alice, private, ANNA, text="x")
    attempt(message, days=4)
    attempt_of_today = attempt(submit(alice, private, BERT, text="y"))
    retention.clean_up()
    assert list(DeliveryAttempt.objects.all()) == [attempt_of_today]


def test_a_hundred_messages_go_in_as_few_statements_as_ten(
    private: Number, alice: User, settings: Any
) -> None:
    settings.MESSAGE_DAYS = 5
    settings.USER_PER_MINUTE = settings.NUMBER_PER_MINUTE = 0
    counts = []
    for count in (10, 100):
        for index in range(count):
            aged(submit(alice, private, f"+61412{index:06d}", text="old"), 10)
        with CaptureQueriesContext(connection) as captured:
            retention.clean_up()
        assert not Message.objects.exists()
        counts.append(len(captured))
    assert counts[0] == counts[1]


def webhook(
    client: Client, organization: Organization, sender: str, text: str, *more: dict[str, Any]
) -> None:
    params = {"from": sender, "to": "+61855555501", "content": text}
    answer = client.post(
        f"/services/generic/a{organization.account.accountid}",
        json.dumps({"method": "message", "params": params}),
        content_type="application/json",
    )
    assert answer.status_code == 200


@pytest.fixture
def full(private: Number, alice: User, client: Client, sandbox: Sandbox) -> Number:
    """Both have written and been written to; there are traces, a quarantine, an opt-out, and what waits."""
    acme = private.organization
    for who, name in ((ANNA, "Anna"), (BERT, "Bert")):
        submit(alice, private, who, text=f"out to {name}")
        webhook(client, acme, who, f"in from {name}")
        # Nobody knows whose this is: it names no number of ours.
        national = f"0{who[3:]}"
        body = json.dumps(
            {"method": "message", "params": {"from": national, "to": "+61899999999", "content": name}}
        )
        client.post(f"/services/generic/a{acme.account.accountid}", body, content_type="application/json")
        OptOut.objects.create(organization=acme, number=private, address=who)
    OptOut.objects.all().delete()
    dispatch.drain()
    file_events.drain()
    for who, name in ((ANNA, "Anna"), (BERT, "Bert")):
        with_file(Message.objects.get(text=f"in from {name}"), f"{name}.txt")
        submit(alice, private, who, text=f"waiting for {name}")
        OptOut.objects.create(organization=acme, number=private, address=who)
    return private


def everything() -> str:
    """All rows of all tables, decrypted, and the files."""
    from django.apps import apps

    found = []
    for model in apps.get_models():
        if model._meta.app_label in ("messaging", "portal", "admin", "integrations"):
            found += [repr(vars(row)) for row in model._default_manager.all()]
    return "\n".join(found)


def test_a_contact_is_erased_everywhere_and_nobody_else(
    full: Number, alice: User, reseller: User, folder: Path
) -> None:
    before = everything()
    assert all(word in before for word in ("Anna", "412345678", "Bert", "412000000"))
    erasure.start(full.organization, "+61 412 345 678", reseller)
    erasure.drain()
    after = everything()
    assert "Anna" not in after
    # Only the opt-out is left, so that nobody writes to her again.
    assert after.count("412345678") == 1
    assert OptOut.objects.filter(address=ANNA).exists()
    assert [
        word for word in ("out to Bert", "in from Bert", "waiting for Bert", "Bert.txt") if word not in after
    ] == []
    assert files(folder) == 1
    row = Erasure.objects.get()
    assert row.finished_at is not None
    assert row.counts == {
        "messages": 3, "files": 1, "attempts": 1, "webhooks": 2, "events": 1, "conversations": 1,
    }  # fmt: skip
    assert (row.masked, row.address, row.requester) == ("+61…78", "", reseller.email)
    assert row.fingerprint in erasure.of_number("+61 412 345 678")
    dispatch.drain()
    # He has opted out meanwhile.
    assert Message.objects.get(text="waiting for Bert").status == Status.FAILED


def test_a_repeat_of_an_erased_webhook_does_not_bring_the_contact_back(
    private: Number, client: Client, admin_of_acme: User
) -> None:
    webhook(client, private.organization, ANNA, "hello")
    WebhookEvent.objects.update(key="k" * 64, provider_id="id-1")
    file_events.drain()
    erasure.start(private.organization, ANNA, admin_of_acme)
    erasure.drain()
    event = WebhookEvent.objects.get()
    assert (event.key, event.provider_id, event.state) == ("k" * 64, "", "done")
    assert WebhookRequest.objects.get().body == b""


def test_opt_outs_go_where_that_is_wanted(full: Number, admin_of_acme: User) -> None:
    erasure.start(full.organization, ANNA, admin_of_acme, with_opt_outs=True)
    erasure.drain()
    assert list(OptOut.objects.values_list("address", flat=True)) == [BERT]
    assert Erasure.objects.get().counts["opt-outs"] == 1


def test_another_organization_keeps_its_contact(
    full: Number, globex: Organization, admin_of_acme: User
) -> None:
    Contact.objects.create(organization=globex, address=ANNA, name="Anna of Globex")
    erasure.start(full.organization, ANNA, admin_of_acme)
    erasure.drain()
    assert Contact.objects.get(address=ANNA).organization == globex


def test_what_is_being_sent_is_waited_for(full: Number, admin_of_acme: User) -> None:
    waiting = Message.objects.filter(text="waiting for Anna")
    waiting.update(queue_state=QueueState.CLAIMED, lease_until=timezone.now() + timedelta(seconds=60))
    row = erasure.start(full.organization, ANNA, None)
    assert erasure.carry_out(row.pk) is False
    row.refresh_from_db()
    assert (row.finished_at, row.counts["messages"], row.address) == (None, 2, ANNA)
    waiting.update(queue_state=QueueState.DONE, lease_until=None)
    assert erasure.carry_out(row.pk) is True
    row.refresh_from_db()
    assert (row.counts["messages"], row.counts["webhooks"]) == (3, 2)


@pytest.mark.parametrize(
    "spelling",
    [
        "+61412345678",
        "61412345678",
        "0412 345 678",
        "(0412) 345-678",
        "%2B61%20412%20345%20678",
        "412.345.678",
    ],
)
def test_a_number_is_found_however_it_is_spelled(
    private: Number, client: Client, reseller: User, spelling: str
) -> None:
    url = f"/services/generic/a{private.organization.account.accountid}"
    client.post(url, f"who={spelling}", content_type="text/plain")
    for other in ("4123456789", "99461412345678", "id=1412345678"):
        client.post(url, f"who={other}", content_type="text/plain")
    erasure.start(private.organization, ANNA, reseller)
    erasure.drain()
    bodies = [bytes(body) for body in WebhookRequest.objects.order_by("pk").values_list("body", flat=True)]
    assert bodies == [b"", b"who=4123456789", b"who=99461412345678", b"who=id=1412345678"]


def test_the_command_prints_the_protocol(full: Number, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("erase_contact", "acme.example", ANNA)
    said = capsys.readouterr().out
    assert said.startswith(
        "Erased +61…78 of Acme: 3 messages, 1 file, 1 delivery attempt, the content of 2 webhooks, "
    )
    for wrong in (("nowhere.example", ANNA), ("acme.example", "!")):
        with pytest.raises(CommandError):
            call_command("erase_contact", *wrong)
    with pytest.raises(CommandError, match=r"Write a phone number with \+ and its country code, like \+614"):
        call_command("erase_contact", "acme.example", "0412 345 678")
    assert Erasure.objects.count() == 1


def form(whose: Organization, **more: str) -> dict[str, str]:
    return {"organization": str(whose.pk), "number": "+61 412 345 678", "sure": "on", **more}


@pytest.mark.parametrize("person", ["admin_of_acme", "reseller", "operator"])
def test_an_admin_erases_a_contact_on_the_page(
    full: Number, client: Client, request: pytest.FixtureRequest, person: str
) -> None:
    client.force_login(request.getfixturevalue(person))
    page = "/admin/messaging/erasure/"
    assert client.post(f"{page}add/", form(full.organization)).status_code == 302
    row = Erasure.objects.get()
    assert "in progress" in client.get(page).content.decode()
    erasure.drain()
    shown = client.get(f"{page}{row.pk}/change/").content.decode()
    assert "3 messages, 1 file" in shown
    assert "+61…78" in shown and "412345678" not in shown
    assert "+61…78" in client.get(page, {"q": "+61412345678"}).content.decode()
    assert "+61…78" not in client.get(page, {"q": "+61412345679"}).content.decode()
    assert client.post(f"{page}{row.pk}/change/", form(full.organization)).status_code == 403
    assert client.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_an_erasure_has_one_button_and_then_a_way_back(full: Number, reseller: User, client: Client) -> None:
    client.force_login(reseller)
    row = erasure.start(full.organization, ANNA, reseller)
    pages = [
        client.get(f"/admin/messaging/erasure/{place}/").content.decode()
        for place in ("add", f"{row.pk}/change")
    ]
    ways = [re.findall(r"(Erase for good|Save|Close)\s*</(?:button|a)>", page) for page in pages]
    assert ways == [["Erase for good"], ["Close"]]


@pytest.mark.parametrize("person", ["alice", "admin_of_globex"])
def test_others_erase_nothing(
    full: Number, client: Client, request: pytest.FixtureRequest, person: str
) -> None:
    client.force_login(request.getfixturevalue(person))
    client.post("/admin/messaging/erasure/add/", form(full.organization))
    assert not Erasure.objects.exists()
    row = erasure.start(full.organization, ANNA, None)
    assert client.get(f"/admin/messaging/erasure/{row.pk}/change/").status_code in (302, 403, 404)
    assert "+61…78" not in client.get("/admin/messaging/erasure/").content.decode()


@pytest.mark.parametrize("wrong", [{"number": "!"}, {"number": ""}, {"sure": ""}, {"organization": "0"}])
def test_a_wrong_form_erases_nothing(
    full: Number, admin_of_acme: User, client: Client, wrong: dict[str, str]
) -> None:
    client.force_login(admin_of_acme)
    answer = client.post("/admin/messaging/erasure/add/", form(full.organization, **wrong))
    assert answer.status_code == 200
    assert not Erasure.objects.exists()


def test_the_sweep_finds_an_erasure_whose_wake_up_was_lost(full: Number) -> None:
    from messaging.engine import sweep

    row = erasure.start(full.organization, ANNA, None)
    assert wakeups.Task.ERASE in sweep.due_tasks()[0]
    erasure.carry_out(row.pk)
    assert wakeups.Task.ERASE not in sweep.due_tasks()[0]


def test_one_process_at_a_time_erases_and_a_failure_stops_no_other(
    full: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [erasure.start(full.organization, who, None) for who in (ANNA, BERT)]
    Erasure.objects.filter(pk=rows[0].pk).update(claimed_until=timezone.now() + timedelta(seconds=30))
    assert erasure.carry_out(rows[0].pk) is False
    assert Message.objects.filter(text="in from Anna").exists()
    Erasure.objects.update(claimed_until=None)
    real = retention.delete_messages
    calls: list[int] = []

    def fails_first(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("a defect")
        return real(*args)

    monkeypatch.setattr(retention, "delete_messages", fails_first)
    erasure.drain()
    rows[0].refresh_from_db()
    rows[1].refresh_from_db()
    assert (rows[0].finished_at, rows[1].finished_at is not None) == (None, True)
    assert rows[0].claimed_until > timezone.now() + timedelta(seconds=30)  # not again at once
    Erasure.objects.update(claimed_until=None)
    erasure.drain()
    rows[0].refresh_from_db()
    assert rows[0].counts["webhooks"] == 2


@pytest.mark.parametrize("name", ["host", "content", "kind", "POST"])
def test_a_word_that_stands_in_every_request_erases_none(
    full: Number, admin_of_acme: User, reseller: User, name: str
) -> None:
    before = [bytes(body) for body in WebhookRequest.objects.order_by("pk").values_list("body", flat=True)]
    for who in (admin_of_acme, reseller):
        erasure.start(full.organization, name, who)
    erasure.drain()
    after = [bytes(body) for body in WebhookRequest.objects.order_by("pk").values_list("body", flat=True)]
    assert after == before
    assert [row.counts.get("webhooks") for row in Erasure.objects.all()] == [None, None]


def test_an_organizations_admin_erases_nothing_of_which_nobody_knows_whose_it_is(
    full: Number, admin_of_acme: User, reseller: User
) -> None:
    unknown = WebhookRequest.objects.filter(organization=None)
    assert unknown.count() == 2
    erasure.start(full.organization, ANNA, admin_of_acme)
    erasure.drain()
    assert [bool(row.body) for row in unknown.all()] == [True, True]
    erasure.start(full.organization, ANNA, reseller)
    erasure.drain()
    assert sorted(bool(row.body) for row in unknown.all()) == [False, True]


def test_captured_requests_with_the_number_go(full: Number, admin_of_acme: User, reseller: User) -> None:
    template = Template(account=full.account)
    template.revise('{"id": "own", "name": "Own", "Webhook": []}')
    capture = captures.open_for(template, reseller)
    for query, body in (("to=0412+345+678", b""), ("", ANNA.encode()), ("", BERT.encode())):
        captures.record(capture, InboundRequest("POST", "", query, {}, body))
    erasure.start(full.organization, ANNA, admin_of_acme)
    erasure.drain()
    assert capture.requests.count() == 3
    row = erasure.start(full.organization, ANNA, reseller)
    erasure.drain()
    row.refresh_from_db()
    assert [kept.request.get("text") for kept in capture.requests.all()] == [BERT]
    assert "2 captured requests" in erasure.in_words(row.counts)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('<?xml version="1.0" encoding="UTF-16"?><a>+61412345678</a>'.encode("utf-16"), "text/xml"),
        ('<?xml version="1.0" encoding="UTF-16"?><a>+61412345678</a>'.encode("utf-16-be"), "text/xml"),
        (rb'{"a": "\u002b\u0036\u0031412345678"}', "application/json"),
        (b"<a>&#43;&#x36;1412345678</a>", "text/xml"),
        (b'{"data": "eyJmcm9tIjoiKzYxNDEyMzQ1Njc4In0="}', "application/json"),
        ('{"a": "\uff10\uff14\uff11\uff12 345 678"}'.encode(), "application/json"),
        ("a=0412\xa0345\u2011678".encode(), "text/plain"),
    ],
)
def test_a_number_is_erased_in_any_encoding(
    private: Number, reseller: User, client: Client, body: bytes, kind: str
) -> None:
    account = private.organization.account
    template = Template(account=account)
    template.revise('{"id": "own", "name": "Own", "Webhook": []}')
    capture = captures.open_for(template, reseller)
    for content in (body, BERT.encode()):
        captures.record(capture, InboundRequest("POST", "", "", {"content-type": kind}, content))
        client.post(f"/services/generic/a{account.accountid}", content, content_type=kind)
    erasure.start(private.organization, ANNA, reseller)
    erasure.drain()
    assert [row.request.get("text") for row in capture.requests.all()] == [BERT]
    assert [bytes(row.body) for row in WebhookRequest.objects.order_by("pk")] == [b"", BERT.encode()]


@pytest.mark.parametrize("name", ["ACME", "Alice@example.com", "0400"])
def test_what_a_contact_has_sent_under_a_name_is_erased(
    private: Number, client: Client, admin_of_acme: User, name: str
) -> None:
    webhook(client, private.organization, name, "from a name")
    webhook(client, private.organization, BERT, "about ACME")
    file_events.drain()
    erasure.start(private.organization, name, admin_of_acme)
    erasure.drain()
    assert [bool(row.body) for row in WebhookRequest.objects.order_by("pk")] == [False, True]
    assert list(Message.objects.values_list("text", flat=True)) == ["about ACME"]


def test_an_erasure_is_proven_after_the_secret_key_was_rotated(full: Number, settings: Any) -> None:
    row = erasure.start(full.organization, ANNA, None)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "a-new-secret-key-that-is-long-enough-0123456789abcdef"
    settings.SECRET_KEY_FALLBACKS = [old]
    assert row.fingerprint in erasure.of_number(ANNA)


def test_old_invitations_go(acme: Organization, admin_of_acme: User) -> None:
    for days, email in ((31, "old@x.example"), (29, "new@x.example")):
        row = Invitation(
            email=email, name="N", account=acme.account, organization=acme, inviter=admin_of_acme
        )
        row.open()
        Invitation.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=days))
    retention.clean_up()
    assert [row.email for row in Invitation.objects.all()] == ["new@x.example"]
