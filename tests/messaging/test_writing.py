"""Drafts that follow their writer, signatures, the number last used, and canned replies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging import canned_replies
from messaging.inbox import pages, writing
from messaging.inbox.emoji import EMOJI
from messaging.models import CannedReply, Contact, Conversation, Draft, Message, Number, WritingChoices
from messaging.outbound.submit import submit
from portal.models import Account, AuditEntry, Organization, User
from tests.messaging import queues
from tests.messaging.test_inbox import CONTACT, arrive, signed_in

HTMX = {"HX-Request": "true"}


@pytest.fixture
def talk(shared: Number, alice: User, bob: User) -> Conversation:
    return arrive(shared).conversation


def drafts() -> list[tuple[str, str]]:
    return [(str(row.user), row.text) for row in Draft.objects.order_by("pk").select_related("user")]


def test_a_draft_is_its_writers_alone(talk: Conversation, alice: User, bob: User, charlie: User) -> None:
    path = f"/inbox/{talk.pk}/draft/"
    assert signed_in(alice).post(path, {"text": "Dear"}).status_code == 204
    assert signed_in(alice).post(path, {"text": "Dear Ann"}).status_code == 204
    assert signed_in(charlie).post(path, {"text": "mine"}).status_code == 404
    assert drafts() == [("Alice", "Dear Ann")]
    assert ">Dear Ann</textarea>" in signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()
    assert "Dear Ann" in signed_in(alice).get("/inbox/list/").content.decode()
    for page in (f"/inbox/{talk.pk}/", "/inbox/list/"):
        assert "Dear Ann" not in signed_in(bob).get(page).content.decode()


@pytest.mark.parametrize("text", ["", "  \n ", "\0" * 0])
def test_an_empty_draft_is_none(talk: Conversation, alice: User, text: str) -> None:
    writing.keep(talk, alice, "Dear")
    assert signed_in(alice).post(f"/inbox/{talk.pk}/draft/", {"text": text}).status_code == 204
    assert drafts() == []


def test_sending_ends_the_draft_even_if_it_comes_late(talk: Conversation, alice: User, bob: User) -> None:
    writing.keep(talk, alice, "Dear")
    writing.keep(talk, bob, "Mine stays")
    uuid = uuid4()
    client = signed_in(alice)
    assert (
        client.post(f"/inbox/{talk.pk}/", {"text": "Dear Ann", "uuid": uuid}, headers=HTMX).status_code == 200
    )
    assert drafts() == [("Bob", "Mine stays")]
    client.post(f"/inbox/{talk.pk}/draft/", {"text": "Dear Ann", "uuid": str(uuid)})
    assert drafts() == [("Bob", "Mine stays")]
    client.post(f"/inbox/{talk.pk}/draft/", {"text": "Next", "uuid": "no uuid \0"})
    assert drafts() == [("Bob", "Mine stays"), ("Alice", "Next")]


def test_a_refused_text_keeps_its_draft(talk: Conversation, alice: User) -> None:
    writing.keep(talk, alice, "Dear")
    answer = signed_in(alice).post(
        f"/inbox/{talk.pk}/", {"text": "Dear", "uuid": uuid4(), "later": "at", "at": "never"}, headers=HTMX
    )
    assert (answer.status_code, drafts()) == (422, [("Alice", "Dear")])


def test_drafts_cost_the_list_no_further_query(shared: Number, alice: User) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert pages.conversations(alice, count=100).rows
        return len(captured)

    arrive(shared)
    before = cost()
    for index in range(20):
        writing.keep(arrive(shared, address=f"+614120000{index:02d}").conversation, alice, "Dear")
    assert cost() == before


def test_a_signature_stands_below_each_text_of_its_writer(talk: Conversation, alice: User, bob: User) -> None:
    WritingChoices.objects.create(user=alice, undo_seconds=0, signature="— Alice")
    for user in (alice, bob):
        form = {"text": "Hello\r\n", "uuid": uuid4()}
        assert signed_in(user).post(f"/inbox/{talk.pk}/", form, headers=HTMX).status_code == 200
    sent = Message.objects.filter(direction="out").order_by("pk")
    assert [message.text for message in sent] == ["Hello\n— Alice", "Hello\n"]
    assert writing.signed("", alice) == ""


def test_a_new_message_begins_with_the_number_last_used(shared: Number, private: Number, alice: User) -> None:
    for number in (private, shared, private):
        submit(alice, number, CONTACT, text="Hi")
        page = signed_in(alice).get("/inbox/new/").content.decode()
        assert f'<option value="{number.pk}" selected>' in page


def reply(acme: Organization, name: str, **more: Any) -> CannedReply:
    return CannedReply.objects.create(organization=acme, name=name, text=f"{name}!", **more)


def test_who_may_choose_which_reply(
    talk: Conversation,
    shared: Number,
    private: Number,
    alice: User,
    bob: User,
    acme: Organization,
    globex: Organization,
) -> None:
    reply(acme, "all")
    reply(acme, "here", number=shared)
    reply(acme, "elsewhere", number=private)
    reply(acme, "of Alice", owner=alice)
    reply(acme, "of Bob", owner=bob)
    reply(globex, "foreign")
    assert [each.name for each in canned_replies.choices(talk, alice)] == ["all", "here", "of Alice"]
    assert [each.name for each in canned_replies.choices(talk, bob)] == ["all", "here", "of Bob"]
    page = signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()
    assert 'data-write="all!"' in page and "foreign" not in page and "of Bob" not in page


@pytest.mark.parametrize(
    ("name", "text", "filled"),
    [
        ("Ann", "Hi {contact name}, I am {my name}.", "Hi Ann, I am Alice."),
        ("", "Hi {contact name}, I am {my name}.", "Hi, I am Alice."),
        ("", "Hi {contact name} from {organization}", "Hi from Acme"),
        ("Ann", "{Contact Name} { my name } {unknown} {", "Ann Alice {unknown} {"),
        ("{my name}", "Hi {contact name}", "Hi {my name}"),
    ],
)
def test_fields_are_filled_in(
    talk: Conversation, alice: User, acme: Organization, name: str, text: str, filled: str
) -> None:
    Organization.objects.filter(pk=acme.pk).update(name="Acme")
    talk.contact.name = name
    talk.organization.name = "Acme"
    assert canned_replies.filled(text, talk, alice) == filled


def test_own_and_shared_replies_are_kept_by_those_who_may(
    shared: Number, alice: User, bob: User, charlie: User, admin_of_acme: User, acme: Organization
) -> None:
    new, entries = "/account/writing/replies/", AuditEntry.objects.count()
    mine = {"name": "Hours", "text": "9 to 5", "whose": f"mine {acme.pk}"}
    assert signed_in(alice).post(new, mine)["Location"] == "/account/writing/"
    for whose in (f"all {acme.pk}", f"number {shared.pk}", "mine 999", "", "\0"):
        assert signed_in(alice).post(new, {**mine, "whose": whose}).status_code == 422
    own = CannedReply.objects.get()
    assert (own.owner, own.number, own.organization) == (alice, None, acme)
    assert AuditEntry.objects.count() == entries  # nobody else is concerned

    client = signed_in(admin_of_acme)
    client.post(new, {**mine, "whose": f"number {shared.pk}"})
    both = CannedReply.objects.get(owner=None)
    assert (both.number, both.organization) == (shared, acme)
    assert (
        client.post(f"{new}{both.pk}/", {**mine, "text": "8 to 4", "whose": f"all {acme.pk}"}).status_code
        == 302
    )
    both.refresh_from_db()
    assert (both.text, both.number) == ("8 to 4", None)
    for row, strangers in ((own, (bob, charlie, admin_of_acme)), (both, (alice, bob, charlie))):
        for user in strangers:
            assert signed_in(user).get(f"{new}{row.pk}/").status_code == 404
            assert signed_in(user).post(f"{new}{row.pk}/", {"do": "delete"}).status_code == 404
    assert CannedReply.objects.count() == 2
    client.post(f"{new}{both.pk}/", {"do": "delete"})
    signed_in(alice).post(f"{new}{own.pk}/", {"do": "delete"})
    assert CannedReply.objects.count() == 0
    told = AuditEntry.objects.order_by("pk").values_list("action", "kind")[entries:]
    assert list(told) == [(action, "messaging.cannedreply") for action in ("added", "changed", "deleted")]


@pytest.mark.parametrize(
    ("given", "status", "stored"),
    [
        ({"undo_seconds": "10", "signature": "— A"}, 302, (10, "— A")),
        ({"undo_seconds": "0", "signature": ""}, 302, (0, "")),
        ({"undo_seconds": "7"}, 422, None),
        ({"undo_seconds": "5", "signature": "x" * 101}, 422, None),
        ({}, 422, None),
    ],
)
def test_choices_about_writing(alice: User, given: dict[str, str], status: int, stored: Any) -> None:
    assert signed_in(alice).post("/account/writing/", given).status_code == status
    assert WritingChoices.objects.values_list("undo_seconds", "signature").first() == stored


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, ""),
        ({"media_bytes": 2_000_000}, "Pictures are made to fit. Other files have at most 1.9\xa0MB."),
        (
            {"media_types": ["image/jpeg", "image/png"]},
            "Pictures are made to fit. The provider takes no other",
        ),
        (
            {"media_types": ["image/*", "application/pdf"], "media_bytes": 1048576},
            "Pictures are made to fit. Other files that the provider takes: pdf. Other files have at most 1.0",
        ),
    ],
)
def test_what_files_the_provider_takes_is_said_before_the_upload(
    account: Account, acme: Organization, limits: dict[str, Any], said: str
) -> None:
    template = queues.template_of(account, limits=limits)
    number = queues.number_of(queues.integration_of(acme, template, "http://a"), "+61855550001")
    found = writing.files_hint(number)
    assert found.startswith(said) if said else found == ""
    assert writing.files_hint(Number(number="+61855550002")) == ""


# --- The page of a new message -----------------------------------------------------------------------------

NEW, ABOUT = "/inbox/new/", "/inbox/new/about/"
ABROAD = "+4915112345678"  # Germany has one time zone
MIDNIGHT, NOON = datetime(2026, 7, 1, 22, 30, tzinfo=UTC), datetime(2026, 7, 1, 10, tzinfo=UTC)


def new(user: User, number: Number, **given: Any) -> Any:
    form = {"number": number.pk, "to": ABROAD, "text": "Hello", "uuid": uuid4(), **given}
    return signed_in(user).post(NEW, form)


@pytest.fixture
def midnight() -> Iterator[None]:
    with time_machine.travel(MIDNIGHT, tick=False):
        yield


def test_a_new_message_is_helped_as_in_a_conversation(
    shared: Number, private: Number, alice: User, acme: Organization, midnight: None
) -> None:
    reply(acme, "all")
    reply(acme, "Hi {contact name} of {number name}", number=shared)
    ann = Contact.objects.create(organization=acme, address=ABROAD, name="Ann")
    Conversation.objects.create(organization=acme, number=shared, contact=ann)
    client = signed_in(alice)
    page = client.get(NEW, {"number": shared.pk, "to": ABROAD}).content.decode()
    about = client.get(ABOUT, {"number": shared.pk, "to": "+49 151 12345678"}).content.decode()
    for shown in (page, about):
        assert 'data-zone="Europe/Berlin" ' in shown and "It is <b>00:30</b> at the contact’s place." in shown
        assert 'data-write="all!"' in shown and f"Hi Ann of {shared}!" in shown
    assert f'value="{ABROAD}"' in page and f'<option value="{shared.pk}" selected>' in page
    assert about.count('hx-swap-oob="true"') == 4
    elsewhere = client.get(ABOUT, {"number": private.pk, "to": CONTACT}).content.decode()
    assert "Hi Ann" not in elsewhere and "Europe/Berlin" not in elsewhere


@pytest.mark.parametrize(
    "given",
    [{}, {"number": "x", "to": "\ufffd"}, {"number": "9" * 40, "to": "the dentist"}, {"to": "x" * 9000}],
)
def test_whatever_is_asked_about_a_new_message(
    shared: Number, private: Number, alice: User, charlie: User, acme: Organization, given: dict[str, str]
) -> None:
    reply(acme, "all")
    for url in (NEW, ABOUT):
        page = signed_in(alice).get(url, given)
        assert page.status_code == 200 and 'data-write="all!"' in page.content.decode()
        foreign = signed_in(charlie).get(url, {**given, "number": shared.pk})
        assert foreign.status_code == 200 and 'data-write="all!"' not in foreign.content.decode()


def test_a_new_message_at_night_is_asked_about_once(shared: Number, alice: User, midnight: None) -> None:
    first = new(alice, shared)
    page = first.content.decode()
    assert first.status_code == 422 and "It is night at the contact’s place." in page
    assert ">Hello</textarea>" in page and "Wait until 8:00" in page
    assert f'name="warned" value="{ABROAD}"' in page
    assert Message.objects.count() == 0
    assert new(alice, shared, to="+4915112345679", warned=ABROAD).status_code == 422
    assert new(alice, shared, warned=ABROAD).status_code == 302
    assert new(alice, shared, later="morning").status_code == 302
    sent, waiting = Message.objects.order_by("pk")
    assert waiting.send_at == datetime(2026, 7, 2, 6, tzinfo=UTC)
    assert sent.send_at is not None and sent.send_at - MIDNIGHT == timedelta(seconds=5)


def test_the_warning_of_a_new_message_comes_with_what_it_says(
    shared: Number, alice: User, midnight: None
) -> None:
    form = {"number": shared.pk, "to": ABROAD, "text": "Hello", "uuid": uuid4()}
    answer = signed_in(alice).post(NEW, form, headers=HTMX)
    page = answer.content.decode()
    assert (answer.status_code, Message.objects.count()) == (422, 0)
    assert page.strip().startswith('<div id="problem"') and f'name="warned" value="{ABROAD}"' in page


@pytest.mark.parametrize(("to", "at"), [(ABROAD, NOON), ("+12025550123", MIDNIGHT)])
def test_nothing_is_asked_by_day_or_where_nobody_knows(
    shared: Number, alice: User, to: str, at: datetime
) -> None:
    with time_machine.travel(at, tick=False):
        assert new(alice, shared, to=to).status_code == 302
        refused = new(alice, shared, to="+12025550123", later="morning")
    assert refused.status_code == 422 and "Nobody knows the time" in refused.content.decode()
    assert Message.objects.count() == 1


def test_links_lead_to_a_new_message(talk: Conversation, alice: User, acme: Organization) -> None:
    page = signed_in(alice).get(f"/inbox/{talk.pk}/contact/").content.decode()
    assert f'href="/inbox/new/?to=%2B{CONTACT[1:]}&amp;number={talk.number_id}"' in page
    group = Contact.objects.create(organization=acme, address=f"{ABROAD}, {CONTACT}", is_group=True)
    group.members.add(Contact.objects.create(organization=acme, address=ABROAD, name="Ann"), talk.contact)
    Conversation.objects.filter(pk=talk.pk).update(contact=group)
    page = signed_in(alice).get(f"/inbox/{talk.pk}/contact/").content.decode()
    for address, name in ((ABROAD, "Ann"), (CONTACT, CONTACT)):
        path = f"/inbox/new/?to=%2B{address[1:]}&amp;number={talk.number_id}"
        assert f'href="{path}" aria-label="Write to {name}"' in page
    assert "New message, from any of your numbers" not in page


def test_each_emoji_has_a_name_of_its_own(talk: Conversation, alice: User) -> None:
    assert (
        len({character for character, _name in EMOJI}) == len({str(name) for _c, name in EMOJI}) == len(EMOJI)
    )
    for url in (NEW, f"/inbox/{talk.pk}/"):
        page = signed_in(alice).get(url).content.decode()
        assert page.count("data-write=") == len(EMOJI)
        assert 'title="thumbs up" aria-label="thumbs up"' in page
