"""Groups: a message to us and to others is a conversation with all of them, who get the answers if they can."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations import holds
from integrations.models import Integration, Template
from messaging import contact_export, erasure, retention
from messaging.errors import Refused
from messaging.inbound import file_events
from messaging.inbox import pages
from messaging.models import (
    Assignment,
    Contact,
    Conversation,
    Message,
    NoticeChoices,
    Number,
    OptOut,
    OutgoingEvent,
    Receiver,
    WebhookRequest,
)
from messaging.notices import mails, wording
from messaging.outbound import dispatch
from messaging.outbound.submit import resend, submit
from messaging.rules import contacts
from messaging.statuses import Status
from portal.models import Account, Organization, User
from tests.local_server import LocalServer
from tests.messaging.test_inbox import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

OURS, OURS_TOO = "+12025550100", "+12025550101"
ANNA, BERT, CARL = "+12025550142", "+12025550143", "+12025550144"


class Provider(LocalServer):
    """A provider that takes a message to one or to several."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        super().__init__()

    def respond(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.received.append((path, json.loads(body)))
        return 200, {}, json.dumps({"id": f"sent-{len(self.received)}"}).encode()


def document(origin: str, *, groups: bool) -> str:
    method = {"response_map": {"id": "$messageid$"}}
    group = {
        "request_url": f"{origin}/group",
        "request_parameters": {"from": "$from$", "to": "$to$", "text?": "$text$", "media?": "$urls$"},
        **method,
    }
    one = {
        "request_url": f"{origin}/one",
        "request_parameters": {"from": "$from$", "to": "$to$", "text": "$content$"},
        **method,
    }
    shape = {"id": "$messageid?$", "from": "$from$", "name": "$sendername?$", "text": "$content?$"}
    events = [
        {
            "event_type": "message",
            "request_parameters": {**shape, "to": "$to$", "all?": ["$members$"]},
            "request_method": "POST",
        },
        {"event_type": "message", "request_parameters": {**shape, "tos": ["$to$"]}},
        {
            "event_type": "messageStatus",
            "request_parameters": {"of": "$messageid$", "status": "$status$"},
            "status_map": {"delivered": "delivered", "failed": "failed"},
        },
    ]
    api = {"SendMessage": one, **({"SendGroup": group} if groups else {})}
    return json.dumps({"id": "grouped", "name": "Grouped", "API": api, "Webhook": {"events": events}})


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    settings.WEBHOOK_CACHE_SECONDS = 0
    made = Provider()
    settings.PATCHBAY_ALLOWED_ORIGINS = [made.origin]
    yield made
    made.stop()


@pytest.fixture
def number(provider: Provider, account: Account, acme: Organization, alice: User) -> Number:
    template = Template(account=account)
    template.revise(document(provider.origin, groups=True))
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {})
    made = Number.objects.create(organization=acme, integration=integration, number=OURS, country="US")
    Assignment.objects.create(number=made, user=alice)
    return made


@pytest.fixture
def one_by_one(number: Number, provider: Provider) -> Number:
    """The number, whose provider cannot send to groups."""
    assert number.integration is not None
    number.integration.template.revise(document(provider.origin, groups=False))
    return number


def arrive(number: Number, words: str = "Hi", **fields: Any) -> None:
    said = {"from": ANNA, "to": OURS, "text": words, "name": "", **fields}
    if "tos" in said:
        del said["to"]
    url = f"/services/grouped/a{number.account.accountid}"
    assert Client().post(url, json.dumps(said), content_type="application/json").status_code == 200
    file_events.drain()


def send_now() -> None:
    """The time in which a message can be undone is over."""
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    dispatch.drain()


def shown() -> list[tuple[str, str, str]]:
    """The contact, the member who wrote, and the text of each message."""
    rows = Message.objects.order_by("pk").select_related("sender", "conversation__contact")
    return [(row.conversation.contact.address, str(row.sender or ""), row.text) for row in rows]


def group() -> Conversation:
    return Conversation.objects.select_related("contact", "number").get(contact__is_group=True)


GROUP = f"{ANNA}, {BERT}"


