"""Invitations again, to many at once, and where no mail is sent."""

from __future__ import annotations

import re
from datetime import timedelta
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from messaging.models import Transfer
from messaging.transfer import drain, work
from portal import throttling
from portal.models import Account, Invitation, Membership, Organization, User
from portal.people import invitations, invite_many
from tests import mailbox
from tests.messaging.test_import import Killed, checked, imported
from tests.portal.test_addresses import Away

MANY = "/admin/portal/invitation/many/"
LIST = "/admin/portal/invitation/"
TRANSFER = "/admin/messaging/transfer/"


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def open_for(
    inviter: User, organization: Organization, email: str = "new@acme.example"
) -> tuple[Invitation, str]:
    row = Invitation(
        email=email, name="New", account=organization.account, organization=organization, inviter=inviter
    )
    return row, row.open()


def key_in(text: str) -> str:
    (found,) = re.findall(r"/account/invitation/([\w-]+)/", text)
    return str(found)


def test_an_invitation_is_sent_again_with_a_new_link(
    admin_of_acme: User, reseller: User, acme: Organization
) -> None:
    row, old = open_for(admin_of_acme, acme)
    Invitation.objects.update(created_at=timezone.now() - timedelta(days=8))
    client, page = signed_in(reseller), f"{LIST}{row.pk}/again/"
    assert "expired" in client.get(LIST).content.decode()
    assert "gets a new mail at new@acme.example" in client.get(page).content.decode()
    assert (Client().get(f"/account/invitation/{old}/").status_code, mail.outbox) == (404, [])
    client.post(page)
    (letter,) = mail.outbox
    assert Client().get(f"/account/invitation/{key_in(str(letter.body))}/").status_code == 200
    assert Client().get(f"/account/invitation/{old}/").status_code == 404
    assert Invitation.objects.get().inviter == reseller


def test_only_who_may_give_the_role_sends_again(
    reseller: User, admin_of_acme: User, admin_of_globex: User, alice: User, acme: Organization
) -> None:
    row, key = open_for(reseller, acme)
    Invitation.objects.update(role="account_admin")
    page = f"{LIST}{row.pk}/again/"
    answers = [signed_in(who).post(page).status_code for who in (admin_of_acme, admin_of_globex, alice)]
    assert (answers, Client().post(page).status_code) == ([403, 404, 403], 302)
    assert (mail.outbox, Invitation.objects.find(key)) == ([], row)


def test_without_mail_the_page_shows_the_link_and_says_so(
    settings: Any, reseller: User, acme: Organization
) -> None:
    settings.EMAIL_HOST = ""
    row, _old = open_for(reseller, acme)
    page = signed_in(reseller).post(f"{LIST}{row.pk}/again/").content.decode()
    assert ("sends no e-mail" in page, "has been sent" in page, mail.outbox) == (True, False, [])
    assert Client().get(f"/account/invitation/{key_in(page)}/").status_code == 200
    page = (
        signed_in(reseller)
        .post(MANY, {"people": "A <a@x.example>, user, , Acme", "confirm": "1"})
        .content.decode()
    )
    assert ("sends no e-mail" in page, mail.outbox) == (True, [])
    assert 'href="/admin/messaging/number/several/">Give them a number</a>' in page
    assert Client().get(f"/account/invitation/{key_in(page)}/").status_code == 200


GOOD = """Ann Lee <Ann@Acme.example>, user, 201, acme
"Ray, Bob" <bob@new.example>, Organization admin, , acme.example

Cy <cy@new.example>, account admin"""


