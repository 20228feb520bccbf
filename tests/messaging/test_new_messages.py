"""A new message to several people: as one group, or to each alone, and what is said before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from messaging import retention
from messaging.inbox import whom
from messaging.models import (
    Assignment,
    Attachment,
    CannedReply,
    Contact,
    Conversation,
    Message,
    Number,
    OptOut,
)
from messaging.outbound.submit import submit_each
from messaging.rules import contacts, schedule
from messaging.statuses import Status
from portal.models import Organization, User
from tests.messaging.test_groups import (
    ANNA,
    BERT,
    CARL,
    OURS,
    OURS_TOO,
    Provider,
    arrive,
    document,
    group,
    number,
    one_by_one,
    other,
    provider,
    send_now,
    talks,
)
from tests.messaging.test_inbox import signed_in

__all__ = ["number", "one_by_one", "other", "provider"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)

is_night = schedule.is_night
NEW, ABOUT = "/inbox/new/", "/inbox/new/about/"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the tests run, it is night nowhere."""
    monkeypatch.setattr(schedule, "is_night", lambda zone, at: False)


def written(number: Number, to: str, **fields: Any) -> dict[str, Any]:
    return {"number": number.pk, "to": to, "text": "Hello", "uuid": uuid4(), **fields}


def told(number: Number, how: str, *addresses: str) -> str:
    return f"{number.pk} {how} {', '.join(addresses)}"


def asked_again(client: Client, form: dict[str, Any], said: str) -> dict[str, Any]:
    """The form as it is after it was sent once, and said to how many it goes; nothing was stored."""
    before = Message.objects.count(), Contact.objects.count(), Conversation.objects.count()
    answer = client.post(NEW, form)
    page = answer.content.decode()
    assert answer.status_code == 422 and f"{said} Press Send again to send it." in page
    assert (Message.objects.count(), Contact.objects.count(), Conversation.objects.count()) == before
    return {**form, "told": answer.context["form"].saying}


def test_a_group_is_begun_and_found_again(number: Number, provider: Provider, alice: User) -> None:
    client = signed_in(alice)
    form = asked_again(client, written(number, f"202 555 0143; {ANNA}"), "Goes to 2 people as one group.")
    assert form["told"] == told(number, "group", ANNA, BERT)
    answers = [client.post(NEW, form) for _ in range(2)]  # a double click
    assert [answer["Location"] for answer in answers] == [f"/inbox/{group().pk}/"] * 2
    send_now()
    arrive(number, "Hello back", **{"from": BERT}, all=[ANNA])
    again = written(number, f"{BERT}, {ANNA}", told=form["told"], text="Once more")
    assert client.post(NEW, again)["Location"] == f"/inbox/{group().pk}/"
    send_now()
    assert [(path, said["to"], said["text"]) for path, said in provider.received] == [
        ("/group", [ANNA, BERT], "Hello"),
        ("/group", [ANNA, BERT], "Once more"),
    ]
    assert [text for *_, text in talks()] == ["Hello", "Hello back", "Once more"]
    assert Contact.objects.filter(is_group=True).count() == 1
    assert {each.address for each in group().contact.members.all()} == {ANNA, BERT}


@pytest.mark.parametrize("can", [True, False])
def test_each_gets_it_alone_by_choice_or_where_groups_are_not_sent_to(
    number: Number, provider: Provider, alice: User, can: bool, request: pytest.FixtureRequest
) -> None:
    if not can:
        request.getfixturevalue("one_by_one")
    form = written(number, f"{ANNA}, {BERT}, {CARL}", how="alone" if can else "group")
    form = asked_again(signed_in(alice), form, "Goes to 3 people, each alone.")
    client = signed_in(alice)
    for _ in range(2):
        answer = client.post(NEW, form)
        assert answer["Location"] == "/inbox/"
    assert "Sent to 3 people, each alone." in client.get("/inbox/").content.decode()
    send_now()
    assert sorted(provider.received, key=str) == [
        ("/one", {"from": OURS, "to": each, "text": "Hello"}) for each in (ANNA, BERT, CARL)
    ]
    assert sorted(talk.contact.address for talk in Conversation.objects.all()) == [ANNA, BERT, CARL]


