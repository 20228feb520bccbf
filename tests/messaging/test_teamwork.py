"""Working together on a shared number: assigning, snoozing, closing, notes, and who is typing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.errors import Refused
from messaging.inbox import filters, pages
from messaging.models import Contact, Conversation, Mention, Message, Number, OptOut, Reading, Remark
from messaging.outbound.submit import submit
from messaging.rules import contacts, teamwork
from portal.models import AuditEntry, User
from tests.messaging.rules import CONTACT, receive
from tests.messaging.test_inbox import arrive, signed_in

HTMX = {"HX-Request": "true"}


@pytest.fixture
def talk(shared: Number, alice: User, bob: User) -> Conversation:
    """A conversation of Alice and Bob, in which the contact has written."""
    return arrive(shared).conversation


def do(user: User, talk: Conversation, what: str, **more: Any) -> Any:
    return signed_in(user).post(f"/inbox/{talk.pk}/team/", {"do": what, **more}, headers=HTMX)


def state(talk: Conversation) -> tuple[Any, ...]:
    talk.refresh_from_db()
    return (str(talk.assignee or ""), talk.snoozed_until is not None, talk.closed_at is not None)


def kinds() -> list[tuple[str, str]]:
    return [
        (remark.kind, str(remark.author or "")) for remark in Remark.objects.order_by("pk").select_related()
    ]


def listed(user: User, show: str = "") -> list[int]:
    return [row.pk for row in signed_in(user).get("/inbox/list/", {"show": show}).context["list"].rows]


@pytest.mark.parametrize(
    ("steps", "after", "lines"),
    [
        (["take"], ("Alice", False, False), [("assigned", "Alice")]),
        (["take", "take"], ("Alice", False, False), [("assigned", "Alice")]),
        (["take", "release"], ("", False, False), [("assigned", "Alice"), ("released", "Alice")]),
        (["release"], ("", False, False), []),
        (["snooze hour"], ("", True, False), [("snoozed", "Alice")]),
        (["snooze tomorrow"], ("", True, False), [("snoozed", "Alice")]),
        (["snooze week"], ("", True, False), [("snoozed", "Alice")]),
        (["snooze hour", "reopen"], ("", False, False), [("snoozed", "Alice"), ("woken", "Alice")]),
        (["close"], ("", False, True), [("closed", "Alice")]),
        (["close", "close"], ("", False, True), [("closed", "Alice")]),
        (["snooze hour", "close"], ("", False, True), [("snoozed", "Alice"), ("closed", "Alice")]),
        (["close", "reopen"], ("", False, False), [("closed", "Alice"), ("reopened", "Alice")]),
        (["reopen"], ("", False, False), []),
    ],
)
def test_what_the_buttons_do(
    talk: Conversation, alice: User, steps: list[str], after: Any, lines: list[Any]
) -> None:
    for step in steps:
        assert do(alice, talk, step).status_code == 200
    assert state(talk) == after
    assert kinds() == lines


def test_a_conversation_is_handed_over(talk: Conversation, alice: User, bob: User) -> None:
    assert do(alice, talk, "assign", assignee=bob.pk).status_code == 200
    assert state(talk)[0] == "Bob"
    thread = signed_in(bob).get(f"/inbox/{talk.pk}/").content.decode()
    assert "Alice handed the conversation over to you." in thread
    assert "You take care of this." in thread
    assert (
        "You handed the conversation over to Bob."
        in signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()
    )


@pytest.mark.parametrize(
    "given",
    [
        {"do": ""},
        {"do": "sell"},
        {"do": "assign"},
        {"do": "assign", "assignee": "x"},
        {"do": "snooze"},
        {"do": "snooze at"},
        {"do": "snooze at", "at": "yesterday"},
        {"do": "snooze at", "at": "2001-01-01T09:00"},
        {"do": "snooze at", "at": "9999-12-31T23:59"},
        {"do": "snooze at", "at": "0001-01-01T00:00"},
    ],
)
def test_bad_input_changes_nothing(talk: Conversation, alice: User, given: dict[str, str]) -> None:
    answer = signed_in(alice).post(f"/inbox/{talk.pk}/team/", given, headers=HTMX)
    assert (answer.status_code, state(talk), kinds()) == (422, ("", False, False), [])


def test_only_users_of_the_number_get_a_conversation(talk: Conversation, alice: User, charlie: User) -> None:
    assert do(alice, talk, "assign", assignee=charlie.pk).status_code == 422
    assert (state(talk), kinds()) == (("", False, False), [])


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("team", {"do": "take"}),
        ("notes", {"note": "x"}),
        ("typing", {}),
        ("consent", {"how": "x"}),
        ("block", {"do": "block"}),
        ("contact", {"name": "x"}),
    ],
)
def test_strangers_do_nothing(
    talk: Conversation, charlie: User, admin_of_acme: User, path: str, given: dict[str, str]
) -> None:
    for stranger in (charlie, admin_of_acme):
        assert signed_in(stranger).post(f"/inbox/{talk.pk}/{path}/", given).status_code == 404
    assert Client().post(f"/inbox/{talk.pk}/{path}/", given).status_code == 302
    assert (state(talk), kinds(), Reading.objects.count()) == (("", False, False), [], 0)
    assert Contact.objects.get().name == ""


def test_a_private_conversation_stays_private(
    talk: Conversation, shared: Number, alice: User, bob: User
) -> None:
    Conversation.objects.update(private_to=alice, private_until=timezone.now() + timedelta(hours=1))
    assert do(bob, talk, "take").status_code == 404
    assert do(alice, talk, "assign", assignee=bob.pk).status_code == 422
    teamwork.note(talk, alice, "@Bob look")
    assert (state(talk)[0], Mention.objects.count()) == ("", 0)
    assert listed(bob) == [] and pages.conversations(bob).counts[""] == 0


def test_a_new_text_reopens_and_wakes(shared: Number, alice: User) -> None:
    receive(shared, "Hello", "1")
    talk = Conversation.objects.get()
    do(alice, talk, "close")
    receive(shared, "Still there?", "2")
    assert state(talk) == ("", False, False)
    do(alice, talk, "snooze hour")
    receive(shared, "Hello?", "3")
    assert state(talk) == ("", False, False)
    assert kinds() == [("closed", "Alice"), ("reopened", ""), ("snoozed", "Alice"), ("woken", "")]
    assert (
        "A new text opened the conversation again."
        in signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()
    )


def test_what_is_sent_to_a_closed_conversation_leaves_it_closed(
    talk: Conversation, shared: Number, alice: User
) -> None:
    do(alice, talk, "close")
    submit(alice, shared, CONTACT, text="Bye")
    assert state(talk) == ("", False, True)


def test_the_filters(shared: Number, alice: User, bob: User) -> None:
    keys = {}
    for place, name in enumerate(("free", "alices", "bobs", "asleep", "over", "closed", "blocked")):
        keys[name] = arrive(shared, address=f"+6141234567{place}").conversation
    teamwork.assign(keys["alices"], alice, alice)
    teamwork.assign(keys["bobs"], alice, bob)
    teamwork.snooze(keys["asleep"], alice, timezone.now() + timedelta(hours=1))
    Conversation.objects.filter(pk=keys["over"].pk).update(snoozed_until=timezone.now() - timedelta(hours=1))
    teamwork.close(keys["closed"], alice)
    contacts.block(keys["blocked"].contact, alice)
    expected = {
        "": {"free", "alices", "bobs", "over"},
        "mine": {"alices"},
        "unassigned": {"free", "over"},
        "snoozed": {"asleep"},
        "closed": {"closed"},
        "blocked": {"blocked"},
    }
    for show, names in expected.items():
        assert set(listed(alice, show)) == {keys[name].pk for name in names}, show
    assert filters.counts(alice) == {show: len(names) for show, names in expected.items()}
    assert "Snooze is over" in signed_in(alice).get("/inbox/list/").content.decode()
    assert listed(alice, "nonsense") == listed(alice)


def test_who_loses_the_number_has_its_conversations_no_more(
    talk: Conversation, shared: Number, alice: User, bob: User
) -> None:
    teamwork.assign(talk, alice, bob)
    assert listed(alice, "unassigned") == []
    shared.assignments.filter(user=bob).delete()
    assert listed(alice, "unassigned") == [talk.pk]


def test_counts_end_at_a_hundred(shared: Number, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "MOST", 3)
    for place in range(5):
        arrive(shared, address=f"+6141234567{place}")
    assert filters.counts(alice)[""] == 3


def test_a_note_is_shown_to_the_team_and_never_sent(
    talk: Conversation, alice: User, bob: User, charlie: User
) -> None:
    before = Message.objects.count()
    answer = signed_in(alice).post(
        f"/inbox/{talk.pk}/notes/", {"note": "Ask @bob <b>first</b>"}, headers=HTMX
    )
    assert answer.status_code == 200
    assert Message.objects.count() == before
    shown = signed_in(bob).get(f"/inbox/{talk.pk}/").content.decode()
    assert "Ask @bob &lt;b&gt;first&lt;/b&gt;" in shown and "not sent to the contact" in shown
    assert [mention.user for mention in Mention.objects.all()] == [bob]


def test_a_mention_is_unread_until_it_is_seen(talk: Conversation, alice: User, bob: User) -> None:
    pages.mark_read(talk, bob)
    assert (pages.unread(bob), pages.conversations(bob).rows[0].mentioned) == (0, False)
    teamwork.note(talk, alice, "@Bob, please")
    assert (pages.unread(bob), pages.conversations(bob).rows[0].mentioned) == (1, True)
    assert "A note mentions you" in signed_in(bob).get("/inbox/list/").content.decode()
    assert pages.unread(alice) == 1  # the text that she has not read
    signed_in(bob).get(f"/inbox/{talk.pk}/")
    assert (pages.unread(bob), pages.conversations(bob).rows[0].mentioned) == (0, False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@Ann", ["Ann"]),
        ("@ann lee", ["Ann Lee"]),
        ("@Ann Lee and @Ann", ["Ann Lee", "Ann"]),
        ("ask ann@x.example", []),
        ("Ann", []),
        ("@Annette and @Ann, please", ["Ann"]),
        ("@Annette", []),
        ("@bo@x.example", ["Bo"]),
    ],
)
def test_who_is_mentioned(text: str, found: list[str]) -> None:
    users = [
        User(pk=place, name=name, email=f"{name.lower().replace(' ', '.')}@x.example")
        for place, name in enumerate(("Ann", "Ann Lee", "Bo"), 1)
    ]
    assert [user.name for user in teamwork.mentioned(text, users)] == found


@pytest.mark.parametrize("note", ["", "  \n", "x" * 5001])
def test_a_note_that_is_refused_is_not_stored(talk: Conversation, alice: User, note: str) -> None:
    answer = signed_in(alice).post(f"/inbox/{talk.pk}/notes/", {"note": note}, headers=HTMX)
    assert (answer.status_code, Remark.objects.count()) == (422, 0)


def test_remarks_stand_where_they_were_made(shared: Number, alice: User) -> None:
    first = arrive(shared, "one")
    talk = first.conversation
    talk.refresh_from_db()
    teamwork.note(talk, alice, "between")
    arrive(shared, "two")
    talk.refresh_from_db()
    teamwork.note(talk, alice, "at the end")
    shown = signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()
    places = [shown.rindex(word) for word in (">one<", ">between<", ">two<", ">at the end<")]
    assert places == sorted(places)


def test_remarks_are_on_the_page_of_their_messages(
    shared: Number, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MESSAGES", 2)
    for place in range(4):
        talk = arrive(shared, f"text {place}").conversation
        talk.refresh_from_db()
        teamwork.note(talk, alice, f"note {place}")
    client = signed_in(alice)
    newest = client.get(f"/inbox/{talk.pk}/thread/").content.decode()
    older = client.get(
        f"/inbox/{talk.pk}/thread/", {"before": Message.objects.order_by("pk")[2].pk}
    ).content.decode()
    assert [f"note {place}" in newest for place in range(4)] == [False, False, True, True]
    assert [f"note {place}" in older for place in range(4)] == [True, True, False, False]


def test_remarks_of_a_deleted_message_stay(talk: Conversation, alice: User) -> None:
    talk.refresh_from_db()
    teamwork.note(talk, alice, "kept")
    Message.objects.all().delete()
    assert "kept" in signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()


def test_who_writes_is_seen_by_the_others_for_a_while(talk: Conversation, alice: User, bob: User) -> None:
    assert signed_in(alice).post(f"/inbox/{talk.pk}/typing/").status_code == 204
    assert "Alice is writing…" in signed_in(bob).get(f"/inbox/{talk.pk}/team/").content.decode()
    assert "is writing" not in signed_in(alice).get(f"/inbox/{talk.pk}/team/").content.decode()
    Reading.objects.update(writing_until=timezone.now())
    assert "is writing" not in signed_in(bob).get(f"/inbox/{talk.pk}/team/").content.decode()


def test_who_has_sent_writes_no_more(talk: Conversation, alice: User, bob: User) -> None:
    client = signed_in(alice)
    client.post(f"/inbox/{talk.pk}/typing/")
    client.post(
        f"/inbox/{talk.pk}/", {"text": "Done", "uuid": "7b3c3a52-5a3e-4c39-8f1e-0c2c4f6a1b11"}, headers=HTMX
    )
    assert Reading.objects.get(user=alice).writing_until is None


def test_who_has_read_it(talk: Conversation, alice: User, bob: User) -> None:
    assert "Read by" not in signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()
    signed_in(bob).get(f"/inbox/{talk.pk}/")
    assert "Read by Bob." in signed_in(alice).get(f"/inbox/{talk.pk}/").content.decode()


def stamp(user: User, talk: Conversation) -> str:
    return pages.change_stamp(user, talk.pk)


@pytest.mark.parametrize(
    "happens",
    [
        lambda talk, alice, bob: teamwork.assign(talk, bob, alice),
        lambda talk, alice, bob: teamwork.close(talk, bob),
        lambda talk, alice, bob: teamwork.snooze(talk, bob, timezone.now() + timedelta(hours=1)),
        lambda talk, alice, bob: teamwork.note(talk, bob, "x"),
        lambda talk, alice, bob: teamwork.starts_typing(talk, bob),
        lambda talk, alice, bob: pages.mark_read(talk, bob),
        lambda talk, alice, bob: contacts.block(talk.contact, bob),
        lambda talk, alice, bob: contacts.edit(talk.contact, bob, name="J", company="", note="", tags=[]),
    ],
)
def test_the_stamp_notices_it(
    talk: Conversation, alice: User, bob: User, happens: Callable[..., Any]
) -> None:
    before = stamp(alice, talk)
    assert stamp(alice, talk) == before
    happens(talk, alice, bob)
    assert stamp(alice, talk) != before


def test_the_stamp_notices_the_end_of_a_snooze_and_of_writing(
    talk: Conversation, alice: User, bob: User
) -> None:
    teamwork.snooze(talk, bob, timezone.now() + timedelta(hours=1))
    teamwork.starts_typing(talk, bob)
    seen = {stamp(alice, talk)}
    Reading.objects.update(writing_until=timezone.now() - timedelta(seconds=1))
    seen.add(stamp(alice, talk))
    Conversation.objects.update(snoozed_until=timezone.now() - timedelta(seconds=1))
    seen.add(stamp(alice, talk))
    assert len(seen) == 3


def test_the_stamp_says_nothing_of_private_conversations(
    talk: Conversation, shared: Number, alice: User, bob: User
) -> None:
    secret = arrive(shared, address="+61412000003").conversation
    Conversation.objects.filter(pk=secret.pk).update(private_to=bob)
    before = pages.change_stamp(alice, secret.pk)
    teamwork.note(secret, bob, "secret")
    teamwork.starts_typing(secret, bob)
    teamwork.snooze(secret, bob, timezone.now() + timedelta(hours=1))
    assert pages.change_stamp(alice, secret.pk) == before


def test_stop_is_shown_and_lifted_with_a_recorded_consent(shared: Number, alice: User, bob: User) -> None:
    receive(shared, "STOP")
    talk = Conversation.objects.get()
    client = signed_in(alice)
    assert "Opted out (STOP)" in client.get(f"/inbox/{talk.pk}/").content.decode()
    refused = client.post(f"/inbox/{talk.pk}/consent/", {"how": "  "}, headers=HTMX)
    assert (refused.status_code, OptOut.objects.count()) == (422, 1)
    with pytest.raises(Refused):
        submit(alice, shared, CONTACT, text="Hi")
    before = AuditEntry.objects.count()
    answer = client.post(f"/inbox/{talk.pk}/consent/", {"how": "On the phone, to me"}, headers=HTMX)
    assert (answer.status_code, OptOut.objects.count()) == (200, 0)
    entry = AuditEntry.objects.latest("pk")
    assert (AuditEntry.objects.count(), entry.action) == (before + 1, "consent")
    assert entry.who == "Alice <alice@acme.example>"
    assert CONTACT not in entry.name and "On the phone" not in str(entry.changes)
    shown = signed_in(bob).get(f"/inbox/{talk.pk}/").content.decode()
    assert "Alice recorded that the contact wants messages again: On the phone, to me" in shown
    assert submit(alice, shared, CONTACT, text="Hi").pk


def test_who_was_not_opted_out_consents_to_nothing(talk: Conversation, alice: User) -> None:
    signed_in(alice).post(f"/inbox/{talk.pk}/consent/", {"how": "x"})
    assert (kinds(), AuditEntry.objects.filter(action="consent").count()) == ([], 0)


def test_pages_cost_the_same_for_many(shared: Number, alice: User, bob: User) -> None:
    def queries(path: str) -> int:
        client = signed_in(alice)
        client.get(path)  # what is read now is not read again
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    def fill(place: int) -> None:
        talk = arrive(shared, address=f"+614120000{place:02d}").conversation
        talk.refresh_from_db()
        teamwork.assign(talk, alice, bob)
        teamwork.note(talk, bob, "@Alice look")
        own = arrive(shared, address="+61412999999").conversation
        own.refresh_from_db()
        teamwork.note(own, bob, "@Alice look")

    fill(0)
    thread = f"/inbox/{Conversation.objects.get(contact__address='+61412999999').pk}/"
    paths = ("/inbox/list/", "/inbox/list/?show=mine", "/inbox/list/?q=look", thread, f"{thread}team/")
    few = [queries(path) for path in paths]
    for place in range(1, 12):
        fill(place)
    assert [queries(path) for path in paths] == few