def test_many_are_invited_after_one_confirmation(
    reseller: User, acme: Organization, globex: Organization, account: Account
) -> None:
    client = signed_in(reseller)
    page = client.post(MANY, {"people": GOOD})
    assert (page.status_code, "3 people can be invited" in page.content.decode()) == (200, True)
    assert (Invitation.objects.count(), mail.outbox) == (0, [])
    answer = client.post(MANY, {"people": GOOD, "confirm": "1"})
    assert (Invitation.objects.count(), mail.outbox) == (0, [])  # a request has no time for many mails
    assert "0 of 3 people are invited" in client.get(answer["Location"]).content.decode()
    drain.drain()
    rows = Invitation.objects.order_by("pk").values_list("email", "name", "role", "organization", "extension")
    assert list(rows) == [
        ("ann@acme.example", "Ann Lee", "user", acme.pk, "201"),
        ("bob@new.example", "Ray, Bob", "organization_admin", acme.pk, ""),
        ("cy@new.example", "Cy", "account_admin", None, ""),
    ]
    assert [letter.to for letter in mail.outbox] == [[row[0]] for row in rows]
    page = client.get(answer["Location"]).content.decode()
    assert "Finished" in page
    assert 'href="/admin/messaging/number/several/">Give them numbers</a>' in page


def test_the_one_button_of_an_invitation_says_what_it_does(reseller: User) -> None:
    page = signed_in(reseller).get(f"{LIST}add/").content.decode()
    assert re.findall(r"<button[^>]*name=.(_\w+)[^>]*>\s*(\w+)", page) == [("_save", "Invite")]


def test_many_are_not_invited_by_whoever_loses_their_rights_meanwhile(
    reseller: User, admin_of_acme: User, acme: Organization, globex: Organization, account: Account
) -> None:
    people = "A <a@x.example>, user, , Acme\nB <b@x.example>, user, , Globex"
    Membership.objects.create(user=admin_of_acme, organization=globex, role="organization_admin")
    signed_in(admin_of_acme).post(MANY, {"people": people, "confirm": "1"})
    admin_of_acme.memberships.filter(organization=globex).delete()
    signed_in(reseller).post(MANY, {"people": people, "confirm": "1"})
    reseller.memberships.all().delete()
    drain.drain()
    assert [row.email for row in Invitation.objects.all()] == ["a@x.example"]
    assert [letter.to for letter in mail.outbox] == [["a@x.example"]]
    page = signed_in(admin_of_acme).get(f"{TRANSFER}{Transfer.objects.earliest('pk').pk}/change/")
    assert "You administer no organization “Globex”." in page.content.decode()
    assert Transfer.objects.latest("pk").state == "failed"