def test_what_was_said_no_longer_holds_once_anything_is_different(
    number: Number, other: Number, provider: Provider, alice: User
) -> None:
    Assignment.objects.create(number=other, user=alice)
    client, said = signed_in(alice), told(number, "group", ANNA, BERT)
    for form in (
        written(number, f"{ANNA}, {BERT}, {CARL}", told=said),
        written(other, f"{ANNA}, {BERT}", told=said),
    ):
        assert client.post(NEW, form).status_code == 422
    assert number.integration is not None
    number.integration.template.revise(document(provider.origin, groups=False))
    answer = client.post(NEW, written(number, f"{ANNA}, {BERT}", told=said))
    assert "Goes to 2 people, each alone." in answer.content.decode()
    assert Message.objects.count() == 0


@pytest.mark.parametrize(
    ("to", "said"),
    [
        (f"{ANNA}, nobody", "“nobody” is not a phone number, and none of your contacts is called so."),
        (f"{ANNA}, 12", "“12” is not a phone number or short code."),
        (f"{ANNA}, {OURS}", f"{OURS} is your own number."),
        (f"{ANNA}, {BERT}, ", f"{BERT} has opted out of messages from this number."),
        (f"{ANNA}, {CARL}", f"{CARL} is blocked: you would not see the answer."),
        (",", "Say whom the message goes to."),
        (
            ", ".join(f"+12025551{place:03}" for place in range(51)),
            "These are 51 recipients; a message has at most 50.",
        ),
        (f"{ANNA}, {'x' * 2000}", "Ensure this value has at most 2000 characters"),
    ],
)
def test_who_gets_nothing_is_said_at_the_field(
    number: Number, alice: User, provider: Provider, to: str, said: str
) -> None:
    OptOut.objects.create(organization=number.organization, number=number, address=BERT)
    blocked = Contact.objects.create(organization=number.organization, address=CARL)
    Conversation.objects.create(organization=number.organization, number=number, contact=blocked)
    contacts.block(blocked, alice)
    client = signed_in(alice)
    for headers in ({}, HTMX):
        answer = client.post(NEW, written(number, to), headers=headers)
        assert answer.status_code == 422 and f"To: {said}" in answer.content.decode()
    assert (Message.objects.count(), Conversation.objects.count(), Contact.objects.count()) == (0, 1, 1)
    assert client.get(ABOUT, {"number": number.pk, "to": to}).status_code == 200


def test_of_whom_only_others_write_with_nothing_is_shown(
    number: Number, other: Number, provider: Provider, alice: User, acme: Organization
) -> None:
    for address, name in ((BERT, "Bert Secret"), (CARL, "Carl Secret")):
        contact = Contact.objects.create(organization=acme, address=address, name=name)
        Conversation.objects.create(organization=acme, number=other, contact=contact)
    contacts.block(Contact.objects.get(address=CARL), alice)
    client = signed_in(alice)
    for to in (BERT, CARL, f"{ANNA}, {BERT}, {CARL}"):
        page = client.get(ABOUT, {"number": number.pk, "to": to}).content.decode()
        assert "Secret" not in page and "blocked" not in page
    refused = client.post(NEW, written(number, f"{BERT}, {CARL}")).content.decode()
    assert "Secret" not in refused and "Press Send again to send it." in refused
    assert not Message.objects.exists()
    Assignment.objects.create(number=other, user=alice)
    page = client.get(ABOUT, {"number": number.pk, "to": f"{ANNA}, {BERT}, {CARL}"}).content.decode()
    assert "Bert Secret" in page and "Carl Secret is blocked" in page


def test_replies_do_not_name_a_group_that_others_write_with(
    number: Number, other: Number, provider: Provider, alice: User, acme: Organization
) -> None:
    CannedReply.objects.create(organization=acme, name="Greeting", text="Dear {contact name}")
    arrive(other, to=OURS_TOO, all=[BERT])
    contacts.edit(group().contact, alice, name="Secret club", company="", note="", tags=[])
    about = {"number": number.pk, "to": f"{ANNA}, {BERT}"}
    client = signed_in(alice)
    assert "Secret club" not in client.get(ABOUT, about).content.decode()
    Assignment.objects.create(number=other, user=alice)
    assert "Dear Secret club" in client.get(ABOUT, about).content.decode()


def test_who_is_written_twice_gets_it_once(number: Number, alice: User, provider: Provider) -> None:
    form = written(number, f"{ANNA}, (202) 555-0142; tel:{ANNA}")
    signed_in(alice).post(NEW, form)
    send_now()
    assert provider.received == [("/one", {"from": OURS, "to": ANNA, "text": "Hello"})]


def test_fifty_are_a_group(number: Number, alice: User, provider: Provider) -> None:
    crowd = [f"+12025551{place:03}" for place in range(50)]
    form = written(number, ",".join(crowd), told=told(number, "group", *crowd))
    assert signed_in(alice).post(NEW, form).status_code == 302
    send_now()
    ((_, said),) = provider.received
    assert said["to"] == crowd and group().contact.members.count() == 50