@pytest.mark.parametrize(
    "fields",
    [
        {"all": [OURS, BERT]},
        {"all": [BERT, ANNA, OURS]},
        {"all": ["202 555 0143", "1 202 555 0100"]},
        {"tos": [OURS, BERT]},
        {"tos": [BERT, "12025550100", BERT]},
    ],
)
def test_a_message_to_others_too_belongs_to_a_group(number: Number, fields: dict[str, Any]) -> None:
    arrive(number, "One", **fields)
    arrive(number, "Two", **{"from": BERT}, all=[OURS, ANNA])
    arrive(number, "Only you")
    assert shown() == [(GROUP, ANNA, "One"), (GROUP, BERT, "Two"), (ANNA, "", "Only you")]
    assert [(item.address, item.is_group) for item in Contact.objects.order_by("address")] == [
        (ANNA, False),
        (GROUP, True),
        (BERT, False),
    ]
    assert {item.address for item in group().contact.members.all()} == {ANNA, BERT}


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"all": [OURS]}, ANNA),
        ({"all": [OURS, ANNA]}, ANNA),
        ({"all": [OURS, BERT], "from": OURS}, OURS),  # the number itself is nobody else
        ({"all": [OURS, "Clinic", ""]}, ANNA),
        ({"all": [OURS, BERT], "from": "Clinic"}, "Clinic"),  # who has no number cannot be answered
        ({"all": [f"+12025551{place:03}" for place in range(51)]}, ANNA),  # too many for a contact
        ({"all": [ANNA, "+1 (202) 555-0142", "12025550142"]}, ANNA),
    ],
)
def test_what_is_no_group(number: Number, fields: dict[str, Any], address: str) -> None:
    arrive(number, **fields)
    assert shown() == [(address, "", "Hi")]
    assert Contact.objects.filter(is_group=True).count() == 0


@pytest.fixture
def other(number: Number) -> Number:
    """Another number of the same organization."""
    return Number.objects.create(
        organization=number.organization, integration=number.integration, number=OURS_TOO, country="US"
    )


def talks() -> list[tuple[str, str, str, str]]:
    """Our number, the contact, the member who wrote, and the text of each message."""
    rows = Message.objects.order_by("pk").select_related("sender", "conversation__number")
    return [
        (row.conversation.number.number, row.conversation.contact.address, str(row.sender or ""), row.text)
        for row in rows
    ]


def test_two_of_our_numbers_each_have_the_group_with_the_other(number: Number, other: Number) -> None:
    arrive(number, tos=[OURS, OURS_TOO, BERT])
    assert talks() == [
        (OURS, f"{OURS_TOO}, {ANNA}, {BERT}", ANNA, "Hi"),
        (OURS_TOO, f"{OURS}, {ANNA}, {BERT}", ANNA, "Hi"),
    ]


@pytest.mark.parametrize("others", [{"tos": [OURS_TOO, ANNA]}, {"to": OURS_TOO, "all": [OURS, ANNA]}])
def test_what_a_number_of_ours_writes_is_of_the_group_in_which_it_is_answered(
    number: Number, other: Number, provider: Provider, alice: User, others: dict[str, Any]
) -> None:
    Assignment.objects.create(number=other, user=alice)
    arrive(number, "From next door", **{"from": OURS}, **others)
    arrive(number, "From outside", tos=[OURS_TOO, OURS])
    here, there = f"{OURS}, {ANNA}", f"{OURS_TOO}, {ANNA}"
    assert talks() == [
        (OURS_TOO, here, OURS, "From next door"),
        (OURS_TOO, here, ANNA, "From outside"),
        (OURS, there, ANNA, "From outside"),
    ]
    talk = Conversation.objects.get(number=other)
    submit(alice, other, talk.contact, text="For both")
    send_now()
    assert provider.received == [("/group", {"from": OURS_TOO, "to": [OURS, ANNA], "text": "For both"})]


def test_a_group_in_a_batch_takes_as_many_queries_as_a_hundred(number: Number) -> None:
    def cost(count: int) -> int:
        start = 200 + Message.objects.count()
        url = f"/services/grouped/a{number.account.accountid}"
        for place in range(start, start + count):
            said = {"from": ANNA, "to": OURS, "text": "Hi", "name": "", "all": [f"+1202555{place:04}"]}
            Client().post(url, json.dumps(said), content_type="application/json")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert file_events.file_batch() == count
        return len(queries)

    cost(1)
    assert cost(100) == cost(1)


