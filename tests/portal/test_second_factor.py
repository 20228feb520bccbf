"""A second factor that is required: of whom, what is closed until there is one, and how a lost one is removed."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from messaging.models import Message, Number
from portal.checks import second_factor
from portal.models import Account, AuditEntry, Membership, Organization, PersonalToken, User
from tests.conftest import PASSWORD, person

FIRST = "/account/second-factor/"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def is_led(client: Client, path: str = "/inbox/") -> bool:
    """Whether the page leads to the one that sets up a second factor, and nowhere else."""
    answer = client.get(path)
    return bool(answer.status_code == 302 and answer["Location"] == FIRST)


def require(account: Account, whom: str) -> None:
    Account.objects.filter(pk=account.pk).update(second_factor=whom)


def set_up(client: Client) -> Any:
    """Sets up an authenticator app as somebody does who is led there; returns the last answer."""
    page = client.get("/account/2fa/totp/activate/", follow=True)
    if page.redirect_chain:
        page = client.post(page.redirect_chain[-1][0], {"password": PASSWORD}, follow=True)
    secret = page.context["form"].secret
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    return client.post("/account/2fa/totp/activate/", {"code": code}, follow=True)


@pytest.mark.parametrize(
    ("by_account", "by_installation", "led"),
    [
        ("nobody", "nobody", set()),
        ("admins", "nobody", {"reseller", "admin_of_acme"}),
        ("everybody", "nobody", {"reseller", "admin_of_acme", "alice"}),
        ("nobody", "admins", {"reseller", "admin_of_acme", "operator"}),
        ("everybody", "admins", {"reseller", "admin_of_acme", "alice", "operator"}),
        ("nobody", "everybody", {"reseller", "admin_of_acme", "alice", "operator"}),
    ],
)
def test_the_stricter_of_account_and_installation_counts(
    request: pytest.FixtureRequest,
    account: Account,
    settings: Any,
    by_account: str,
    by_installation: str,
    led: set[str],
) -> None:
    settings.SECOND_FACTOR = by_installation
    require(account, by_account)
    people = ["operator", "reseller", "admin_of_acme", "alice"]
    assert {who for who in people if is_led(signed_in(request.getfixturevalue(who)))} == led


def test_the_strictest_of_several_accounts_counts(account: Account, alice: User) -> None:
    other = Account.objects.create(name="Other", second_factor="everybody")
    theirs = Organization.objects.create(account=other, name="Theirs", domain="theirs.example")
    member = Membership.objects.create(user=alice, organization=theirs)
    client = signed_in(alice)
    assert is_led(client)
    assert "Other requires it of you" in client.get(FIRST).content.decode()
    Membership.objects.filter(pk=member.pk).update(status="blocked")
    assert not is_led(client)


@pytest.mark.parametrize(
    "path",
    ["/", "/inbox/", "/inbox/new/", "/admin/", "/admin/portal/user/", "/account/tokens/", "/account/email/",
     "/account/alerts/", "/account/sessions/", "/account/2fa/", "/account/password/change/", "/account/login/",
     "/admin/login/", "/account/2fa/recovery-codes/", "/account/invitation/x/"],
)  # fmt: skip
def test_until_then_every_page_leads_there(reseller: User, account: Account, path: str) -> None:
    require(account, "admins")
    assert is_led(signed_in(reseller), path)


def test_until_then_no_form_does_anything(private: Number, alice: User, account: Account) -> None:
    require(account, "everybody")
    client = signed_in(alice)
    answer = client.post("/inbox/new/", {"number": private.pk, "to": "+61412345678", "text": "Hello"})
    assert (answer.status_code, answer["Location"]) == (302, FIRST)
    assert client.post("/account/tokens/", {"name": "mine"}).status_code == 302
    assert (Message.objects.count(), PersonalToken.objects.count()) == (0, 0)


@pytest.mark.parametrize("path", ["/inbox/changes/", "/inbox/list/", "/inbox/news/"])
def test_open_pages_are_led_there_too(alice: User, account: Account, path: str) -> None:
    client = signed_in(alice)
    assert client.get(path, headers={"HX-Request": "true"}).status_code in (200, 204)
    require(account, "everybody")
    answer = client.get(path, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (401, FIRST)
    assert answer.content == b"Set up a second factor first.\n"


def test_programs_go_on(alice: User, account: Account) -> None:
    token = PersonalToken.objects.issue(alice, "program")
    require(account, "everybody")
    answer = Client().get("/api/v1/messages", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_who_has_set_one_up_goes_on_where_they_were(alice: User, account: Account) -> None:
    require(account, "everybody")
    client = Client()
    client.post("/account/login/?next=/inbox/new/", {"login": alice.email, "password": PASSWORD})
    assert is_led(client, "/inbox/new/?to=1")
    page = client.get(FIRST).content.decode()
    assert "Southern Voice requires it of you" in page
    assert 'href="/account/2fa/webauthn/add/"' in page and 'href="/account/2fa/totp/activate/"' in page
    assert 'action="/account/logout/"' in page and 'href="/inbox/"' not in page
    codes = set_up(client)
    assert codes.redirect_chain[-1][0] == "/account/2fa/recovery-codes/"
    assert f'href="{FIRST}"' in codes.content.decode()
    assert client.get(FIRST)["Location"] == "/inbox/new/?to=1"
    assert client.get(FIRST)["Location"] == "/"
    assert not is_led(client)
    assert f'href="{FIRST}"' not in client.get("/account/2fa/recovery-codes/").content.decode()


def test_signing_out_works(alice: User, reseller: User, account: Account) -> None:
    require(account, "everybody")
    for user, path in ((alice, "/account/logout/"), (reseller, "/admin/logout/")):
        client = signed_in(user)
        assert client.post(path).status_code in (200, 302)
        assert client.get("/inbox/")["Location"] == "/account/login/?next=/inbox/"


def test_a_passkey_is_one_and_recovery_codes_alone_are_none(alice: User, account: Account) -> None:
    require(account, "everybody")
    RecoveryCodes.activate(alice)
    client = signed_in(alice)
    assert is_led(client)
    Authenticator.objects.create(user=alice, type="webauthn", data={"name": "Phone"})
    assert not is_led(client)


def test_who_has_no_password_is_in_no_dead_end(acme: Organization, account: Account) -> None:
    """As people are whom an identity provider signs in."""
    require(account, "everybody")
    user = User.objects.create_user("sso@acme.example", None, name="Sam")
    Membership.objects.create(user=user, organization=acme)
    client = signed_in(user)
    assert is_led(client)
    set_up(client)
    assert not is_led(client)


def test_who_removes_it_is_led_back(alice: User, account: Account) -> None:
    require(account, "everybody")
    client = signed_in(alice)
    set_up(client)
    assert client.get("/inbox/").status_code == 200
    client.post("/account/2fa/totp/deactivate/")
    assert is_led(client)


def test_what_it_costs(alice: User, account: Account, settings: Any) -> None:
    client = signed_in(alice)

    def queries() -> int:
        client.get("/inbox/changes/")
        with CaptureQueriesContext(connection) as captured:
            client.get("/inbox/changes/")
        return len(captured)

    before = queries()
    require(account, "everybody")
    TOTP.activate(alice, SECRET)
    assert queries() == before + 1
    settings.SECOND_FACTOR = "everybody"
    assert queries() <= before + 1


# --- The setting of an account ---


def edit(client: Client, account: Account, **fields: Any) -> Any:
    return client.post(f"/admin/portal/account/{account.pk}/change/", fields)


def test_an_account_admin_sets_it_and_nothing_else(reseller: User, account: Account) -> None:
    client = signed_in(reseller)
    last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    assert (
        edit(client, account, second_factor="admins", name="Taken over", message_days="1").status_code == 302
    )
    account.refresh_from_db()
    assert (account.second_factor, account.name, account.message_days) == ("admins", "Southern Voice", None)
    entry = AuditEntry.objects.get(pk__gt=last)
    assert (entry.action, entry.account, entry.changes) == (
        "changed",
        account,
        {"second factor required of": ["nobody", "admins"]},
    )
    assert is_led(client, "/admin/")


@pytest.mark.parametrize("who", ["admin_of_acme", "alice"])
def test_others_do_not(request: pytest.FixtureRequest, account: Account, who: str) -> None:
    answer = edit(signed_in(request.getfixturevalue(who)), account, second_factor="everybody")
    account.refresh_from_db()
    assert (answer.status_code in (403, 404), account.second_factor) == (True, "nobody")


def test_nor_the_admin_of_another_account(account: Account) -> None:
    other = Account.objects.create(name="Other")
    stranger = person("Sid", None, account=other, role="account_admin")
    assert edit(signed_in(stranger), account, second_factor="everybody").status_code == 404
    assert edit(signed_in(stranger), other, second_factor="sometimes").status_code == 200
    assert set(Account.objects.values_list("second_factor", flat=True)) == {"nobody"}


@pytest.mark.parametrize(
    ("value", "found"), [("admins", []), ("all", ["portal.E009"]), ("", ["portal.E009"])]
)
def test_another_word_is_reported(settings: Any, value: str, found: list[str]) -> None:
    settings.SECOND_FACTOR = value
    assert [each.id for each in second_factor(None)] == found


# --- The list of people, and lost ones ---


def test_the_list_shows_who_has_one(reseller: User, alice: User, bob: User) -> None:
    TOTP.activate(alice, SECRET)
    RecoveryCodes.activate(bob)
    client = signed_in(reseller)

    def listed(query: str) -> set[str]:
        rows = client.get(f"/admin/portal/user/{query}").context["cl"].result_list
        return {user.name for user in rows}

    assert listed("") == {"Alice", "Bob", "Rosa"}
    assert listed("?second_factor=yes") == {"Alice"}
    assert listed("?second_factor=no") == {"Bob", "Rosa"}
    assert listed("?second_factor=x") == {"Alice", "Bob", "Rosa"}


def lost(user: User) -> str:
    return f"/admin/portal/user/{user.pk}/second-factor/"


@pytest.mark.parametrize("who", ["operator", "reseller", "admin_of_acme"])
def test_an_admin_removes_a_lost_one(
    request: pytest.FixtureRequest, alice: User, settings: Any, who: str
) -> None:
    settings.EMAIL_HOST = "mail.example"
    TOTP.activate(alice, SECRET)
    RecoveryCodes.activate(alice)
    theirs, client = signed_in(alice), signed_in(request.getfixturevalue(who))
    assert lost(alice) in client.get(f"/admin/portal/user/{alice.pk}/change/").content.decode()
    assert "What happens" in client.get(lost(alice)).content.decode()
    assert Authenticator.objects.count() == 2
    last = AuditEntry.objects.latest("pk").pk
    assert client.post(lost(alice)).status_code == 302
    assert Authenticator.objects.count() == 0
    assert theirs.get("/inbox/").status_code == 302
    entries = AuditEntry.objects.filter(pk__gt=last)
    assert {(entry.action, entry.actor, entry.object_id) for entry in entries} == {
        ("second_factor", request.getfixturevalue(who), str(alice.pk))
    }
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == ([alice.email], "Your second factor was removed")
    again = Client()
    again.post("/account/login/", {"login": alice.email, "password": PASSWORD})
    assert again.get("/inbox/").status_code == 200
    assert client.post(lost(alice)).status_code == 403  # none is left


@pytest.mark.parametrize(("who", "status"), [("admin_of_globex", 404), ("bob", 403), ("alice", 403)])
def test_others_remove_none(request: pytest.FixtureRequest, alice: User, who: str, status: int) -> None:
    TOTP.activate(alice, SECRET)
    client = signed_in(request.getfixturevalue(who))
    assert {client.get(lost(alice)).status_code, client.post(lost(alice)).status_code} == {status}
    assert (Authenticator.objects.count(), mail.outbox) == (1, [])


def test_nobody_removes_their_own_or_that_of_somebody_above(admin_of_acme: User, reseller: User) -> None:
    Membership.objects.create(user=reseller, organization=admin_of_acme.memberships.get().organization)
    for user in (admin_of_acme, reseller):
        TOTP.activate(user, SECRET)
    client = signed_in(admin_of_acme)
    assert [client.post(lost(user)).status_code for user in (admin_of_acme, reseller)] == [403, 403]
    assert Authenticator.objects.count() == 2


def test_an_operator_without_a_second_operator_has_a_command(operator: User) -> None:
    TOTP.activate(operator, SECRET)
    with pytest.raises(CommandError, match="No user has the address"):
        call_command("remove_second_factor", "nobody@x.example")
    call_command("remove_second_factor", operator.email.upper())
    assert Authenticator.objects.count() == 0
    with pytest.raises(CommandError, match="has no second factor"):
        call_command("remove_second_factor", operator.email)
    assert AuditEntry.objects.latest("pk").who == "command line"