def test_a_limit_is_met_in_the_middle_and_the_rest_can_be_sent_later(
    one_by_one: Number, alice: User, provider: Provider, settings: Any
) -> None:
    settings.USER_PER_HOUR = 2
    said = told(one_by_one, "alone", ANNA, BERT, CARL)
    client, form = signed_in(alice), written(one_by_one, f"{ANNA}, {BERT}, {CARL}", told=said)
    answer = client.post(NEW, form, headers=HTMX)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert f"Sent to 2 people. {CARL} have not got it yet: You have sent 2 messages within an hour" in page
    assert f'value="{CARL}"' in page and ">Hello</textarea>" in page
    assert client.post(NEW, form, headers=HTMX).status_code == 200  # who has got it does not get it again
    send_now()
    assert sorted(said["to"] for _, said in provider.received) == [ANNA, BERT]
    settings.USER_PER_HOUR = 0
    client.post(NEW, form)
    send_now()
    assert sorted(said["to"] for _, said in provider.received) == [ANNA, BERT, CARL]


def test_the_rest_waits_for_the_time_that_was_chosen(one_by_one: Number, alice: User, settings: Any) -> None:
    settings.USER_PER_HOUR = 2
    said = told(one_by_one, "alone", ANNA, BERT, CARL)
    form = written(one_by_one, f"{ANNA}, {BERT}, {CARL}", told=said, later="tomorrow")
    page = signed_in(alice).post(NEW, form, headers=HTMX).content.decode()
    assert f'value="{CARL}"' in page and 'value="tomorrow" checked>' in page


def test_where_nobody_gets_it_the_form_stays(one_by_one: Number, alice: User, settings: Any) -> None:
    settings.USER_PER_HOUR = 1
    Message.objects.all().delete()
    said = told(one_by_one, "alone", ANNA, BERT)
    client = signed_in(alice)
    client.post(NEW, written(one_by_one, CARL))
    answer = client.post(NEW, written(one_by_one, f"{ANNA}, {BERT}", told=said))
    assert answer.status_code == 422
    assert answer.content.decode().count("You have sent 1 messages within an hour") == 1
    assert Message.objects.count() == 1


def test_a_group_that_a_limit_refuses_is_not_begun(number: Number, alice: User, settings: Any) -> None:
    settings.USER_PER_HOUR = 1
    client = signed_in(alice)
    client.post(NEW, written(number, CARL))
    form = written(number, f"{ANNA}, {BERT}", told=told(number, "group", ANNA, BERT))
    assert client.post(NEW, form).status_code == 422
    assert (Message.objects.count(), Contact.objects.count()) == (1, 1)


def test_each_has_files_of_its_own(one_by_one: Number, alice: User) -> None:
    file = SimpleUploadedFile("plan.txt", b"Ten o'clock", "text/plain")
    said = told(one_by_one, "alone", ANNA, BERT)
    form = written(one_by_one, f"{ANNA}, {BERT}", told=said, attachments=file)
    assert signed_in(alice).post(NEW, form).status_code == 302
    first, second = Attachment.objects.order_by("pk")
    assert Path(first.file.path).samefile(second.file.path)  # whose bytes are stored once
    assert (first.name, second.name) == ("plan.txt", "plan.txt") and first.file.name != second.file.name
    list(retention.delete_messages(Message.objects.filter(pk=first.message_id)))
    with second.file.open("rb") as content:
        assert content.read() == b"Ten o'clock"