def test_many_are_all_invited_though_the_process_ends_meanwhile(
    reseller: User, acme: Organization, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(reseller).post(MANY, {"people": GOOD, "confirm": "1"})
    send = invitations.send_over

    def dies(connection: Any, invitation: Invitation, url: str) -> None:
        if invitation.email == "bob@new.example":
            raise Killed
        send(connection, invitation, url)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(invitations, "send_over", dies)
        drain.drain()
    assert len(mail.outbox) == 1
    Transfer.objects.update(due_at=Now())
    drain.drain()
    assert [letter.to for letter in mail.outbox] == [
        ["ann@acme.example"],
        ["bob@new.example"],
        ["cy@new.example"],
    ]
    row = Transfer.objects.get()
    assert (row.state, row.done, Invitation.objects.count()) == ("finished", 3, 3)
    for letter in mail.outbox:
        assert Client().get(f"/account/invitation/{key_in(str(letter.body))}/").status_code == 200


def test_inviting_many_that_is_cancelled_invites_nobody_else(
    reseller: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 1)
    client = signed_in(reseller)
    page = client.post(MANY, {"people": GOOD, "confirm": "1"})["Location"]
    drain.drain()
    assert (
        "1 of 3 people are invited. You can invite at most 1 in an hour" in client.get(page).content.decode()
    )
    client.post(reverse("admin:messaging_transfer_do", args=[Transfer.objects.get().pk]), {"do": "cancel"})
    monkeypatch.undo()
    drain.drain()
    text = client.get(page).content.decode()
    assert "1 of 3 people are invited; the others are not." in text
    assert re.findall(r"<dt>([^<]*invited[^<]*)</dt><dd>(\d)", text) == [
        ("invited by e-mail", "1"),
        ("not invited", "2"),
    ]
    (rows,) = re.findall("<tbody>(.*)</tbody>", text, re.DOTALL)
    assert (rows.count("invited by e-mail"), rows.count("not invited")) == (1, 2)
    assert (f'href="{MANY}">Invite more people' in text, "Import another file" in text) == (True, False)
    assert (Invitation.objects.count(), len(mail.outbox)) == (1, 1)


def test_a_mail_that_is_out_when_somebody_cancels_counts(
    reseller: User, acme: Organization, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(reseller)
    page = client.post(MANY, {"people": GOOD, "confirm": "1"})["Location"]
    send = invitations.send_over

    def cancelled(connection: Any, invitation: Invitation, url: str) -> None:
        send(connection, invitation, url)
        work.cancel(Transfer.objects.get())

    monkeypatch.setattr(invitations, "send_over", cancelled)
    drain.drain()
    assert "1 of 3 people are invited; the others are not." in client.get(page).content.decode()
    assert (Invitation.objects.count(), len(mail.outbox)) == (1, 1)


def test_an_import_that_is_cancelled_before_it_invites_says_that_nobody_is_invited(
    reseller: User, acme: Organization
) -> None:
    rows = [["email", "name", "organization"], ["i@x.example", "I", "acme.example"]]
    row = checked(reseller, "users", rows)
    client, page = signed_in(reseller), f"{TRANSFER}{row.pk}/change/"
    assert "<dt>to be invited by e-mail</dt><dd>1" in client.get(page).content.decode()
    work.cancel(row)
    text = client.get(page).content.decode()
    assert ("<dt>not invited</dt><dd>1" in text, "invited by e-mail" in text) == (True, False)
    assert ("Import another file" in text, mail.outbox) == (True, [])


@pytest.mark.parametrize("again", [0, 1])
def test_a_list_that_is_pasted_twice_mails_nobody_twice(
    reseller: User, admin_of_acme: User, acme: Organization, account: Account, again: int
) -> None:
    pages = [
        signed_in(who).post(MANY, {"people": GOOD.splitlines()[0], "confirm": "1"})["Location"]
        for who in (reseller, (reseller, admin_of_acme)[again])
    ]
    drain.drain()
    (letter,) = mail.outbox
    assert Client().get(f"/account/invitation/{key_in(str(letter.body))}/").status_code == 200
    row = Transfer.objects.latest("pk")
    assert (row.state, row.counts) == ("finished", {"same": 1})
    page = signed_in(row.author).get(pages[1]).content.decode()
    assert "has this invitation already" in page
    assert throttling.count(f"invitations:{row.author_id}", 2 - again, throttling.HOUR) is None


@pytest.mark.parametrize("change", ["expired", "role", "extension", "powerless"])
def test_who_has_no_equal_invitation_is_invited_again(
    reseller: User, admin_of_acme: User, acme: Organization, change: str
) -> None:
    row, old = open_for(admin_of_acme, acme)
    rows = Invitation.objects.filter(pk=row.pk)
    if change == "expired":
        rows.update(created_at=timezone.now() - timedelta(days=8))
    elif change == "powerless":
        admin_of_acme.memberships.all().delete()
    else:
        rows.update(**{change: {"role": "organization_admin", "extension": "7"}[change]})
    signed_in(reseller).post(MANY, {"people": "New <new@acme.example>, user, , Acme", "confirm": "1"})
    drain.drain()
    (letter,) = mail.outbox
    assert Client().get(f"/account/invitation/{key_in(str(letter.body))}/").status_code == 200
    assert Client().get(f"/account/invitation/{old}/").status_code == 404


def test_one_click_invites_once(reseller: User, acme: Organization) -> None:
    page = signed_in(reseller).post(MANY, {"people": "A <a@x.example>, user, , Acme"}).content.decode()
    assert '<button class="pb-button pb-primary" data-busy="Inviting…">' in page
    assert "portal/admin" in page
    # A browser does not send the name of a button that is disabled by then.
    assert '<input type="hidden" name="confirm" value="1">' in page


def _by_hand(client: Client, acme: Organization) -> None:
    client.post(f"{LIST}add/", {"email": "h@x.example", "name": "H", "organization": acme.pk, "role": "user"})


def _pasted(client: Client, acme: Organization) -> None:
    client.post(MANY, {"people": "P <p@x.example>, user, , Acme", "confirm": "1"})


def _imported(client: Client, acme: Organization) -> None:
    author = User.objects.get(pk=client.session["_auth_user_id"])
    imported(author, "users", [["email", "name", "organization"], ["i@x.example", "I", "acme.example"]])


@pytest.mark.parametrize("first", [_by_hand, _pasted, _imported])
@pytest.mark.parametrize("second", [_by_hand, _pasted, _imported])
def test_all_ways_to_invite_count_together(
    reseller: User, acme: Organization, monkeypatch: pytest.MonkeyPatch, first: Any, second: Any
) -> None:
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 1)
    client = signed_in(reseller)
    first(client, acme)
    drain.drain()
    assert Invitation.objects.count() == 1
    Invitation.objects.all().delete()
    mail.outbox.clear()
    second(client, acme)
    drain.drain()
    assert (Invitation.objects.count(), mail.outbox) == (0, [])


def test_too_many_links_in_an_hour_open_and_count_none(
    settings: Any, reseller: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_HOST = ""
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 3)
    client = signed_in(reseller)
    _by_hand(client, acme)
    assert "at most 3 people in an hour" in client.post(MANY, {"people": GOOD}).content.decode()
    answer = client.post(MANY, {"people": GOOD, "confirm": "1"})
    said = "You can invite at most 3 people in an hour, by hand and in lists together. Go on in"
    assert (answer.status_code, said in answer.content.decode()) == (422, True)
    assert Invitation.objects.count() == 1
    client.post(MANY, {"people": "\n".join(GOOD.splitlines()[:2]), "confirm": "1"})
    assert Invitation.objects.count() == 3


def test_one_of_several_accounts_is_named(operator: User, account: Account) -> None:
    other = Account.objects.create(name="Northern Voice")
    text = "Ann <ann@x.example>, account admin, , Northern Voice\nBob <bob@x.example>, account admin"
    good, bad = invite_many.read(text, operator)
    assert good.invitation is not None and good.invitation.account == other
    assert bad.problem == "Say the organization."
    Account.objects.create(name="Northern Voice")
    assert "You administer no organization" in invite_many.read(text, operator)[0].problem


@pytest.mark.parametrize(
    "text",
    [
        "Ann\tann@x.example\tuser\t201\tAcme\nBob\tbob@x.example\tuser\t\tAcme",
        "Ann;ann@x.example;user;201;Acme\r\nBob <bob@x.example>;user;;Acme",
        "Ann, ann@x.example, user, 201, Acme\nBob, <bob@x.example>, USER, , acme",
    ],
)
def test_a_table_is_a_list(reseller: User, acme: Organization, text: str) -> None:
    lines = invite_many.read(text, reseller)
    assert [line.problem for line in lines] == ["", ""]
    made = [line.invitation for line in lines if line.invitation]
    assert [(row.name, row.email, row.extension) for row in made] == [
        ("Ann", "ann@x.example", "201"),
        ("Bob", "bob@x.example", ""),
    ]


def test_typed_lines_and_lines_of_tables_stand_together(reseller: User, acme: Organization) -> None:
    typed = "Ann <ann@x.example>, user, 201, Acme\nBob <bob@x.example>; user; ; Acme"
    lines = invite_many.read(f"{typed}\nCay\tcay@x.example\tuser\t\tAcme", reseller)
    assert [line.problem for line in lines] == ["", "", ""]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Nobody, user, , Acme", "Begin the line with a name and an address"),
        ("<a@x.example>, user, , Acme", "The name is missing."),
        ("A <nonsense>, user, , Acme", "“nonsense” is not an email address."),
        ("A <a@x.example>, , , Acme", "Say the role: account admin, organization admin, user."),
        ("A <a@x.example>, boss, , Acme", "Say the role"),
        ("A <a@x.example>, user, 1x, Acme", "An extension consists of digits, * and #."),
        ("A <a@x.example>, user, 101, Acme", "Another user of the organization has this extension."),
        ("A <a@x.example>, user, , Initech", "You administer no organization “Initech”."),
        ("A <a@x.example>, user", "Say the organization."),
        ("A <alice@acme.example>, user, , Acme", "This user has a role there already."),
        ("A <a@x.example>, user, , Acme, more", "The line has too many parts."),
        ("Z <z@x.example>, user, , Acme", "An earlier line has this person or extension already."),
        ("A <a@x.example>, user, 777, Acme", "An earlier line has this person or extension already."),
        ('"A <a@x.example>, user', "Begin the line with a name and an address"),
    ],
)
def test_each_problem_is_said_and_the_others_are_invited(
    reseller: User, alice: User, globex: Organization, line: str, problem: str
) -> None:
    alice.memberships.update(extension="101")
    first = "Z <z@x.example>, user, 777, Acme"
    page = signed_in(reseller).post(MANY, {"people": f"{first}\n{line}"})
    assert (page.status_code, problem in page.content.decode()) == (422, True), page.content.decode()
    signed_in(reseller).post(MANY, {"people": f"{first}\n{line}", "confirm": "1"})
    drain.drain()
    assert [row.email for row in Invitation.objects.all()] == ["z@x.example"]