def test_the_name_is_that_of_the_member(number: Number) -> None:
    arrive(number, all=[BERT], name="Anna")
    names = dict(Contact.objects.values_list("address", "name"))
    assert names == {ANNA: "Anna", BERT: "", GROUP: ""}
    assert group().contact.title == f"Anna, {BERT}"
    contacts.edit(group().contact, number.users.get(), name="Family", company="", note="", tags=[])
    assert group().contact.title == "Family"


def test_answers_go_to_all(number: Number, provider: Provider, alice: User) -> None:
    arrive(number, all=[BERT, CARL])
    talk = group()
    answer = signed_in(alice).post(f"/inbox/{talk.pk}/", {"text": "Hello all", "uuid": ""})
    assert answer.status_code == 422 and provider.received == []
    page = signed_in(alice).get(f"/inbox/{talk.pk}/")
    assert "Everybody in the group gets your message, except who has opted out." in page.content.decode()
    form = {"text": "Hello all", "uuid": page.context["form"]["uuid"].value()}
    assert signed_in(alice).post(f"/inbox/{talk.pk}/", form)["Location"] == f"/inbox/{talk.pk}/"
    send_now()
    assert provider.received == [("/group", {"from": OURS, "to": [ANNA, BERT, CARL], "text": "Hello all"})]
    sent = talk.messages.get(direction="out")
    assert (sent.status, sent.sender) == (Status.SENT, None)


@pytest.mark.parametrize(
    ("reports", "status"),
    [
        (["delivered", "failed"], Status.DELIVERED),
        (["failed", "delivered"], Status.DELIVERED),
        (["failed", "failed"], Status.FAILED),
    ],
)
def test_one_member_who_has_it_is_enough(
    number: Number, alice: User, reports: list[str], status: Status
) -> None:
    arrive(number, all=[BERT])
    sent = submit(alice, number, group().contact, text="Hello")
    dispatch.drain()
    for report in reports:
        said = {"of": "sent-1", "status": report}
        url = f"/services/grouped/a{number.account.accountid}"
        assert Client().post(url, json.dumps(said), content_type="application/json").status_code == 200
    file_events.drain()
    sent.refresh_from_db()
    assert sent.status == status


def test_members_who_have_opted_out_get_nothing(number: Number, provider: Provider, alice: User) -> None:
    arrive(number, all=[BERT, CARL])
    arrive(number, "STOP", **{"from": BERT}, all=[ANNA, CARL])
    assert list(OptOut.objects.values_list("address", flat=True)) == [BERT]
    assert Message.objects.filter(direction="out").count() == 0  # groups get no automatic replies
    submit(alice, number, group().contact, text="For two")
    dispatch.drain()
    OptOut.objects.create(organization=number.organization, number=number, address=ANNA)
    submit(alice, number, group().contact, text="For one")
    dispatch.drain()
    OptOut.objects.create(organization=number.organization, number=number, address=CARL)
    last = submit(alice, number, group().contact, text="For nobody")
    dispatch.drain()
    assert provider.received == [
        ("/group", {"from": OURS, "to": [ANNA, CARL], "text": "For two"}),
        ("/one", {"from": OURS, "to": CARL, "text": "For one"}),
    ]
    last.refresh_from_db()
    assert (last.status, last.status_text) == (
        Status.FAILED,
        "The contact has opted out of messages from this number.",
    )
    page = signed_in(alice).get(f"/inbox/{group().pk}/").content.decode()
    assert page.count("opted out</span>") == 3


def test_where_the_provider_sends_to_one_the_page_says_so(
    one_by_one: Number, provider: Provider, alice: User
) -> None:
    arrive(one_by_one, "One", all=[BERT], name="Anna")
    arrive(one_by_one, "Two", **{"from": BERT}, all=[ANNA], name="Bert")
    talk = group()
    page = signed_in(alice).get(f"/inbox/{talk.pk}/")
    assert "Your provider cannot send to groups. Your message goes to one person:" in page.content.decode()
    form = page.context["form"]
    bert = Contact.objects.get(address=BERT)
    assert form["member"].value() == bert.pk  # who wrote last
    said = {"text": "Just you", "uuid": form["uuid"].value(), "member": bert.pk}
    answer = signed_in(alice).post(f"/inbox/{talk.pk}/", said)
    send_now()
    alone = Conversation.objects.get(contact=bert)
    assert answer["Location"] == f"/inbox/{alone.pk}/"
    assert provider.received == [("/one", {"from": OURS, "to": BERT, "text": "Just you"})]


