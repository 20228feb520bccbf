"""The inbox as its people see it: owner, colleague, stranger; and what each page costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from messaging.engine import queue
from messaging.inbox import pages
from messaging.models import Attachment, Contact, Conversation, Message, Number, Reading
from messaging.outbound.submit import submit
from messaging.statuses import QueueState, Status
from portal.models import Membership, User

CONTACT = "+61412345678"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def arrive(number: Number, text: str = "Hi", address: str = CONTACT) -> Message:
    contact, _ = Contact.objects.get_or_create(organization=number.organization, address=address)
    conversation, _ = Conversation.objects.get_or_create(
        number=number, contact=contact, defaults={"organization": number.organization}
    )
    message = Message.objects.create(
        organization=number.organization,
        conversation=conversation,
        direction="in",
        text=text,
        status=Status.DELIVERED,
        queue_state=QueueState.DONE,
        expires_at="2030-01-01T00:00:00Z",
    )
    Conversation.objects.filter(pk=conversation.pk).update(last_message=message)
    return message


def paths(message: Message, attachment: Attachment) -> list[str]:
    thread = f"/inbox/{message.conversation_id}/"
    return [thread, f"{thread}thread/", f"/inbox/files/{attachment.uuid}"]


@pytest.fixture
def sent(shared: Number, alice: User) -> Message:
    file = SimpleUploadedFile("note.txt", b"hello")
    return submit(alice, shared, CONTACT, text="A <b>text</b>", files=[file])


def test_who_sees_a_shared_conversation(
    sent: Message, alice: User, bob: User, charlie: User, admin_of_acme: User, reseller: User
) -> None:
    attachment = sent.attachments.get()
    for path in paths(sent, attachment):
        for user in (alice, bob):
            answer = signed_in(user).get(path)
            assert answer.status_code == 200, path
            assert b"".join(answer) != b""
        for stranger in (charlie, admin_of_acme, reseller):
            assert signed_in(stranger).get(path).status_code == 404, path
        assert Client().get(path)["Location"].startswith("/account/login/"), path


def test_a_private_number_is_its_users_alone(private: Number, alice: User, bob: User) -> None:
    message = submit(alice, private, CONTACT, text="for my eyes only")
    assert signed_in(alice).get(f"/inbox/{message.conversation_id}/").status_code == 200
    assert signed_in(bob).get(f"/inbox/{message.conversation_id}/").status_code == 404
    assert "for my eyes only" not in signed_in(bob).get("/inbox/").content.decode()


@pytest.mark.parametrize("change", ["unassigned", "blocked", "inactive"])
def test_who_lost_access_sees_nothing(sent: Message, bob: User, shared: Number, change: str) -> None:
    if change == "unassigned":
        shared.assignments.filter(user=bob).delete()
    elif change == "blocked":
        Membership.objects.filter(user=bob).update(status=Membership.Status.BLOCKED)
    client = signed_in(bob)
    if change == "inactive":
        User.objects.filter(pk=bob.pk).update(is_active=False)
    answer = client.get(f"/inbox/{sent.conversation_id}/")
    assert answer.status_code == (302 if change == "inactive" else 404)


def test_strangers_do_not_send(sent: Message, charlie: User) -> None:
    answer = signed_in(charlie).post(f"/inbox/{sent.conversation_id}/", {"text": "x", "uuid": uuid4()})
    assert (answer.status_code, Message.objects.count()) == (404, 1)
    number = sent.conversation.number_id
    answer = signed_in(charlie).post(
        "/inbox/new/", {"number": number, "to": CONTACT, "text": "x", "uuid": uuid4()}
    )
    assert (answer.status_code, Message.objects.count()) == (422, 1)


def test_a_conversation_with_no_number_cannot_be_answered(sent: Message, alice: User) -> None:
    conversation = sent.conversation
    conversation.contact.address = "alice@example.com"
    conversation.contact.save()
    client, path = signed_in(alice), f"/inbox/{conversation.pk}/"
    shown = client.get(path).content.decode()
    assert "You cannot reply to alice@example.com, because it is not a phone number." in shown
    assert 'name="text"' not in shown and 'class="compose"' not in shown  # which the script fills
    answer = client.post(path, {"text": "x", "uuid": uuid4()})
    assert (answer.status_code, Message.objects.count()) == (422, 1)


def test_a_new_message_and_a_double_click(shared: Number, alice: User) -> None:
    client, uuid = signed_in(alice), uuid4()
    form = {"number": shared.pk, "to": "0412 345 678", "text": "Hello", "uuid": uuid, "warned": CONTACT}
    answers = [client.post("/inbox/new/", form) for _ in range(2)]
    message = Message.objects.get()
    assert [answer["Location"] for answer in answers] == [f"/inbox/{message.conversation_id}/"] * 2
    assert (message.text, message.author) == ("Hello", alice)


def test_a_refusal_keeps_the_text_and_stores_nothing(shared: Number, alice: User) -> None:
    client = signed_in(alice)
    form = {"number": shared.pk, "to": "nonsense!", "text": "Do not lose me", "uuid": uuid4()}
    answer = client.post("/inbox/new/", form)
    assert answer.status_code == 422
    assert "Do not lose me" in answer.content.decode()
    assert "is not a phone number" in answer.content.decode()
    fragment = client.post("/inbox/new/", form, headers={"HX-Request": "true"})
    assert (fragment.status_code, "<html" in fragment.content.decode()) == (422, False)
    assert (Message.objects.count(), Conversation.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"uuid": "no"},
        {"uuid": uuid4()},
        {"uuid": uuid4(), "text": "x" * 20_000},
        {"uuid": uuid4(), "text": "\0"},
    ],
)
def test_odd_forms_are_refused_in_words(sent: Message, alice: User, form: dict[str, Any]) -> None:
    answer = signed_in(alice).post(f"/inbox/{sent.conversation_id}/", form)
    assert answer.status_code == 422
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    "path",
    [
        "/inbox/?q=%00",
        "/inbox/?q=%FF&count=x&open=y",
        "/inbox/list/?count=99999999999",
        "/inbox/changes/?count=²&open=x",
        "/inbox/changes/?count=99999999999&open=999999999999999999999",
        "/inbox/999999999999/",
    ],
)
def test_odd_addresses_never_break(sent: Message, alice: User, path: str) -> None:
    assert signed_in(alice).get(path).status_code in (200, 400, 404)


def test_what_people_write_is_escaped(sent: Message, shared: Number, alice: User) -> None:
    Contact.objects.update(name="<script>alert(1)</script>")
    page = signed_in(alice).get(f"/inbox/{sent.conversation_id}/").content.decode()
    assert "A &lt;b&gt;text&lt;/b&gt;" in page
    assert "<script>alert" not in page


def test_live_updates_come_when_something_changed(sent: Message, alice: User) -> None:
    client = signed_in(alice)
    thread = client.get(f"/inbox/{sent.conversation_id}/thread/").context["thread"].fingerprint
    listed = client.get("/inbox/list/").context["list"].fingerprint
    assert client.get(f"/inbox/{sent.conversation_id}/thread/?seen={thread}").status_code == 204
    assert client.get(f"/inbox/list/?seen={listed}").status_code == 204
    arrive(sent.conversation.number, "News")
    assert "News" in client.get(f"/inbox/{sent.conversation_id}/thread/?seen={thread}").content.decode()
    assert "News" in client.get(f"/inbox/list/?seen={listed}").content.decode()


def stamp(user: User, opened: Conversation) -> str:
    """What the page's poll is answered when it knows nothing yet."""
    answer = signed_in(user).get("/inbox/changes/", {"open": opened.pk})
    assert answer.status_code == 200
    return answer.content.decode()


