"""Contacts: what is known of them, finding them, blocking, merging, exporting and erasing."""

from __future__ import annotations

import html
import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging import erasure
from messaging.inbound import file_events
from messaging.inbox import pages, search
from messaging.models import (
    AutoReply,
    Contact,
    ContactTag,
    Conversation,
    Erasure,
    Mention,
    Message,
    Number,
    Remark,
    WebhookEvent,
)
from messaging.outbound.submit import submit
from messaging.rules import contacts, teamwork
from portal.models import AuditEntry, Organization, User
from tests.messaging.rules import CONTACT, accept, answers, receive
from tests.messaging.test_inbox import arrive, signed_in

HTMX = {"HX-Request": "true"}
OTHER = "+61412345679"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def talk(shared: Number) -> Conversation:
    return arrive(shared).conversation


def known(contact: Contact) -> tuple[str, str, str, list[str]]:
    contact.refresh_from_db()
    return contact.name, contact.company, contact.note, [tag.name for tag in contact.tags.all()]


def test_texters_say_who_it_is(talk: Conversation, alice: User, bob: User) -> None:
    path = f"/inbox/{talk.pk}/contact/"
    form = {"name": " Jane ", "company": "Doe Ltd", "tags": "vip, Patient,, VIP", "note": "Rings at night"}
    answer = signed_in(alice).post(path, form, headers=HTMX)
    assert (answer.status_code, answer["HX-Trigger"]) == (200, "changed")
    assert known(talk.contact) == ("Jane", "Doe Ltd", "Rings at night", ["Patient", "vip"])
    assert "Jane" in signed_in(bob).get("/inbox/list/").content.decode()
    assert (
        "Alice changed what is known of the contact."
        in signed_in(bob).get(f"/inbox/{talk.pk}/").content.decode()
    )
    assert signed_in(alice).post(path, form)["Location"] == path
    assert Remark.objects.count() == 1  # nothing has changed the second time


@pytest.mark.parametrize(
    "form",
    [
        {"name": "x" * 121},
        {"company": "x" * 121},
        {"note": "x" * 5001},
        {"tags": "x" * 41},
        {"tags": ",".join(f"tag {place}" for place in range(31))},
        {"name": "\0"},
    ],
)
def test_bad_input_is_not_stored(talk: Conversation, alice: User, form: dict[str, str]) -> None:
    answer = signed_in(alice).post(f"/inbox/{talk.pk}/contact/", form)
    assert (answer.status_code, known(talk.contact)) == (422, ("", "", "", []))
    assert (ContactTag.objects.count(), Remark.objects.count()) == (0, 0)


def filled_in(page: bytes) -> dict[str, str]:
    """What the form of a contact sends if nothing is changed."""
    text, values = page.decode(), {}
    for name in ("name", "company", "tags", "note"):
        for field in (name, f"initial-{name}"):
            [tag] = re.findall(rf'<(?:input|textarea)[^>]* name="{field}"[^>]*>(?:[^<]*</textarea>)?', text)
            found = re.search(r' value="([^"]*)"|>([^<]*)</textarea>', tag)
            values[field] = html.unescape(found[1] or found[2] or "") if found else ""
    return values


@pytest.mark.parametrize("where", ["inbox", "admin"])
def test_what_a_colleague_has_stored_meanwhile_stays(
    talk: Conversation, alice: User, admin_of_acme: User, where: str
) -> None:
    user, own = {
        "inbox": (alice, f"/inbox/{talk.pk}/contact/"),
        "admin": (admin_of_acme, reverse("admin:messaging_contact_change", args=[talk.contact_id])),
    }[where]
    contacts.edit(talk.contact, alice, company="Doe Ltd", note="Rings\nat night", tags=["vip"])
    one = filled_in(signed_in(user).get(own).content)
    contacts.edit(talk.contact, alice, note="Is deaf", tags=["vip", "late"])
    assert signed_in(user).post(own, {**one, "name": "Jane"}).status_code == 302
    assert known(talk.contact) == ("Jane", "Doe Ltd", "Is deaf", ["late", "vip"])

    answer = signed_in(user).post(own, {**one, "name": "Jane", "note": "Rings"})
    said = "Somebody has changed this meanwhile to “Is deaf”. Save again to replace it."
    assert said in answer.content.decode()
    assert known(talk.contact) == ("Jane", "Doe Ltd", "Is deaf", ["late", "vip"])
    again = filled_in(answer.content)
    assert again["note"].strip() == "Rings"
    assert signed_in(user).post(own, again).status_code == 302
    assert known(talk.contact) == ("Jane", "Doe Ltd", "Rings", ["late", "vip"])