def test_an_admin_of_an_organization_invites_to_it_alone(
    admin_of_acme: User, acme: Organization, globex: Organization, alice: User
) -> None:
    text = "A <a@x.example>, user\nB <b@x.example>, user, , Globex\nC <c@x.example>, account admin"
    lines = invite_many.read(text, admin_of_acme)
    assert [line.problem for line in lines] == [
        "",
        "You administer no organization “Globex”.",
        "You cannot give this role.",
    ]
    assert signed_in(alice).post(MANY, {"people": text, "confirm": "1"}).status_code == 403
    assert Invitation.objects.count() == 0


def test_two_hundred_at_once_and_as_many_queries_as_for_one(reseller: User, acme: Organization) -> None:
    def queries(number: int) -> int:
        text = "\n".join(f"P{n} <p{n}@x.example>, user, {n + 1000}, Acme" for n in range(number))
        with CaptureQueriesContext(connection) as captured:
            assert not any(line.problem for line in invite_many.read(text, User.objects.get(pk=reseller.pk)))
        return len(captured)

    assert queries(1) == queries(200)
    page = signed_in(reseller).post(MANY, {"people": "x\n" * 201, "confirm": "1"})
    assert "These are 201 lines. Invite at most 200 people at once." in page.content.decode()


@pytest.mark.django_db
def test_of_many_organizations_only_those_that_the_lines_name_are_read(
    operator: User, account: Account
) -> None:
    for number in range(50):
        Organization.objects.create(account=account, name=f"Ärzte {number}", domain=f"a{number}.example")
    text = "A <a@x.example>, user, , ÄRZTE 7\nB <b@x.example>, user, , ärzte 8\nC <c@x.example>, user, , A9.Example"
    read = []
    from_db = Organization.from_db.__func__  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Organization, "from_db", classmethod(lambda cls, *row: read.append(row) or from_db(cls, *row))
        )
        lines = invite_many.read(text, operator)
    assert [str(line.invitation and line.invitation.organization) for line in lines] == [
        "Ärzte 7",
        "Ärzte 8",
        "Ärzte 9",
    ]
    assert len(read) == 5  # and two, which say whether there is only one