def _read_elsewhere(sent: Message, alice: User) -> None:
    signed_in(alice).get(f"/inbox/{Conversation.objects.latest('pk').pk}/")


def _status_of_an_older_message(sent: Message, alice: User) -> None:
    queue.advance([queue.Change(sent.pk, 0, QueueState.DONE, Status.DELIVERED)])


def _status_in_another_conversation(sent: Message, alice: User) -> None:
    other = Message.objects.filter(direction="out").latest("pk")
    assert other.conversation_id != sent.conversation_id
    queue.advance([queue.Change(other.pk, 0, QueueState.DONE, Status.FAILED)])


def _unassigned(sent: Message, alice: User) -> None:
    Number.objects.exclude(pk=sent.conversation.number_id).get().assignments.filter(user=alice).delete()


@pytest.mark.parametrize(
    "happens",
    [
        lambda sent, alice: arrive(sent.conversation.number),
        lambda sent, alice: arrive(sent.conversation.number, address="+61412000009"),
        lambda sent, alice: submit(alice, sent.conversation.number, CONTACT, text="More"),
        _read_elsewhere,
        _status_of_an_older_message,
        _status_in_another_conversation,
        _unassigned,
    ],
)
def test_the_poll_notices_what_changes(
    sent: Message, private: Number, alice: User, happens: Callable[[Message, User], Any]
) -> None:
    submit(alice, sent.conversation.number, CONTACT, text="The newest here")
    submit(alice, private, "+61412000001", text="In another conversation")
    arrive(private, address="+61412000002")
    before = stamp(alice, sent.conversation)
    assert stamp(alice, sent.conversation) == before
    known = {"open": sent.conversation_id, "seen": before}
    assert signed_in(alice).get("/inbox/changes/", known).status_code == 204
    happens(sent, alice)
    answer = signed_in(alice).get("/inbox/changes/", known)
    assert (answer.status_code, answer.content.decode() != before) == (200, True)


