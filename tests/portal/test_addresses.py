"""Addresses change by verification or by an operator, and nobody learns which ones exist elsewhere."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.models import Account, AuditEntry, Invitation, Membership, Organization, User
from tests.conftest import PASSWORD

PAGE = "/account/email/"
INVITE = "/admin/portal/invitation/add/"
OPEN = "/admin/portal/invitation/"


@pytest.fixture(autouse=True)
def _mail(settings: Any, transactional_db: None) -> None:  # invitations are mailed after the commit
    settings.EMAIL_HOST = "mail.example"
    settings.PUBLIC_URL = "https://sms.example.com"
    settings.ALLOWED_HOSTS = ["*"]


class Broken(EmailBackend):
    """A mail server that is away."""

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError


class Away(EmailBackend):
    """A mail server to which no connection opens; it counts how often it is asked."""

    asked = 0

    def open(self) -> bool:
        Away.asked += 1
        raise ConnectionRefusedError


class AfterCommit(EmailBackend):
    """A mail server that may be slow: nothing that others wait for is open meanwhile."""

    def send_messages(self, messages: Any) -> int:
        assert not connection.in_atomic_block
        return super().send_messages(messages)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def ask(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return client.post(PAGE, {"email": email, "password": password, "action_add": "", **more})


def link() -> str:
    """The path of the link in the last mail, which begins with the public URL."""
    (path,) = re.findall(r"https://sms\.example\.com(/account/\S+)", str(mail.outbox[-1].body))
    return str(path)


def address(user: User) -> str:
    return User.objects.get(pk=user.pk).email


def enters(email: str, password: str = PASSWORD) -> bool:
    client = Client()
    client.post("/account/login/", {"login": email, "password": password})
    return bool(client.get("/account/password/change/").status_code == 200)


# --- One's own address ---


def test_an_address_changes_when_its_link_is_confirmed(alice: User) -> None:
    client = signed_in(alice)
    assert "We have sent a mail to" in ask(client, "Alice@New.example").content.decode()
    assert (address(alice), enters("alice@new.example"), mail.outbox[-1].to) == (
        "alice@acme.example",
        False,
        ["alice@new.example"],
    )
    path = link()
    assert "Use this address?" in client.get(path).content.decode()
    assert address(alice) == "alice@acme.example"
    assert client.post(path).status_code == 302
    assert address(alice) == "alice@new.example"
    assert mail.outbox[-1].to == ["alice@acme.example"]
    assert (enters("alice@new.example"), enters("alice@acme.example")) == (True, False)
    assert client.post(path).status_code == 404
    assert EmailAddress.objects.count() == 0


@pytest.mark.parametrize("action", ["action_add", "action_primary", "action_send", "action_remove"])
def test_no_address_is_taken_by_entering_it(alice: User, charlie: User, action: str) -> None:
    client = signed_in(alice)
    for email in (charlie.email, "free@new.example"):
        for _ in range(2):
            client.post(PAGE, {"email": email, action: ""})
            client.post(PAGE, {"email": email, "action_primary": ""})
    assert (address(alice), address(charlie), mail.outbox) == (
        "alice@acme.example",
        "charlie@globex.example",
        [],
    )
    assert EmailAddress.objects.count() == 0
    assert not enters("free@new.example")


def test_the_page_does_not_tell_whether_an_address_exists(alice: User, charlie: User) -> None:
    def shown(email: str) -> tuple[int, str]:
        answer = ask(signed_in(alice), email)
        return answer.status_code, re.sub(r'csrf\w+" value="\w+"', "", answer.content.decode()).replace(
            email, "…"
        )

    assert shown(charlie.email) == shown("free@new.example")
    assert [sent.to for sent in mail.outbox] == [[charlie.email], ["free@new.example"]]
    assert "/account/email/" not in str(mail.outbox[0].body)


def test_a_link_is_for_one_user_and_one_change(alice: User, bob: User, charlie: User) -> None:
    ask(signed_in(alice), "alice@new.example")
    path = link()
    assert signed_in(bob).post(path).status_code == 404
    assert "/account/login/" in Client().post(path)["Location"]
    assert signed_in(alice).post(path.removesuffix("/") + "x/").status_code == 404
    User.objects.filter(pk=charlie.pk).update(email="alice@new.example")
    assert signed_in(alice).post(path).status_code == 404
    assert (address(alice), address(bob)) == ("alice@acme.example", "bob@acme.example")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("new@acme.example", "wrong"),
        ("new@acme.example", ""),
        ("nonsense", PASSWORD),
        ("alice@acme.example", PASSWORD),
    ],
)
def test_a_change_needs_an_address_and_the_password(alice: User, email: str, password: str) -> None:
    assert ask(signed_in(alice), email, password).status_code == 422
    assert (mail.outbox, address(alice)) == ([], "alice@acme.example")


def test_links_are_sent_now_and_then(alice: User) -> None:
    client = signed_in(alice)
    found = [ask(client, f"new{number}@acme.example").status_code for number in range(6)]
    assert (found, len(mail.outbox)) == ([200] * 5 + [422], 5)


def test_the_operators_page_is_a_page(operator: User) -> None:
    client = signed_in(operator)
    assert client.get(PAGE).status_code == 200
    assert ask(client, "chief@patchbay.example").status_code == 200
    client.post(link())
    assert address(operator) == "chief@patchbay.example"


def test_where_no_mail_is_configured_none_is_promised(
    settings: Any, alice: User, admin_of_acme: User, acme: Organization
) -> None:
    settings.EMAIL_HOST = ""
    for page in (
        signed_in(alice).get(PAGE),
        ask(signed_in(alice), "alice@new.example"),
        Client().get("/account/password/reset/"),
        Client().post("/account/password/reset/", {"email": alice.email}),
    ):
        assert "sends no e-mail" in page.content.decode()
    assert (mail.outbox, address(alice)) == ([], "alice@acme.example")


def test_where_no_mail_is_configured_admins_of_the_account_pass_the_link_on(
    settings: Any, admin_of_acme: User, reseller: User, acme: Organization
) -> None:
    settings.EMAIL_HOST = ""
    assert signed_in(admin_of_acme).post(INVITE, invitation(acme)).status_code == 403
    assert "Ask an administrator of the account" in signed_in(admin_of_acme).get(OPEN).content.decode()
    assert Invitation.objects.count() == 0
    page = signed_in(reseller).post(INVITE, invitation(acme), follow=True).content.decode()
    assert "sends no e-mail. Pass this link on" in page
    (path,) = re.findall(r"https://sms\.example\.com(/account/invitation/[\w-]+/)", page)
    assert mail.outbox == []
    form = {"name": "Newt", "password": "a-long-enough-secret", "again": "a-long-enough-secret"}
    assert Client().post(path, form).status_code == 302
    assert User.objects.get(email="new@acme.example").memberships.get().organization == acme


def test_a_mail_that_was_not_sent_is_not_claimed(
    settings: Any, alice: User, admin_of_acme: User, acme: Organization
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Broken"
    for email in (alice.email, "nobody@acme.example"):
        answer = Client().post("/account/password/reset/", {"email": email})
        assert (answer.status_code, "could not be sent" in answer.content.decode()) == (503, True)
    assert "could not be sent" in ask(signed_in(alice), "alice@new.example").content.decode()
    answer = signed_in(admin_of_acme).post(INVITE, invitation(acme), follow=True)
    assert "could not be sent" in answer.content.decode()
    assert Invitation.objects.count() == 0
    entries = AuditEntry.objects.filter(kind="portal.invitation").order_by("pk")
    assert list(entries.values_list("action", flat=True)) == ["added", "deleted"]


def test_an_address_that_no_mail_can_go_to_is_as_a_mail_server_that_is_away(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email=f"alice@{'ü' * 60}.example")
    alice.refresh_from_db()
    answer = Client().post("/account/password/reset/", {"email": alice.email})
    assert (answer.status_code, "could not be sent" in answer.content.decode()) == (503, True)
    new = "another-long-enough-secret"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert signed_in(alice).post("/account/password/change/", form).status_code == 302
    assert User.objects.get(pk=alice.pk).check_password(new)
    assert mail.outbox == []


def test_an_invitation_is_mailed_after_its_commit(
    settings: Any, admin_of_acme: User, acme: Organization
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.AfterCommit"
    answer = signed_in(admin_of_acme).post(INVITE, invitation(acme), follow=True)
    assert "An invitation has been sent to new@acme.example" in answer.content.decode()
    assert [sent.recipients() for sent in mail.outbox] == [["new@acme.example"]]
    assert Client().get(link()).status_code == 200


# --- Other people's addresses ---


def invitation(
    organization: Organization | None, email: str = "new@acme.example", **more: Any
) -> dict[str, Any]:
    place = organization.pk if organization else ""
    return {"email": email, "name": "New", "organization": place, "role": "user", **more}


def test_no_name_writes_a_header_of_a_mail(admin_of_acme: User, acme: Organization) -> None:
    name = "Acme\r\nBcc: everybody@evil.example\r\n\r\nBuy!"
    Organization.objects.update(name=name)
    signed_in(admin_of_acme).post(INVITE, invitation(acme, name="New\nBcc: others@evil.example"))
    (sent,) = mail.outbox
    assert sent.recipients() == ["new@acme.example"]
    headers = sent.message().items()
    assert [value for key, value in headers if key.lower() in ("bcc", "cc")] == []
    assert not [value for _, value in headers if "\n" in value]


def test_inviting_tells_nothing_of_who_exists_elsewhere(
    admin_of_acme: User, acme: Organization, charlie: User
) -> None:
    """Neither the status, nor the text, nor the list afterwards, nor the number of queries."""
    far = Organization.objects.create(
        account=Account.objects.create(name="Elsewhere"), name="Far", domain="far.example"
    )
    dora = User.objects.create_user("dora@far.example", PASSWORD, name="Dora")
    Membership.objects.create(user=dora, organization=far)
    client = signed_in(admin_of_acme)

    def shown(email: str) -> tuple[int, int, str, str, str]:
        with CaptureQueriesContext(connection) as captured:
            answer = client.post(INVITE, invitation(acme, email))
            queries = len(captured)
        parts = [
            client.get(path).content.decode()
            for path in (OPEN, "/admin/portal/user/", f"/admin/portal/user/?q={email}")
        ]
        Invitation.objects.all().delete()
        private = r"(csrf\w+|nonce)\W+value=\W+\w+|/invitation/\d+/|value=\"\d+\""
        clean = [re.sub(private, "", part).replace(email, "…").replace(quote(email), "…") for part in parts]
        return answer.status_code, queries, *clean  # type: ignore[return-value]

    shown("first@new.example")
    free = shown("free@new.example")
    assert free[1] > 3
    assert free == shown(dora.email) == shown(charlie.email)
    assert "Dora" not in "".join(map(str, free))
    assert User.objects.filter(email="free@new.example").count() == 0
    assert dora.memberships.count() == 1


@pytest.mark.parametrize("who", ["admin_of_acme", "reseller"])
def test_only_operators_add_users_and_change_addresses(
    request: pytest.FixtureRequest, who: str, alice: User, charlie: User, acme: Organization
) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.get("/admin/portal/user/add/").status_code == 403
    page = f"/admin/portal/user/{alice.pk}/change/"
    member = alice.memberships.get()
    form = {
        "name": "Alice B",
        "time_zone": "UTC",
        "is_active": "on",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": member.pk,
        "memberships-0-user": alice.pk,
        "memberships-0-organization": acme.pk,
        "memberships-0-role": "user",
        "memberships-0-extension": "101",
        "memberships-0-status": "active",
    }
    answers = [client.post(page, {**form, "email": email}) for email in ("free@new.example", charlie.email)]
    assert [answer.status_code for answer in answers] == [302, 302]
    found = User.objects.get(pk=alice.pk)
    assert (found.name, found.email) == ("Alice B", "alice@acme.example")


def test_an_operator_changes_an_address(
    operator: User, alice: User, charlie: User, acme: Organization
) -> None:
    client, page = signed_in(operator), f"/admin/portal/user/{alice.pk}/change/"
    form = {
        "name": "Alice",
        "time_zone": "UTC",
        "is_active": "on",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    assert client.post(page, {**form, "email": charlie.email}).status_code == 200
    assert address(alice) == "alice@acme.example"
    assert client.post(page, {**form, "email": "A@Acme.example"}).status_code == 302
    assert (address(alice), enters("a@acme.example")) == ("a@acme.example", True)


def test_somebody_new_accepts_an_invitation(admin_of_acme: User, acme: Organization) -> None:
    signed_in(admin_of_acme).post(INVITE, invitation(acme, "New@Acme.example"))
    path, stranger = link(), Client()
    assert mail.outbox[-1].to == ["new@acme.example"]
    page = stranger.get(path).content.decode()
    assert ("Ada has invited" in page, "Invitation to Acme" in page) == (True, True)
    for password, again in (("short", "short"), ("a-long-enough-secret", "another"), ("", "")):
        answer = stranger.post(path, {"name": "New", "password": password, "again": again})
        assert (answer.status_code, User.objects.filter(email="new@acme.example").count()) == (422, 0)
    form = {"name": "Newt", "password": "a-long-enough-secret", "again": "a-long-enough-secret"}
    assert stranger.post(path, form)["Location"] == "/account/login/"
    made = User.objects.get(email="new@acme.example")
    member = made.memberships.get()
    assert (made.name, member.organization, member.role) == ("Newt", acme, "user")
    assert enters("new@acme.example", "a-long-enough-secret")
    assert (stranger.get(path).status_code, stranger.post(path, form).status_code) == (404, 404)


def test_a_user_accepts_an_invitation_signed_in(
    admin_of_acme: User, acme: Organization, globex: Organization, charlie: User, alice: User
) -> None:
    signed_in(admin_of_acme).post(INVITE, invitation(acme, charlie.email))
    path = link()
    assert "Sign in to accept" in Client().get(path).content.decode()
    form = {"name": "X", "password": "a-long-enough-secret", "again": "a-long-enough-secret"}
    assert Client().post(path, form).status_code == 200
    assert signed_in(alice).post(path, form).status_code == 200
    assert [member.organization for member in charlie.memberships.all()] == [globex]
    assert signed_in(charlie).post(path).status_code == 302
    assert {member.organization for member in charlie.memberships.all()} == {acme, globex}
    assert (User.objects.get(pk=charlie.pk).name, enters(charlie.email)) == ("Charlie", True)
    assert signed_in(charlie).post(path).status_code == 404


@pytest.mark.parametrize("end", ["withdrawn", "old", "blocked", "demoted", "again", "inactive"])
def test_an_invitation_ends(admin_of_acme: User, acme: Organization, charlie: User, end: str) -> None:
    client = signed_in(admin_of_acme)
    client.post(INVITE, invitation(acme, charlie.email))
    path, row = link(), Invitation.objects.get()
    if end == "withdrawn":
        assert client.post(f"{OPEN}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    elif end == "old":
        Invitation.objects.update(created_at=timezone.now() - timedelta(days=7))
    elif end == "blocked":
        User.objects.filter(pk=admin_of_acme.pk).update(is_active=False)
    elif end == "demoted":
        admin_of_acme.memberships.update(role="user")
    elif end == "again":
        client.post(INVITE, invitation(acme, charlie.email))
        assert Invitation.objects.count() == 1
    else:
        User.objects.filter(pk=charlie.pk).update(is_active=False)
    assert Client().get(path).status_code == 404
    assert (
        Client()
        .post(path, {"name": "X", "password": "a-long-enough-secret", "again": "a-long-enough-secret"})
        .status_code
        == 404
    )
    assert acme.memberships.filter(user=charlie).count() == 0


@pytest.mark.parametrize(
    ("who", "place", "role", "invited"),
    [
        ("admin_of_acme", "acme", "organization_admin", True),
        ("admin_of_acme", "acme", "account_admin", False),
        ("admin_of_acme", "globex", "user", False),
        ("admin_of_acme", None, "account_admin", False),
        ("admin_of_acme", None, "user", False),
        ("reseller", "globex", "user", True),
        ("reseller", None, "account_admin", True),
        ("reseller", None, "user", False),
        ("operator", "acme", "user", True),
    ],
)
def test_nobody_invites_beyond_their_reach(
    request: pytest.FixtureRequest, account: Account, who: str, place: str | None, role: str, invited: bool
) -> None:
    organization = request.getfixturevalue(place) if place else None
    form = invitation(organization, role=role) | ({} if organization else {"account": account.pk})
    answer = signed_in(request.getfixturevalue(who)).post(INVITE, form)
    assert answer.status_code == (302 if invited else 200)
    assert (Invitation.objects.count(), len(mail.outbox)) == ((1, 1) if invited else (0, 0))


def test_invitations_are_seen_in_reach_and_never_changed(
    admin_of_acme: User, admin_of_globex: User, alice: User, acme: Organization
) -> None:
    signed_in(admin_of_acme).post(INVITE, invitation(acme))
    row = Invitation.objects.get()
    page = f"{OPEN}{row.pk}/change/"
    assert "new@acme.example" in signed_in(admin_of_acme).get(OPEN).content.decode()
    assert row.digest not in signed_in(admin_of_acme).get(page).content.decode()
    assert signed_in(admin_of_acme).post(page, invitation(acme, "x@y.example")).status_code == 403
    assert "new@acme.example" not in signed_in(admin_of_globex).get(OPEN).content.decode()
    assert signed_in(admin_of_globex).post(f"{OPEN}{row.pk}/delete/", {"post": "yes"}).status_code == 404
    assert signed_in(alice).get(OPEN).status_code == 403
    assert Invitation.objects.get().email == "new@acme.example"


def test_who_is_there_is_not_invited_again(admin_of_acme: User, acme: Organization, alice: User) -> None:
    answer = signed_in(admin_of_acme).post(INVITE, invitation(acme, "ALICE@acme.example"))
    assert "This user has a role there already." in answer.content.decode()
    assert (Invitation.objects.count(), mail.outbox) == (0, [])


def test_the_list_of_invitations_takes_the_same_queries_for_many(
    admin_of_acme: User, acme: Organization
) -> None:
    client = signed_in(admin_of_acme)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(OPEN)
        return len(captured)

    client.post(INVITE, invitation(acme, "one@acme.example"))
    queries()
    few = queries()
    for number in range(9):
        client.post(INVITE, invitation(acme, f"more{number}@acme.example"))
    queries()  # shows what was done, once
    assert queries() == few


# --- A forgotten password ---


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "sms.example.com"])
def test_the_reset_link_leads_to_the_public_url_whatever_the_host_says(alice: User, host: str) -> None:
    answer = Client().post(
        "/account/password/reset/",
        {"email": alice.email},
        headers={"Host": host, "X-Forwarded-Host": "evil.example"},
    )
    assert answer.status_code == 302
    sent = mail.outbox[-1]
    assert ("evil" in f"{sent.subject} {sent.body} {sent.from_email}", "127.0" in str(sent.body)) == (
        False,
        False,
    )
    client = Client()
    form = client.get(link(), follow=True)
    new = "another-horse-battery"
    client.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})
    assert (enters(alice.email, new), enters(alice.email)) == (True, False)


def test_asking_for_a_password_does_not_tell_who_exists(alice: User, charlie: User) -> None:
    User.objects.filter(pk=charlie.pk).update(is_active=False)

    def shown(email: str) -> tuple[int, str]:
        answer = Client().post(
            "/account/password/reset/", {"email": email}, headers={"Host": "evil.example"}, follow=True
        )
        return answer.status_code, answer.content.decode().replace(email, "…")

    assert shown(alice.email) == shown("nobody@acme.example") == shown(charlie.email)
    assert len(mail.outbox) == 3
    assert "evil" not in "".join(f"{sent.subject}{sent.body}" for sent in mail.outbox)


def test_who_proves_the_mailbox_is_not_locked_out(alice: User) -> None:
    for number in range(120):
        Client(REMOTE_ADDR=f"203.0.113.{number}").post(
            "/account/login/", {"login": alice.email, "password": "x"}
        )
    assert not enters(alice.email)
    client, new = Client(), "another-horse-battery"
    client.post("/account/password/reset/", {"email": alice.email})
    form = client.get(link(), follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})
    assert enters(alice.email, new)


@pytest.mark.parametrize(
    "path",
    [
        "/account/confirm-email/",
        "/account/confirm-email/MQ:abc/",
        "/account/login/code/",
        "/account/login/code/confirm/",
        "/account/3rdparty/",
        "/account/signup/passkey/",
    ],
)
def test_no_page_of_allauth_is_there_that_nobody_needs(alice: User, path: str) -> None:
    assert (Client().get(path).status_code, signed_in(alice).post(path).status_code) == (404, 404)