def test_where_files_have_one_name_each_gets_a_copy(
    one_by_one: Number, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    file = SimpleUploadedFile("plan.txt", b"Ten o'clock", "text/plain")
    said = told(one_by_one, "alone", ANNA, BERT)
    form = written(one_by_one, f"{ANNA}, {BERT}", told=said, attachments=file)
    assert signed_in(alice).post(NEW, form).status_code == 302
    first, second = (Path(row.file.path) for row in Attachment.objects.order_by("pk"))
    assert not first.samefile(second) and first.read_bytes() == second.read_bytes() == b"Ten o'clock"


def test_many_take_no_more_queries(one_by_one: Number, alice: User) -> None:
    def queries(count: int, start: int) -> int:
        crowd = [
            Contact(organization=one_by_one.organization, address=f"+12025551{start + place:03}")
            for place in range(count)
        ]
        with CaptureQueriesContext(connection) as captured:
            sent = submit_each(alice, one_by_one, crowd, text="Hello", uuid=uuid4(), send_at=[None] * count)
        assert [row.conversation.contact.address for row in sent if isinstance(row, Message)] == [
            contact.address for contact in crowd
        ]
        return len(captured)

    queries(1, 0)  # the first asks for what is known later
    assert queries(20, 100) == queries(2, 200)


def test_people_are_found_by_name(number: Number, alice: User, acme: Organization) -> None:
    arrive(number, name="Anna Archer")
    arrive(number, **{"from": BERT}, name="Bert")
    arrive(number, **{"from": CARL}, name="bert")
    Contact.objects.create(organization=acme, address="+12025550199", name="Nobody's friend")

    def meant(to: str) -> tuple[list[str], list[str]]:
        found = whom.read(number, alice, to)
        return [each.address for each in found.contacts], [*found.problems, found.unfinished]

    assert meant("anna archer") == ([ANNA], [""])
    assert meant(f"Anna Archer, {CARL}") == ([ANNA, CARL], [""])
    assert meant("Bert,") == (
        [],
        [f"Several contacts are called Bert. Write the number: {BERT}, {CARL}.", ""],
    )
    assert meant("nobody's friend")[0] == []  # whom somebody else may know
    assert [each.address for each in whom.suggested(number, alice, "ber")] == [BERT, CARL]
    for words in ("b", "+1202", "friend"):
        assert whom.suggested(number, alice, words) == []


def test_a_group_is_found_by_its_name_alone(
    number: Number, other: Number, provider: Provider, alice: User
) -> None:
    Assignment.objects.create(number=other, user=alice)
    arrive(number, all=[BERT])
    contacts.edit(group().contact, alice, name="Family", company="", note="", tags=[])
    client = signed_in(alice)
    assert client.post(NEW, written(number, "family"))["Location"] == f"/inbox/{group().pk}/"
    assert client.post(NEW, written(other, "family")).status_code == 302
    assert [(ours, who, text) for ours, who, _, text in talks()] == [
        (OURS, f"{ANNA}, {BERT}", "Hi"),
        (OURS, f"{ANNA}, {BERT}", "Hello"),
        (OURS_TOO, f"{ANNA}, {BERT}", "Hello"),
    ]
    refused = client.post(NEW, written(number, f"Family, {CARL}"))
    assert "Family is a group. Write its members instead." in refused.content.decode()


def test_the_page_says_how_it_goes_while_one_writes(
    number: Number, provider: Provider, alice: User, charlie: User
) -> None:
    arrive(number, all=[BERT], name="Anna Archer")
    client = signed_in(alice)
    page = client.get(ABOUT, {"number": number.pk, "to": f"{ANNA}, {BERT}"}).content.decode()
    assert "Goes to 2 people" in page and f'name="told" value="{told(number, "group", ANNA, BERT)}"' in page
    assert f'<a href="/inbox/{group().pk}/">You have this group already: Anna Archer, {BERT}</a>' in page
    writing = client.get(ABOUT, {"number": number.pk, "to": f"{ANNA}, arch"}).content.decode()
    assert "is not a phone number" not in writing and f'data-to="{ANNA}"' in writing
    finished = client.get(ABOUT, {"number": number.pk, "to": "arch, "}).content.decode()
    assert "“arch” is not a phone number" in finished
    foreign = signed_in(charlie).get(ABOUT, {"number": number.pk, "to": "arch"}).content.decode()
    assert "Archer" not in foreign
    assert signed_in(charlie).post(NEW, written(number, f"{ANNA}, {BERT}")).status_code == 422
    assert Message.objects.filter(direction="out").count() == 0


def test_a_group_begun_at_night_is_asked_about_once(
    number: Number, alice: User, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "is_night", is_night)
    abroad = "+4915112345678"
    form = written(number, f"{ANNA}, {abroad}", told=told(number, "group", ANNA, abroad))
    with time_machine.travel("2026-07-01T21:30:00Z", tick=False):
        client = signed_in(alice)
        answer = client.post(NEW, form)
        page = answer.content.decode()
        assert answer.status_code == 422 and f"It is <b>23:30</b> at the place of {abroad}." in page
        assert f"It is night at the place of {abroad}. Wait until 8:00, or press Send again" in page
        assert "Next 8:00 where they are" in page and "the contact’s place" not in page
        assert client.post(NEW, {**form, "later": "morning"}).status_code == 302
    sent = Message.objects.get()
    assert sent.send_at is not None and sent.send_at.isoformat() == "2026-07-02T06:00:00+00:00"
    assert sent.status == Status.QUEUED