@pytest.mark.parametrize("opened", ["own", "stranger's", "private"])
def test_the_poll_says_nothing_of_what_others_do(
    sent: Message, shared: Number, alice: User, bob: User, opened: str
) -> None:
    hidden = Number.objects.create(organization=shared.organization, number="+61855555509", country="AU")
    foreign = arrive(hidden).conversation
    secret = arrive(shared, address="+61412000003").conversation
    Conversation.objects.filter(pk=secret.pk).update(private_to=bob)
    shown = {"own": sent.conversation, "stranger's": foreign, "private": secret}[opened]
    before = stamp(alice, shown)
    arrive(hidden)
    arrive(shared, address="+61412000003")
    Message.objects.exclude(conversation=sent.conversation).update(status=Status.READ)
    assert stamp(alice, shown) == before


def test_the_poll_takes_one_query_beside_those_of_signing_in(
    sent: Message, shared: Number, private: Number, alice: User
) -> None:
    for index in range(10):
        arrive(shared, address=f"+614120000{index:02d}")
        arrive(private, address=f"+614120000{index:02d}")
    with CaptureQueriesContext(connection) as captured:
        pages.change_stamp(alice, sent.conversation_id)
    assert len(captured) == 1
    client = signed_in(alice)
    client.get("/inbox/changes/")  # the session is noted once in five minutes
    with CaptureQueriesContext(connection) as captured:
        client.get("/inbox/changes/", {"open": sent.conversation_id})
    session, user, demand, stamp = (query["sql"] for query in captured)
    found = "django_session" in session, "portal_user" in user, "second_factor" in demand
    assert (*found, "messaging_number" in stamp) == (True,) * 4


def test_the_page_knows_the_stamp_of_what_it_shows(sent: Message, alice: User) -> None:
    page = signed_in(alice).get(f"/inbox/{sent.conversation_id}/")
    assert page.context["stamp"] == stamp(alice, sent.conversation)


def test_the_list_names_its_numbers_when_it_is_renewed(sent: Message, private: Number, alice: User) -> None:
    assert '<span class="via">' in signed_in(alice).get("/inbox/list/").content.decode()


