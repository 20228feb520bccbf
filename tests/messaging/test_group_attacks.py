"""Groups under attack: other spellings, forged names, crowds, and what changes while something waits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging import erasure
from messaging.errors import Refused
from messaging.inbound import file_events
from messaging.inbox import pages
from messaging.models import Contact, Conversation, Message, Number, OptOut, WebhookEvent
from messaging.models.contacts import ADDRESS_LENGTH
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.reporting import search
from messaging.rules import contacts
from messaging.statuses import Status
from portal.models import User
from tests.messaging.test_groups import (
    ANNA,
    BERT,
    CARL,
    GROUP,
    OURS,
    Provider,
    arrive,
    document,
    group,
    number,
    one_by_one,
    provider,
    send_now,
    shown,
)
from tests.messaging.test_import import imported
from tests.messaging.test_inbox import signed_in

__all__ = ["number", "one_by_one", "provider"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)

MEXICAN, MEXICAN_OLD = "+525512345678", "+5215512345678"


@pytest.mark.parametrize("forged", [GROUP, "+12025550142 ,  +12025550143", "+12025550142,\n+12025550143"])
@pytest.mark.parametrize("first", [True, False])
def test_no_name_makes_somebody_a_group(number: Number, forged: str, first: bool) -> None:
    arrive(number, "Forged" if first else "Hi", **({"from": forged} if first else {"all": [BERT]}))
    arrive(number, "Hi" if first else "Forged", **({"all": [BERT]} if first else {"from": forged}))
    assert [text for _, _, text in shown()] == (["Forged", "Hi"] if first else ["Hi", "Forged"])
    assert [message.text for message in group().messages.all()] == ["Hi"]
    assert group().contact.members.count() == 2


@pytest.mark.parametrize("given", [MEXICAN, MEXICAN_OLD, "5512345678", "00525512345678", "tel:+525512345678"])
def test_our_number_is_no_member_in_whichever_way_it_is_written(number: Number, given: str) -> None:
    number.number, number.country = MEXICAN_OLD, "MX"
    number.save()
    arrive(number, to=number.number, all=[given])
    arrive(number, "Note to self", **{"from": given}, to=number.number, all=[ANNA])
    assert [text for *_, text in shown()] == ["Hi", "Note to self"]
    assert Contact.objects.filter(is_group=True).count() == 0


def test_a_member_in_two_spellings_is_one(number: Number) -> None:
    arrive(number, "One", all=[MEXICAN])
    arrive(number, "Two", all=[MEXICAN_OLD, MEXICAN, "0052 55 1234 5678"])
    arrive(number, "Three", **{"from": MEXICAN_OLD}, all=[ANNA])
    assert {talk for talk, _, _ in shown()} == {f"{ANNA}, {MEXICAN}"}


def test_the_largest_group_fits_however_its_members_are_known(number: Number) -> None:
    known = [f"+52155123456{place}" for place in range(10, 59)]
    for address in known:
        Contact.objects.create(organization=number.organization, address=address)
    arrive(number, all=[address.replace("+521", "+52") for address in known])
    assert group().contact.address == f"{ANNA}, {', '.join(known)}"
    assert group().contact.members.count() == 50
    assert ADDRESS_LENGTH == 50 * 18 and len(f"{'+123456789012345, ' * 49}+123456789012345") < ADDRESS_LENGTH


def test_nobody_is_looked_up_for_a_crowd(number: Number) -> None:
    crowd = [f"+1202{place:07}" for place in range(2_000_000, 2_010_000)]
    arrive(number, "Hello", tos=[OURS, *crowd])
    url = f"/services/grouped/a{number.account.accountid}"
    said = json.dumps({"from": ANNA, "to": OURS, "text": "Hi", "name": "", "all": crowd})
    assert Client().post(url, said, content_type="application/json").status_code == 200
    with CaptureQueriesContext(connection) as queries:
        assert file_events.file_batch() == 1
    assert shown() == [(ANNA, "", "Hello"), (ANNA, "", "Hi")]
    assert max(len(query["sql"]) for query in queries if query["sql"].startswith("SELECT")) < 10_000


@pytest.mark.parametrize(
    "junk", ["\0", "a" * 100_000, "+" + "1" * 100_000, "\u202e", " ", "+1202555014\u00003", "0", "+0"]
)
def test_what_is_no_number_is_no_member(number: Number, junk: str) -> None:
    arrive(number, "One", all=[junk, BERT])
    arrive(number, "Two", all=[junk])
    assert shown() == [(GROUP, ANNA, "One"), (ANNA, "", "Two")]


def test_parts_of_a_text_to_a_group_do_not_join_those_to_us_alone(number: Number, provider: Provider) -> None:
    described = json.loads(document(provider.origin, groups=True))
    event = described["Webhook"]["events"][0]
    event["concat"] = {"id": "$ref$", "part": "$part$", "count": "$count$"}
    event["request_parameters"] |= {"ref?": "$ref$", "part?": "$part$", "count?": "$count$"}
    assert number.integration is not None
    number.integration.template.revise(json.dumps(described))
    arrive(number, "the group", all=[BERT], ref="1", part=2, count=2)
    arrive(number, "For ", ref="1", part=1, count=2)
    arrive(number, "For ", all=[BERT], ref="1", part=1, count=2)
    arrive(number, "you", ref="1", part=2, count=2)
    assert sorted(shown()) == [(ANNA, "", "For you"), (GROUP, ANNA, "For the group")]


def test_whoever_is_blocked_is_not_heard_in_a_group_either(number: Number, alice: User) -> None:
    arrive(number, "One", **{"from": BERT}, all=[ANNA])
    contacts.block(Contact.objects.get(address=ANNA), alice)
    arrive(number, "Two", all=[BERT])
    arrive(number, "Three", **{"from": BERT}, all=[ANNA])
    assert shown() == [(GROUP, BERT, "One"), (ANNA, "", "Two"), (GROUP, BERT, "Three")]
    assert pages.conversations(alice).rows == [group()]


def test_a_group_is_found_by_the_person_that_a_member_was_merged_into(number: Number, alice: User) -> None:
    arrive(number, **{"from": CARL}, name="Carl")
    arrive(number, all=[BERT])
    contacts.merge(Contact.objects.get(address=BERT), Contact.objects.get(address=CARL), alice)
    assert pages.conversations(alice, "carl").rows[0] == group()


@pytest.mark.parametrize("term", [ANNA, BERT, "(202) 555-0143", GROUP])
def test_administrators_find_a_group_by_a_member(number: Number, admin_of_acme: User, term: str) -> None:
    arrive(number, all=[BERT])
    arrive(number, **{"from": CARL})
    assert [row.text for row in search.messages(Message.objects.all(), admin_of_acme, term)] == ["Hi"]
    assert search.webhooks(WebhookEvent.objects.none(), admin_of_acme, term).count() == 0


def test_a_member_that_was_chosen_stays_the_only_one(
    one_by_one: Number, provider: Provider, alice: User
) -> None:
    arrive(one_by_one, all=[BERT])
    talk, client = group(), signed_in(alice)
    form = client.get(f"/inbox/{talk.pk}/").context["form"]
    assert one_by_one.integration is not None
    one_by_one.integration.template.revise(document(provider.origin, groups=True))
    chosen = Contact.objects.get(address=BERT).pk
    said = {"text": "Just you", "uuid": form["uuid"].value(), "member": chosen}
    assert client.post(f"/inbox/{talk.pk}/", said).status_code == 302
    send_now()
    assert provider.received == [("/one", {"from": OURS, "to": BERT, "text": "Just you"})]


class Broken(Provider):
    """A provider that has trouble with the second request."""

    def respond(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        answer = super().respond(method, path, headers, body)
        return (503, {}, b"{}") if len(self.received) == 2 else answer


@pytest.fixture
def broken(number: Number, settings: Any) -> Iterator[Broken]:
    made = Broken()
    settings.PATCHBAY_ALLOWED_ORIGINS = [made.origin]
    described = json.loads(document(made.origin, groups=True))
    for name, size in (("SendGroup", 5), ("SendMessage", 11)):
        described["API"][name]["split"] = {"max": size, "unit": "characters"}
        described["API"][name]["request_parameters"] = {"to": "$to$", "text": "$content$"}
    assert number.integration is not None
    number.integration.template.revise(json.dumps(described))
    yield made
    made.stop()


def test_what_has_begun_for_a_group_goes_on_for_those_who_are_left(
    number: Number, broken: Broken, alice: User
) -> None:
    arrive(number, all=[BERT])
    sent = submit(alice, number, group().contact, text="one two three")
    dispatch.drain()
    OptOut.objects.create(organization=number.organization, number=number, address=BERT)
    send_now()
    sent.refresh_from_db()
    assert sent.status == Status.SENT
    assert [(path, said["to"], said["text"].strip()) for path, said in broken.received] == [
        ("/group", [ANNA, BERT], "one"),
        ("/group", [ANNA, BERT], "two"),
        ("/group", [ANNA], "two"),
        ("/group", [ANNA], "three"),
    ]


def test_a_group_that_was_erased_meanwhile_gets_nothing(
    number: Number, provider: Provider, alice: User
) -> None:
    arrive(number, all=[BERT])
    contact = group().contact
    assert erasure.carry_out(erasure.start(number.organization, ANNA, None).pk)
    with pytest.raises(Refused, match=r"This group is no longer there\."):
        submit(alice, number, contact, text="Hello")
    dispatch.drain()
    assert (provider.received, Message.objects.count()) == ([], 0)


def test_erasing_a_member_leaves_nobody_who_was_only_known_by_the_group(number: Number) -> None:
    arrive(number, all=[BERT, CARL])
    arrive(number, "Alone", **{"from": CARL})
    assert erasure.carry_out(erasure.start(number.organization, ANNA, None).pk)
    assert list(Contact.objects.values_list("address", flat=True)) == [CARL]


def test_a_group_can_be_erased_as_such(number: Number) -> None:
    arrive(number, "To all", all=[BERT])
    arrive(number, "Alone")
    assert erasure.carry_out(erasure.start(number.organization, f" {GROUP} ", None).pk)
    assert shown() == [(ANNA, "", "Alone")]
    assert list(Contact.objects.values_list("address", flat=True)) == [ANNA]


@pytest.mark.parametrize("spelled", [ANNA, "202 555 0142"])
def test_erasing_takes_a_number_out_of_what_others_sent(number: Number, spelled: str) -> None:
    crowd = [f"+12025552{place:03}" for place in range(60)]
    arrive(number, "To many", **{"from": BERT}, all=[spelled, *crowd])
    assert erasure.carry_out(erasure.start(number.organization, ANNA, None).pk)
    assert shown() == [(BERT, "", "To many")]
    event = WebhookEvent.objects.get()
    assert (event.payload["members"], event.payload["text"]) == (crowd, "To many")


def test_nothing_is_erased_of_nameless_senders_but_what_they_sent(number: Number) -> None:
    arrive(number)
    Contact.objects.create(organization=number.organization, address="unknown")
    before = WebhookEvent.objects.get().payload
    assert erasure.carry_out(erasure.start(number.organization, "unknown", None).pk)
    assert WebhookEvent.objects.get().payload == before


def test_what_is_known_of_groups_is_imported_but_no_group(number: Number, admin_of_acme: User) -> None:
    arrive(number, all=[BERT])
    rows = [
        ["organization", "number", "name"],
        [number.organization.domain, GROUP, "Family"],
        [number.organization.domain, f"{ANNA}, {CARL}", "Others"],
    ]
    row = imported(admin_of_acme, "contacts", rows)
    assert row.counts == {"changed": 1, "wrong": 1}
    assert list(Contact.objects.filter(is_group=True).values_list("name", flat=True)) == ["Family"]
    assert Conversation.objects.count() == 1


def test_the_page_of_a_group_shows_its_members_and_offers_no_merge(
    number: Number, admin_of_acme: User
) -> None:
    arrive(number, all=[BERT], name="Anna")
    client, contact = signed_in(admin_of_acme), group().contact
    page = client.get(reverse("admin:messaging_contact_change", args=[contact.pk])).content.decode()
    anna = Contact.objects.get(address=ANNA)
    assert f'<a href="{reverse("admin:messaging_contact_change", args=[anna.pk])}">Anna</a> · {ANNA}' in page
    assert "This group" in page and "Merge" not in page
    page = client.get(reverse("admin:messaging_contact_change", args=[anna.pk])).content.decode()
    assert "This group" not in page and "Merge" in page


def test_a_group_that_is_begun_twice_at_one_moment_is_one(
    number: Number, provider: Provider, alice: User
) -> None:
    words = [f"Hello {place}" for place in range(8)]
    with ThreadPoolExecutor(8) as pool:
        started = [
            pool.submit(
                in_thread, submit, alice, number, [BERT, ANNA] if place % 2 else [ANNA, BERT], text=each
            )
            for place, each in enumerate(words)
        ]
        arrive(number, "And I", all=[BERT])
        assert all(each.result() for each in started)
    assert sorted(group().messages.values_list("text", flat=True)) == ["And I", *words]
    assert group().contact.members.count() == 2 and Contact.objects.count() == 3


def in_thread(call: Any, *arguments: Any, **named: Any) -> Any:
    """What it returns, in a thread whose connections are closed after it."""
    try:
        return call(*arguments, **named)
    finally:
        connections.close_all()


@pytest.mark.parametrize("first", [[MEXICAN, ANNA], [MEXICAN_OLD, MEXICAN, ANNA]])
def test_a_group_that_is_begun_knows_its_members_as_they_are_known(
    number: Number, provider: Provider, alice: User, first: list[str]
) -> None:
    Contact.objects.create(organization=number.organization, address=MEXICAN_OLD)
    submit(alice, number, first, text="One")
    arrive(number, "Two", all=[MEXICAN])
    assert [talk for talk, _, _ in shown()] == [f"{ANNA}, {MEXICAN_OLD}"] * 2
    submit(alice, number, [MEXICAN, MEXICAN_OLD], text="To one")
    assert shown()[-1] == (MEXICAN_OLD, "", "To one")


def test_an_opt_out_by_the_other_spelling_is_none_of_ours_to_ignore(
    number: Number, provider: Provider, alice: User
) -> None:
    Contact.objects.create(organization=number.organization, address=MEXICAN_OLD)
    OptOut.objects.create(organization=number.organization, number=number, address=MEXICAN_OLD)
    with pytest.raises(Refused, match=r"\+5215512345678 has opted out of messages from this number\."):
        submit(alice, number, [MEXICAN, ANNA], text="One")
    assert (Message.objects.count(), Conversation.objects.count()) == (0, 0)