def test_a_mail_server_that_is_away_is_asked_once_and_again_later(
    settings: Any, reseller: User, acme: Organization, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 3)
    settings.EMAIL_BACKEND, works = "tests.portal.test_addresses.Away", settings.EMAIL_BACKEND
    client = signed_in(reseller)
    page = client.post(MANY, {"people": GOOD, "confirm": "1"})["Location"]
    Away.asked = 0
    drain.drain()
    row = Transfer.objects.get()
    assert (Away.asked, row.state, Invitation.objects.count()) == (1, "inviting", 0)
    assert row.due_at is not None
    assert timedelta(minutes=4) < row.due_at - timezone.now() <= timedelta(minutes=5)
    text = client.get(page).content.decode()
    assert "The mail server does not answer" in text and "0 of 3 people are invited" in text
    settings.EMAIL_BACKEND = works
    Transfer.objects.update(due_at=Now())
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.problem, row.counts, len(mail.outbox)) == ("finished", "", {"invited": 3}, 3)


def test_a_mail_server_that_breaks_off_gets_the_others_later_by_one_connection(
    settings: Any, reseller: User, acme: Organization, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 3)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    opened = []
    open_one = EmailBackend.open
    monkeypatch.setattr(EmailBackend, "open", lambda self: opened.append(open_one(self)) or opened[-1])
    client = signed_in(reseller)
    page = client.post(MANY, {"people": GOOD, "confirm": "1"})["Location"]
    with mailbox.running() as letters:
        settings.EMAIL_HOST, settings.EMAIL_PORT, letters.most = "127.0.0.1", letters.port, 1
        drain.drain()
        row = Transfer.objects.get()
        assert (row.state, row.counts, opened.count(True)) == ("inviting", {"invited": 3, "mailed": 1}, 1)
        assert [row.email for row in Invitation.objects.all()] == ["ann@acme.example"]
        work.cancel(row)
        assert "does not answer" not in client.get(page).content.decode()
        letters.most = None
        Transfer.objects.update(state="inviting", due_at=Now())
        drain.drain()
        row.refresh_from_db()
        assert (row.state, row.counts, opened.count(True)) == ("finished", {"invited": 3}, 2)
        sent = [(letter["To"], str(letter.get_payload())) for letter in letters.letters]
    assert [to for to, _text in sent] == ["ann@acme.example", "bob@new.example", "cy@new.example"]
    for _to, text in sent:
        assert Client().get(f"/account/invitation/{key_in(text)}/").status_code == 200