@pytest.mark.parametrize("path", ["/inbox/changes/", "/inbox/list/", "/inbox/1/thread/", "/admin/"])
def test_htmx_is_told_that_the_session_has_ended(path: str, db: None) -> None:
    answer = Client().get(path, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (401, b"You have been signed out.\n")


def test_nothing_is_sent_when_the_session_has_ended(sent: Message, alice: User) -> None:
    form = {"text": "x", "uuid": uuid4()}
    answer = Client().post(f"/inbox/{sent.conversation_id}/", form, headers={"HX-Request": "true"})
    assert (answer.status_code, Message.objects.count()) == (401, 1)


def test_unread_until_it_is_opened(shared: Number, alice: User, bob: User) -> None:
    message = arrive(shared)
    arrive(shared)
    assert signed_in(alice).get("/inbox/").context["list"].rows[0].unread == 2
    signed_in(alice).get(f"/inbox/{message.conversation_id}/")
    assert signed_in(alice).get("/inbox/").context["list"].rows[0].unread == 0
    assert signed_in(bob).get("/inbox/").context["list"].rows[0].unread == 2
    assert Reading.objects.count() == 1


@pytest.mark.parametrize(
    ("search", "found"), [("0412", 1), ("345 678", 1), ("Jane", 1), ("jane", 1), ("Joe", 0)]
)
def test_search(shared: Number, alice: User, search: str, found: int) -> None:
    arrive(shared)
    Contact.objects.update(name="Jane")
    rows = signed_in(alice).get("/inbox/list/", {"q": search}).context["list"].rows
    assert len(rows) == found


def test_a_failed_message_says_why_and_is_sent_again(sent: Message, alice: User) -> None:
    Message.objects.update(status=Status.FAILED, queue_state=QueueState.DONE, status_text="No credit left")
    client = signed_in(alice)
    page = client.get(f"/inbox/{sent.conversation_id}/").content.decode()
    assert "account at the provider has no credit" in page and "Send again" in page
    client.post(f"/inbox/messages/{sent.uuid}/resend/")
    assert Message.objects.count() == 2
    assert signed_in(alice).get(f"/inbox/messages/{sent.uuid}/resend/").status_code == 405


def test_a_stranger_does_not_send_again(sent: Message, charlie: User) -> None:
    Message.objects.update(status=Status.FAILED, queue_state=QueueState.DONE)
    assert signed_in(charlie).post(f"/inbox/messages/{sent.uuid}/resend/").status_code == 404
    assert Message.objects.count() == 1


def test_files_are_harmless(sent: Message, alice: User) -> None:
    attachment = sent.attachments.get()
    answer = signed_in(alice).get(f"/inbox/files/{attachment.uuid}")
    assert b"".join(answer) == b"hello"
    assert answer["X-Content-Type-Options"] == "nosniff"
    policy = answer["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; ") and "frame-ancestors 'none'" in policy
    assert answer["Content-Disposition"] == 'attachment; filename="note.txt"'


def test_the_list_and_the_thread_take_as_many_queries_for_ten_as_for_one(
    shared: Number, private: Number, alice: User
) -> None:
    client = signed_in(alice)
    first = arrive(shared)
    counts: dict[str, list[int]] = {"/inbox/": [], f"/inbox/{first.conversation_id}/thread/": []}
    for rows in (1, 10):
        for index in range(rows):
            arrive(shared, address=f"+6141200{rows:02d}{index:02d}")
            submit(alice, shared, CONTACT, text="x", files=[SimpleUploadedFile("a.txt", b"x")])
        for path, found in counts.items():
            client.get(path)
            with CaptureQueriesContext(connection) as captured:
                assert client.get(path).status_code == 200
            found.append(len(captured))
    for path, (few, many) in counts.items():
        assert few == many, path


def test_somebody_without_numbers_is_told_what_to_do(charlie: User) -> None:
    assert "No number is assigned to you yet" in signed_in(charlie).get("/inbox/").content.decode()