def test_who_was_chosen_gets_it_alone_whatever_the_provider_learns(
    one_by_one: Number, provider: Provider, alice: User
) -> None:
    arrive(one_by_one, all=[BERT])
    page = signed_in(alice).get(f"/inbox/{group().pk}/")
    assert one_by_one.integration is not None
    one_by_one.integration.template.revise(document(provider.origin, groups=True))
    bert = Contact.objects.get(address=BERT)
    said = {"text": "Just you", "uuid": page.context["form"]["uuid"].value(), "member": bert.pk}
    signed_in(alice).post(f"/inbox/{group().pk}/", said)
    send_now()
    assert provider.received == [("/one", {"from": OURS, "to": BERT, "text": "Just you"})]


def test_a_notice_by_mail_promises_no_answer_that_cannot_be_sent(
    one_by_one: Number, alice: User, settings: Any
) -> None:
    settings.EMAIL_HOST, settings.REPLY_ADDRESS = "mail.example", "reply@patchbay.example"
    arrive(one_by_one, all=[BERT])
    row = NoticeChoices.objects.create(user=alice, mail="at_once", mail_due_at=timezone.now())
    NoticeChoices.objects.filter(pk=row.pk).update(mail_due_at=timezone.now() - timedelta(seconds=1))
    mails.send_due()
    (letter,) = mail.outbox
    assert "Write above this line" not in letter.body and letter.reply_to == []


def test_when_all_have_opted_out_the_group_has(number: Number, alice: User) -> None:
    arrive(number, all=[BERT])
    assert not group().opted_out
    for address in (ANNA, BERT):
        OptOut.objects.create(organization=number.organization, number=number, address=address)
    assert group().opted_out


def test_a_stranger_is_no_member(one_by_one: Number, provider: Provider, alice: User) -> None:
    arrive(one_by_one, all=[BERT])
    stranger = Contact.objects.create(organization=one_by_one.organization, address=CARL)
    said = {"text": "Hi", "uuid": "6f1c2d3e-0000-4000-8000-000000000001", "member": stranger.pk}
    assert signed_in(alice).post(f"/inbox/{group().pk}/", said).status_code == 422
    with pytest.raises(Refused, match=r"Grouped cannot send to groups\. Write to one of the members."):
        submit(alice, one_by_one, group().contact, text="Hi")
    assert Message.objects.filter(direction="out").count() == 0 and provider.received == []


def test_a_message_to_a_group_can_be_resent(
    number: Number, provider: Provider, alice: User, settings: Any
) -> None:
    arrive(number, all=[BERT])
    sent = submit(alice, number, group().contact, text="Hello")
    Message.objects.filter(pk=sent.pk).update(status=Status.FAILED, queue_state=2)
    sent.refresh_from_db()
    again = resend(alice, sent)
    dispatch.drain()
    assert again.conversation_id == sent.conversation_id
    assert provider.received == [("/group", {"from": OURS, "to": [ANNA, BERT], "text": "Hello"})]


def test_the_thread_says_who_wrote_and_who_is_in_it(number: Number, alice: User, charlie: User) -> None:
    arrive(number, "One", all=[BERT], name="Anna")
    arrive(number, "Two", **{"from": BERT}, all=[ANNA])
    client, talk = signed_in(alice), group()
    page = client.get(f"/inbox/{talk.pk}/").content.decode()
    assert '<span class="author">Anna</span>' in page and f'<span class="author">{BERT}</span>' in page
    assert f"Anna ({ANNA})" in page
    listed = client.get("/inbox/list/").content.decode()
    assert f'<span class="name">Anna, {BERT}</span>' in listed and f"{BERT}: Two" in listed
    about = client.get(f"/inbox/{talk.pk}/contact/").content.decode()
    assert "In this group" in about
    assert signed_in(charlie).get(f"/inbox/{talk.pk}/").status_code == 404


def test_a_list_of_groups_takes_no_more_queries(number: Number, alice: User) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            pages.conversations(alice)
        return len(queries)

    arrive(number, all=[BERT])
    one = cost()
    for place in range(20):
        arrive(number, all=[f"+12025550{160 + place}"])
    assert (cost(), len(pages.conversations(alice).rows)) == (one, 21)