@pytest.mark.parametrize(("code", "tries"), [(550, 1), (450, 2)])
def test_an_address_that_is_refused_keeps_nobody_else_waiting(
    settings: Any,
    reseller: User,
    acme: Organization,
    account: Account,
    monkeypatch: Any,
    code: int,
    tries: int,
) -> None:
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 2)
    send = invitations.send_over

    def refuses(connection: Any, invitation: Invitation, url: str) -> None:
        if invitation.email == "bob@new.example":
            raise SMTPRecipientsRefused({invitation.email: (code, b"no")})
        send(connection, invitation, url)

    monkeypatch.setattr(invitations, "send_over", refuses)
    client = signed_in(reseller)
    page = client.post(MANY, {"people": GOOD, "confirm": "1"})["Location"]
    for _tried in range(tries):
        assert Transfer.objects.get().state == "inviting"
        Transfer.objects.update(due_at=Now())
        drain.drain()
    row = Transfer.objects.get()
    assert (row.state, row.counts) == ("finished", {"invited": 2, "wrong": 1})
    assert [letter.to for letter in mail.outbox] == [["ann@acme.example"], ["cy@new.example"]]
    assert Invitation.objects.count() == 2
    text = client.get(page).content.decode()
    assert text.count("could not be mailed to this address. Check it") == 1