def test_tags_belong_to_one_organization(talk: Conversation, alice: User, globex: Organization) -> None:
    ContactTag.objects.create(organization=globex, name="vip")
    contacts.edit(talk.contact, alice, name="", company="", note="", tags=["VIP"])
    assert talk.contact.tags.get().organization == talk.organization
    shown = signed_in(alice).get(f"/inbox/{talk.pk}/contact/").content.decode()
    assert 'data-tag="VIP"' in shown and 'data-tag="vip"' not in shown


@pytest.mark.parametrize(("before", "after"), [("", "Jane"), ("Her name", "Her name")])
def test_the_name_that_a_sender_gives_fills_an_empty_one(shared: Number, before: str, after: str) -> None:
    receive(shared, "one", "1")
    Contact.objects.update(name=before)
    accept(shared, "two", "2")
    event = WebhookEvent.objects.latest("pk")
    event.payload = {**event.payload, "sender_name": "Jane"}
    event.save()
    file_events.drain()
    assert Contact.objects.get().name == after


@pytest.mark.parametrize(
    ("words", "found"),
    [
        *(("jane", 1), ("doe l", 1), ("VIP", 1), ("345 678", 1), ("Joe", 0), ("%", 0)),
        *(("teeth", 1), ("TEET", 1), ("hurt my", 1), ("te", 0), ("eeth", 0), ("teeth gold", 0), ("' | !", 0)),
    ],
)
def test_search(shared: Number, private: Number, alice: User, words: str, found: int) -> None:
    talk = arrive(shared, "My teeth hurt").conversation
    contacts.edit(talk.contact, alice, name="Jane", company="Doe Ltd", note="", tags=["vip"])
    teamwork.close(talk, alice)
    rows = signed_in(alice).get("/inbox/list/", {"q": words}).context["list"].rows
    assert len(rows) == found


def test_search_finds_nothing_of_others(shared: Number, alice: User, bob: User, charlie: User) -> None:
    talk = arrive(shared, "My teeth hurt").conversation
    Conversation.objects.update(private_to=bob)
    assert pages.conversations(alice, "teeth").rows == []
    assert pages.conversations(charlie, "teeth").rows == []
    assert pages.conversations(bob, "teeth").rows == [talk]


def test_only_the_newest_texts_that_say_it_are_found(
    shared: Number, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "RECENT", 2)
    talks = [
        arrive(shared, text, address=f"+6141200000{place}").conversation
        for place, text in enumerate(("A parcel", "Your parcel", "Parcels", "Gold", "Gold"))
    ]
    found = pages.conversations(alice, "parcel").rows
    assert {talk.pk for talk in found} == {talk.pk for talk in talks[1:3]}


def test_a_blocked_sender_is_filed_and_seen_nowhere(shared: Number, alice: User) -> None:
    AutoReply.objects.create(number=shared, keyword="HOURS", text="9 to 5")
    receive(shared, "Buy gold", "1")
    talk = Conversation.objects.get()
    teamwork.close(talk, alice)
    client = signed_in(alice)
    assert client.post(f"/inbox/{talk.pk}/block/", {"do": "block"}, headers=HTMX).status_code == 200
    receive(shared, "HOURS", "2")
    assert (Message.objects.filter(direction="in").count(), answers()) == (2, [])
    talk.refresh_from_db()
    assert talk.closed_at is not None
    assert [pages.conversations(alice, show=show).rows for show in ("", "closed", "unassigned")] == [[]] * 3
    assert pages.conversations(alice, "gold").rows == []
    assert pages.unread(alice) == 0
    assert pages.conversations(alice, show="blocked").rows == [talk]
    client.post(f"/inbox/{talk.pk}/block/", {"do": "unblock"})
    assert pages.conversations(alice, "gold").rows == [talk]
    receive(shared, "HOURS", "3")
    assert answers() == [("keyword HOURS", "9 to 5")]


