"""What is taken from users, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connections, transaction

from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging.models import Assignment, Attachment, Contact, Conversation, Message, Number, OptOut
from messaging.outbound import dispatch, enqueue
from messaging.outbound import submit as outbound
from messaging.outbound.submit import MAX_TEXT, Refused, resend, submit
from messaging.statuses import QueueState, Status
from portal.models import Membership, Organization, User

CONTACT = "+61412345678"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def upload(name: str = "a.txt", content: bytes = b"hello") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('Hi "there" $content$ \\ {} %41 a+b 50% off', 'Hi "there" $content$ \\ {} %41 a+b 50% off'),
        ("one\r\ntwo", "one\ntwo"),
        ("emoji 🙂 and \u202ebidi", "emoji 🙂 and \u202ebidi"),
        ("nul \0 here", "nul \ufffd here"),
        ("  spaces stay  ", "  spaces stay  "),
    ],
)
def test_a_text_is_kept_as_written(private: Number, alice: User, written: str, kept: str) -> None:
    message = submit(alice, private, CONTACT, text=written)
    message.refresh_from_db()
    assert (message.text, message.status, message.queue_state) == (kept, Status.QUEUED, QueueState.WAITING)
    assert message.conversation.last_message == message


@pytest.mark.parametrize("spelled", ["+61412345678", "0412 345 678", "61412345678", "(0412) 345-678"])
def test_a_contact_is_one_however_spelled(private: Number, alice: User, spelled: str) -> None:
    submit(alice, private, CONTACT, text="one")
    submit(alice, private, spelled, text="two")
    assert list(Contact.objects.values_list("address", flat=True)) == [CONTACT]
    assert Conversation.objects.count() == 1


def _blocked(alice: User, number: Number) -> None:
    Membership.objects.filter(user=alice).update(status=Membership.Status.BLOCKED)


def _inactive(alice: User, number: Number) -> None:
    Number.objects.update(active=False)


def _unassigned(alice: User, number: Number) -> None:
    Assignment.objects.all().delete()


def _no_service(alice: User, number: Number) -> None:
    Number.objects.update(integration=None)


def _switched_off(alice: User, number: Number) -> None:
    Integration.objects.update(enabled=False)


def _opted_out(alice: User, number: Number) -> None:
    OptOut.objects.create(organization=number.organization, number=number, address=CONTACT)


def _nothing(alice: User, number: Number) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "given", "reason"),
    [
        (_unassigned, {}, "cannot send through this number"),
        (_blocked, {}, "cannot send through this number"),
        (_inactive, {}, "cannot send through this number"),
        (_no_service, {}, "has no provider to send through"),
        (_switched_off, {}, "has no provider to send through"),
        (_opted_out, {}, "has opted out"),
        (_nothing, {"text": ""}, "Write a text or add a file"),
        (_nothing, {"text": " \n"}, "Write a text or add a file"),
        (_nothing, {"text": "x" * (MAX_TEXT + 1)}, "the limit is 10000"),
        (_nothing, {"to": "hello, you there"}, "is not a phone number"),
        (_nothing, {"to": ""}, "is not a phone number"),
        (_nothing, {"to": "abc"}, "“abc” is not a phone number or short code. Write it with"),
        (_nothing, {"to": "000"}, "“000” is not a phone number or short code"),
        (_nothing, {"to": "+1202555012"}, "“\\+1202555012” is not a phone number"),
        (_nothing, {"to": "+12025550123456"}, "is not a phone number"),
        (_nothing, {"to": "+999123456789"}, "is not a phone number"),
        (_nothing, {"to": "+²³⁴⁵⁶⁷⁸⁹"}, "is not a phone number"),
        (_nothing, {"to": "\ud800"}, "“\ufffd” is not a phone number"),
        (_nothing, {"to": "07400 123456"}, "is not a phone number of AU.*it may be .*\\+447400123456 .GB"),
        (_nothing, {"to": "+6141234\r\n5678x: y"}, "is not a phone number"),
        (_nothing, {"to": "+61855555501"}, "your own number"),
        (_nothing, {"files": [upload() for _ in range(11)]}, "At most 10 files"),
        (_nothing, {"files": [upload(content=b"")]}, "a.txt is empty"),
    ],
)
def test_refusals_say_why_and_store_nothing(
    private: Number,
    alice: User,
    media: Path,
    change: Callable[[User, Number], None],
    given: dict[str, Any],
    reason: str,
) -> None:
    change(alice, private)
    with pytest.raises(Refused, match=reason):
        submit(alice, private, **{"to": CONTACT, "text": "hello", **given})
    assert [model.objects.count() for model in (Message, Contact, Conversation, Attachment)] == [0, 0, 0, 0]
    assert list(media.rglob("*.*")) == []


def test_files_are_not_left_behind_when_the_database_is_away(
    private: Number, alice: User, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(submission: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(enqueue, "enqueue", away)
    with pytest.raises(OperationalError):
        submit(alice, private, CONTACT, files=[upload()])
    assert (Message.objects.count(), Attachment.objects.count(), list(media.rglob("*.*"))) == (0, 0, [])


def test_a_new_contact_written_in_two_ways_at_once_is_one(private: Number, alice: User) -> None:
    ways = ["+5215512345678", "+525512345678", "+541123456789", "+5491123456789"]
    prepared = [outbound.prepare(alice, private, way, text="hola", uuid=uuid4()) for way in ways]
    results = enqueue.enqueue_many(prepared)
    assert not [result for result in results if isinstance(result, Exception)]
    assert Message.objects.count() == 4
    assert sorted(Contact.objects.values_list("address", flat=True)) == ["+5215512345678", "+541123456789"]


@pytest.mark.django_db(transaction=True)
def test_who_asks_for_a_new_contact_waits_for_whoever_makes_it(private: Number) -> None:
    organization, begun = private.organization_id, Event()

    def ask() -> dict[tuple[int, str], str]:
        begun.set()
        with transaction.atomic():
            known = Contact.objects.known_as([(organization, "+525512345678")])
        connections.close_all()
        return known

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Contact.objects.known_as([(organization, "+5215512345678")])
            asked = pool.submit(ask)
            begun.wait()
            Contact.objects.create(organization=private.organization, address="+5215512345678")
        assert asked.result() == {(organization, "+525512345678"): "+5215512345678"}


@pytest.mark.django_db(transaction=True)
def test_six_who_write_to_a_new_contact_at_once_make_one(private: Number, alice: User) -> None:
    ways = ["+5215512345678", "+525512345678"] * 3

    def send(way: str) -> None:
        submit(alice, private, way, text="hola")
        connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, ways))
    assert (Contact.objects.count(), Conversation.objects.count(), Message.objects.count()) == (1, 1, 6)


def test_a_stranger_and_a_colleague_do_not_send_through_a_private_number(
    private: Number, bob: User, charlie: User
) -> None:
    for user in (bob, charlie):
        with pytest.raises(Refused):
            submit(user, private, CONTACT, text="mine")
    assert Message.objects.count() == 0


def test_limits_of_the_template(private: Number, alice: User, media: Path) -> None:
    source = (
        '{"id": "small", "name": "Small", "limits": {"media_bytes": 1000, "media_types": ["image/*"]},'
        ' "API": {"SendMessage": {"request_url": "https://x.example/"}}}'
    )
    template = Template(account=private.account)
    template.revise(source)
    Number.objects.update(
        integration=Integration.objects.create(organization=private.organization, template=template)
    )
    for file, reason in (
        (upload("a.txt"), "not accept files of the type text/plain"),
        (upload("a.png", b"\x89PNG\r\n\x1a\n" + b"x" * 1000), "limit: 1 KiB.*Use a JPEG"),
    ):
        with pytest.raises(Refused, match=reason):
            submit(alice, private, CONTACT, files=[file])
    assert (Message.objects.count(), list(media.rglob("*.*"))) == (0, [])


def test_the_same_uuid_is_sent_once(private: Number, alice: User, shared: Number, bob: User) -> None:
    uuid = uuid4()
    first = submit(alice, private, CONTACT, text="once", uuid=uuid)
    assert submit(alice, private, CONTACT, text="once", uuid=uuid) == first
    with pytest.raises(Refused, match="sent already"):
        submit(bob, shared, CONTACT, text="once", uuid=uuid)
    assert Message.objects.count() == 1


def test_only_a_failed_message_is_sent_again(private: Number, alice: User) -> None:
    message = submit(alice, private, CONTACT, text="again", files=[upload()])
    with pytest.raises(Refused):
        resend(alice, message)
    Message.objects.update(status=Status.FAILED, queue_state=QueueState.DONE)
    message.refresh_from_db()
    copy = resend(alice, message)
    assert (copy.text, copy.status, copy.attachments.get().name) == ("again", Status.QUEUED, "a.txt")
    assert Message.objects.count() == 2


def test_one_organization_does_not_see_the_contacts_of_another(
    private: Number, alice: User, globex: Organization
) -> None:
    Contact.objects.create(organization=globex, address=CONTACT, name="Secret name")
    assert submit(alice, private, CONTACT, text="hi").conversation.contact.name == ""


def _failed(alice: User, number: Number, status: Status) -> Message:
    message = submit(alice, number, CONTACT, text="again")
    Message.objects.filter(pk=message.pk).update(status=status, queue_state=QueueState.DONE)
    message.refresh_from_db()
    return message


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNKNOWN])
def test_a_message_is_resent_once_by_whoever_presses_first(
    shared: Number, alice: User, bob: User, status: Status
) -> None:
    message = _failed(alice, shared, status)
    copy = resend(alice, message)
    assert resend(alice, message) == resend(bob, message) == copy
    assert (copy.resend_of, copy.author, Message.objects.count()) == (message, alice, 2)
    Message.objects.filter(pk=copy.pk).update(status=Status.FAILED, queue_state=QueueState.DONE)
    copy.refresh_from_db()
    assert resend(bob, copy).resend_of == copy


@pytest.mark.parametrize(
    "status", [Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED, Status.READ]
)
def test_what_did_not_fail_is_not_resent(private: Number, alice: User, status: Status) -> None:
    message = _failed(alice, private, status)
    with pytest.raises(Refused, match="Only a message that failed"):
        resend(alice, message)
    assert Message.objects.count() == 1


def test_a_stranger_and_a_colleague_resend_nothing(
    private: Number, alice: User, bob: User, charlie: User
) -> None:
    message = _failed(alice, private, Status.FAILED)
    for user in (bob, charlie):
        with pytest.raises(Refused, match="cannot send through this number"):
            resend(user, message)
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    ("header", "footer", "text", "sent"),
    [
        ("", "", "hi", "hi"),
        ("Acme", "", "hi", "Acme\nhi"),
        ("", "Bye", "hi", "hi\nBye"),
        ("Acme", "Bye", "hi\nyou", "Acme\nhi\nyou\nBye"),
        ("$to$", "100%", "hi", "$to$\nhi\n100%"),
    ],
)
def test_header_and_footer_are_sent_and_not_stored(
    private: Number, alice: User, sandbox: Sandbox, header: str, footer: str, text: str, sent: str
) -> None:
    Number.objects.update(header=header, footer=footer)
    message = submit(alice, private, CONTACT, text=text)
    dispatch.drain()
    message.refresh_from_db()
    assert ([request.json["content"] for request in sandbox.received], message.text) == ([sent], text)


def test_a_picture_without_words_carries_them_too(private: Number, alice: User, sandbox: Sandbox) -> None:
    Number.objects.update(header="Acme", footer="Bye")
    submit(alice, private, CONTACT, files=[upload()])
    dispatch.drain()
    assert [request.json.get("content") for request in sandbox.received] == ["Acme\nBye", None]


def test_an_answer_to_a_short_code_goes_to_it(private: Number, alice: User) -> None:
    # In Germany 1380000 could be dialled, and is somebody else's number.
    Number.objects.filter(pk=private.pk).update(country="DE")
    private.refresh_from_db()
    code = Contact.objects.create(organization=private.organization, address="1380000")
    message = submit(alice, private, code, text="Hi")
    assert message.conversation.contact == code
    assert submit(alice, private, "1380000", text="Hi").conversation.contact.address == "+491380000"


@pytest.mark.parametrize(
    ("address", "reason"), [("Clinic", "is not a phone number"), ("own", "your own number")]
)
def test_a_contact_who_cannot_be_answered_is_refused(
    private: Number, alice: User, address: str, reason: str
) -> None:
    address = private.number if address == "own" else address
    contact = Contact.objects.create(organization=private.organization, address=address)
    with pytest.raises(Refused, match=reason):
        submit(alice, private, contact, text="Hi")
    assert Message.objects.count() == 0