def test_who_presses_twice_invites_everybody_once(reseller: User, acme: Organization) -> None:
    client = signed_in(reseller)
    for _press in range(2):
        assert client.post(MANY, {"people": GOOD, "confirm": "1"}).status_code == 302
    drain.drain()
    assert (len(mail.outbox), Invitation.objects.count()) == (3, 3)
    for letter in mail.outbox:
        assert Invitation.objects.find(key_in(str(letter.body))) is not None


def test_the_extension_of_an_invitation_is_the_members(
    admin_of_acme: User, acme: Organization, alice: User
) -> None:
    for extension, left in (("300", "300"), ("300", "")):
        email = f"n{left}@x.example"
        row = Invitation(
            email=email,
            name="N",
            account=acme.account,
            organization=acme,
            inviter=admin_of_acme,
            extension=extension,
        )
        row.open()
        row.accept(User.objects.create_user(email, None, name="N"))
        assert Membership.objects.get(user__email=email).extension == left


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("organization=ACME", ["Alice", "Ada"]),
        ("organization=GLOBEX", []),
        ("role=organization_admin", ["Ada"]),
        ("role=user", ["Alice"]),
        ("state=active", ["Ada", "Alice"]),
        ("state=deactivated", []),
        ("state=blocked", []),
        ("state=new", ["Ada", "Alice"]),
    ],
)
def test_users_are_filtered_and_nothing_is_told_of_elsewhere(
    admin_of_acme: User, alice: User, acme: Organization, globex: Organization, query: str, found: list[str]
) -> None:
    Membership.objects.create(user=alice, organization=globex, role="organization_admin", status="blocked")
    query = query.replace("ACME", str(acme.pk)).replace("GLOBEX", str(globex.pk))
    client = signed_in(admin_of_acme)
    User.objects.update(last_login=None)
    listed = client.get(f"/admin/portal/user/?{query}").context["cl"].queryset
    assert sorted(str(user) for user in listed) == sorted(found)


@pytest.mark.parametrize(
    ("query", "number"),
    [("state=open", 1), ("state=expired", 1), ("role=user", 2), ("role=account_admin", 0)],
)
def test_invitations_are_filtered(admin_of_acme: User, acme: Organization, query: str, number: int) -> None:
    open_for(admin_of_acme, acme, "a@x.example")
    Invitation.objects.update(created_at=timezone.now() - timedelta(days=8))
    open_for(admin_of_acme, acme, "b@x.example")
    found = signed_in(admin_of_acme).get(f"{LIST}?organization={acme.pk}&{query}").context["cl"].queryset
    assert found.count() == number


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 140_000, "A line is too long."),
        ("Ann <a@x.example>, user, " + "1" * 25, "at most 20 characters"),
        (f"Ann <{'a' * 300}@x.example>, user", "is not an email address"),
        ("Ann <a@x.example>, user" + "".join(f",{number}" for number in range(300_000)), "too many parts"),
        ("x," * 60_000, "Begin the line with a name and an address"),
    ],
)
def test_odd_lists_are_refused(admin_of_acme: User, text: str, said: str) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    answer = client.post(MANY, {"people": text, "confirm": "1"})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Invitation.objects.exists()


@pytest.mark.django_db
def test_an_address_that_no_mail_can_go_to_is_said_so(admin_of_acme: User) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    line = f"Ann\0 Lee <ann@{'ü' * 62}.example>, user"
    page = client.post(MANY, {"people": line, "confirm": "1"})["Location"]
    drain.drain()
    assert "could not be mailed" in client.get(page).content.decode()
    assert not Invitation.objects.exists()


@pytest.mark.django_db
def test_a_mail_server_whose_name_no_domain_can_have_is_said_so(admin_of_acme: User, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "ü" * 60 + ".example"
    client = Client()
    client.force_login(admin_of_acme)
    page = client.post(MANY, {"people": "Ann Lee <ann@acme.example>, user", "confirm": "1"})["Location"]
    drain.drain()
    assert "The mail server does not answer" in client.get(page).content.decode()
    assert not Invitation.objects.exists()