def test_a_blocked_sender_can_still_opt_out(shared: Number, alice: User) -> None:
    receive(shared, "Hi", "1")
    contacts.block(Contact.objects.get(), alice)
    receive(shared, "STOP", "2")
    assert Conversation.objects.get().opted_out
    assert answers() == []


def test_two_numbers_become_one_person_and_two_again(
    shared: Number, alice: User, admin_of_acme: User
) -> None:
    first, second = arrive(shared).conversation, arrive(shared, address=OTHER).conversation
    contacts.edit(first.contact, alice, name="Jane", company="", note="", tags=["vip"])
    contacts.edit(second.contact, alice, name="J.", company="Doe Ltd", note="", tags=["late"])
    contacts.merge(second.contact, first.contact, admin_of_acme)
    assert known(first.contact) == ("Jane", "Doe Ltd", "", ["late", "vip"])
    assert [str(row.contact) for row in pages.conversations(alice).rows] == ["Jane", "Jane"]
    shown = signed_in(alice).get(f"/inbox/{first.pk}/contact/").content.decode()
    assert f'href="/inbox/{second.pk}/"' in shown
    # What is changed beside one number is changed for both.
    signed_in(alice).post(f"/inbox/{second.pk}/contact/", {"name": "Jane Doe", "company": "Doe Ltd"})
    assert known(first.contact)[0] == "Jane Doe"
    second.contact.refresh_from_db()
    contacts.separate(second.contact, admin_of_acme)
    assert known(second.contact) == ("J.", "Doe Ltd", "", ["late"])
    assert {str(row.contact) for row in pages.conversations(alice).rows} == {"Jane Doe", "J."}


def test_others_of_a_person_are_shown_to_their_users_only(
    shared: Number, private: Number, alice: User, bob: User
) -> None:
    first, hidden = arrive(shared).conversation, arrive(private, address=OTHER).conversation
    contacts.merge(hidden.contact, first.contact, alice)
    for user, sees in ((alice, True), (bob, False)):
        shown = signed_in(user).get(f"/inbox/{first.pk}/contact/").content.decode()
        assert (OTHER in shown) == sees


def admin_pages(contact: Contact) -> tuple[str, str, str]:
    names = ("change", "act", "export")
    return tuple(reverse(f"admin:messaging_contact_{name}", args=[contact.pk]) for name in names)  # type: ignore[return-value]


@pytest.mark.parametrize("given", ["", "nobody", "+61400000000", CONTACT])
def test_what_cannot_be_merged(talk: Conversation, admin_of_acme: User, given: str) -> None:
    _change, act, _export = admin_pages(talk.contact)
    signed_in(admin_of_acme).post(act, {"do": "merge", "other": given})
    assert Contact.objects.exclude(merged_into=None).count() == 0


def test_contacts_of_others_cannot_be_merged(
    talk: Conversation, globex: Organization, admin_of_acme: User, admin_of_globex: User
) -> None:
    Contact.objects.create(organization=globex, address=OTHER, name="Theirs")
    change, act, export = admin_pages(talk.contact)
    signed_in(admin_of_acme).post(act, {"do": "merge", "other": OTHER})
    assert Contact.objects.exclude(merged_into=None).count() == 0
    for path in (change, act, export):
        assert signed_in(admin_of_globex).post(path, {"do": "block"}).status_code == 404
    talk.contact.refresh_from_db()
    assert talk.contact.blocked_at is None


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_texters_do_not_merge_export_or_erase(talk: Conversation, who: str, request: Any) -> None:
    client = signed_in(request.getfixturevalue(who))
    for path in admin_pages(talk.contact):
        assert client.post(path, {"do": "block"}).status_code in (302, 403)
    assert "Merge, export or erase" not in client.get(f"/inbox/{talk.pk}/contact/").content.decode()
    assert AuditEntry.objects.filter(kind="messaging.contact").count() == 0