def test_groups_are_found_by_their_members(number: Number, alice: User) -> None:
    arrive(number, all=[BERT], name="Anna")
    assert pages.conversations(alice, "anna").rows == [group()]
    assert pages.conversations(alice, BERT[-7:]).rows == [group()]
    for words in ("nobody", "Room 2", "0"):
        assert pages.conversations(alice, words).rows == []


def test_a_group_is_not_merged(number: Number, alice: User) -> None:
    arrive(number, all=[BERT])
    anna = Contact.objects.get(address=ANNA)
    for one, into in ((group().contact, anna), (anna, group().contact)):
        with pytest.raises(Refused, match="A group is no person"):
            contacts.merge(one, into, alice)
    assert Contact.objects.exclude(merged_into=None).count() == 0


def test_a_notice_names_the_member(number: Number, alice: User) -> None:
    arrive(number, "Look", all=[BERT], name="Anna")
    said = wording.notice(Message.objects.get(), alice)
    assert (said["title"], said["body"]) == (f"Anna, {BERT}", "Anna: Look")
    assert mails._line(Message.objects.get()).endswith("Anna: Look")


def test_who_is_erased_takes_the_group_along(number: Number, alice: User) -> None:
    arrive(number, "One", all=[BERT])
    arrive(number, "Two", **{"from": BERT}, all=[ANNA])
    arrive(number, "Alone", **{"from": BERT})
    row = erasure.start(number.organization, ANNA, None)
    assert erasure.carry_out(row.pk)
    assert [text for *_, text in shown()] == ["Alone"]
    assert list(Contact.objects.values_list("address", flat=True)) == [BERT]


def test_what_is_exported_has_the_groups(number: Number, tmp_path: Path) -> None:
    arrive(number, "One", all=[BERT])
    arrive(number, "Two", **{"from": BERT}, all=[ANNA])
    with (tmp_path / "anna.zip").open("w+b") as file:
        contact_export.write(Contact.objects.get(address=ANNA), file)
        with zipfile.ZipFile(file) as archive:
            said = json.loads(archive.read("contact.json"))
    assert [
        (talk["with"], [(each["from"], each["text"]) for each in talk["messages"]])
        for talk in said["conversations"]
    ] == [(GROUP, [(ANNA, "One"), (BERT, "Two")])]


def test_an_empty_group_is_forgotten_with_its_members(number: Number) -> None:
    arrive(number, all=[BERT])
    Message.objects.all().delete()
    Conversation.objects.update(last_message=None, last_at=timezone.now() - timedelta(days=400))
    retention._delete_conversations(1, [number.account.pk])
    assert Contact.objects.count() == 0


def test_the_story_of_a_message_names_member_and_group(number: Number, admin_of_acme: User) -> None:
    arrive(number, all=[BERT], name="Anna")
    page = signed_in(admin_of_acme).get(f"/admin/messaging/message/{Message.objects.get().pk}/change/")
    assert f"From Anna to {OURS} and others, in the group Anna, {BERT}" in page.content.decode()


def test_receivers_are_told_who_takes_part_and_who_wrote(number: Number, alice: User) -> None:
    organization = number.organization
    Receiver.objects.create(
        account=organization.account,
        organization=organization,
        url="https://hooks.example/",
        received=True,
        statuses=True,
    )
    arrive(number, "Hi all", tos=[OURS, BERT])
    submit(alice, number, group().contact, text="Hello")
    send_now()
    told = [json.loads(row.payload) for row in OutgoingEvent.objects.order_by("pk")]
    assert [
        (each["type"], each["data"]["from"], each["data"]["to"], each["data"]["members"]) for each in told
    ] == [
        ("message.received", ANNA, OURS, [ANNA, BERT]),
        ("message.status", OURS, GROUP, [ANNA, BERT]),
    ]


def test_the_others_in_a_group_are_no_unknown_numbers(number: Number, admin_of_acme: User) -> None:
    arrive(number, tos=[OURS, BERT], name="Anna")
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.reason) == ("accepted", "")
    page = signed_in(admin_of_acme).get(f"/admin/messaging/webhookrequest/{row.pk}/change/")
    assert "message from Anna in a group" in page.content.decode()