def test_the_list_of_contacts_is_searched_and_filtered(
    shared: Number, alice: User, admin_of_acme: User
) -> None:
    first, second = arrive(shared).conversation.contact, arrive(shared, address=OTHER).conversation.contact
    contacts.edit(first, alice, name="Jane", company="Doe Ltd", note="", tags=["vip"])
    contacts.block(second, alice)
    path, tag = reverse("admin:messaging_contact_changelist"), ContactTag.objects.get()
    client = signed_in(admin_of_acme)
    for query, expected in (
        ({}, [first, second]),
        ({"q": "jane"}, [first]),
        ({"q": "doe"}, [first]),
        ({"q": "vip"}, [first]),
        ({"q": "0412 345 679"}, [second]),
        ({"tag": tag.pk}, [first]),
        ({"blocked": "yes"}, [second]),
        ({"blocked": "no"}, [first]),
        ({"tag": "x", "blocked": "x"}, [first, second]),
    ):
        assert list(client.get(path, query).context["cl"].queryset) == expected, query


def test_the_list_of_contacts_costs_the_same_for_many(
    shared: Number, alice: User, admin_of_acme: User
) -> None:
    def queries() -> int:
        client = signed_in(admin_of_acme)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse("admin:messaging_contact_changelist")).status_code == 200
        return len(captured)

    def fill(place: int) -> None:
        first = arrive(shared, address=f"+614120000{place:02d}").conversation.contact
        second = arrive(shared, address=f"+614130000{place:02d}").conversation.contact
        contacts.edit(first, alice, name="Jane", company="", note="", tags=["vip"])
        contacts.merge(second, first, alice)

    fill(0)
    few = queries()
    for place in range(1, 12):
        fill(place)
    assert queries() == few


def test_the_export_has_all_that_is_stored(
    shared: Number, private: Number, alice: User, bob: User, admin_of_acme: User
) -> None:
    file = SimpleUploadedFile("no te/.txt", b"hello")
    sent = submit(alice, shared, CONTACT, text="Hello", files=[file])
    hidden = arrive(private, "From the other number", address=OTHER).conversation
    arrive(shared, "Of somebody else", address="+61412000000")
    contact = sent.conversation.contact
    contacts.edit(contact, alice, name="Jane", company="", note="Rings", tags=["vip"])
    contacts.merge(hidden.contact, contact, admin_of_acme)
    teamwork.note(sent.conversation, alice, "Call back")
    answer = signed_in(admin_of_acme).post(admin_pages(contact)[2])
    archive = zipfile.ZipFile(BytesIO(b"".join(answer)))
    document = json.loads(archive.read("contact.json"))
    assert (document["name"], document["note"], document["tags"]) == ("Jane", "Rings", ["vip"])
    assert [row["number"] for row in document["numbers"]] == [CONTACT, OTHER]
    texts = [[message["text"] for message in talk["messages"]] for talk in document["conversations"]]
    assert texts == [["Hello"], ["From the other number"]]
    assert "Call back" in [remark["text"] for remark in document["conversations"][0]["remarks"]]
    (path,) = document["conversations"][0]["messages"][0]["files"]
    assert archive.read(path) == b"hello"
    assert len(archive.namelist()) == 2
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.name, entry.actor) == ("exported", "+61…78", admin_of_acme)


def test_an_erasure_takes_notes_and_tags_with_it(
    talk: Conversation, shared: Number, alice: User, bob: User, admin_of_acme: User
) -> None:
    other = arrive(shared, address=OTHER).conversation
    contacts.edit(talk.contact, alice, name="Jane", company="", note="", tags=["vip"])
    contacts.merge(other.contact, talk.contact, admin_of_acme)
    teamwork.note(talk, alice, "@Bob call back")
    page = reverse("admin:messaging_erasure_add") + f"?contact={talk.contact.pk}"
    assert f'value="{CONTACT}"' in signed_in(admin_of_acme).get(page).content.decode()
    row = erasure.start(talk.organization, CONTACT, admin_of_acme)
    assert erasure.carry_out(row.pk)
    assert Erasure.objects.get().counts == {"messages": 1, "conversations": 1, "notes": 1}
    assert (Mention.objects.count(), Contact.objects.get().address) == (0, OTHER)
    assert Contact.objects.get().merged_into is None
    assert not Remark.objects.filter(kind="note").exists()


def test_a_stranger_is_not_offered_the_contact_of_another(talk: Conversation, admin_of_globex: User) -> None:
    page = reverse("admin:messaging_erasure_add") + f"?contact={talk.contact.pk}"
    assert CONTACT not in signed_in(admin_of_globex).get(page).content.decode()
