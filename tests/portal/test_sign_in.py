"""Signing in: who is locked out by wrong tries, where it leads, and what ends a session."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.test import Client

from portal.models import PersonalToken, User
from tests.conftest import PASSWORD

SIGN_IN = "/account/login/"
ATTACKER, VICTIM, OFFICE = "203.0.113.66", "198.51.100.7", "198.51.100.8"
MOMENT = "2026-11-24 09:00:10+00:00"


@pytest.fixture(autouse=True)
def _behind_a_proxy(settings: Any, db: None) -> None:
    settings.TRUSTED_PROXIES = 1


def sign_in(email: str, password: str = PASSWORD, address: str = VICTIM, **more: str) -> Client:
    """A browser behind the proxy that has tried to sign in."""
    client = Client(REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": f"192.0.2.1, {address}"})
    client.post(SIGN_IN, {"login": email, "password": password, **more})
    return client


def is_in(client: Client) -> bool:
    return bool(client.get("/inbox/").status_code == 200)


def test_forty_wrong_tries_lock_out_the_attacker_alone(alice: User, bob: User) -> None:
    with time_machine.travel(MOMENT, tick=False) as clock:
        for number in range(40):
            sign_in(f"user{number % 3}@acme.example", "wrong", ATTACKER)
            clock.shift(3)
        assert not is_in(sign_in(bob.email, address=ATTACKER))
        assert is_in(sign_in(bob.email))
        assert is_in(sign_in(alice.email, address=OFFICE))
        clock.shift(600)
        assert is_in(sign_in(bob.email, address=ATTACKER))


def test_wrong_tries_on_one_account_lock_out_their_address_alone(alice: User, bob: User) -> None:
    with time_machine.travel(MOMENT, tick=False) as clock:
        tries = [sign_in(alice.email, "wrong", ATTACKER) for _ in range(6)]
        page = tries[-1].post(SIGN_IN, {"login": alice.email, "password": PASSWORD}).content.decode()
        assert "Too many wrong tries. Please try again in 5 minutes." in page
        assert not is_in(tries[-1])
        assert is_in(sign_in(bob.email, address=ATTACKER))
        assert is_in(sign_in(alice.email))
        clock.shift(300)
        assert is_in(sign_in(alice.email, address=ATTACKER))


def test_tries_from_everywhere_lock_an_account_except_where_its_user_is_known(alice: User, bob: User) -> None:
    with time_machine.travel(MOMENT, tick=False) as clock:
        assert is_in(sign_in(alice.email, address=OFFICE))
        for number in range(120):
            sign_in(alice.email, "wrong", f"203.0.113.{number}")
        assert not is_in(sign_in(alice.email, address=VICTIM))
        assert is_in(sign_in(alice.email, address=OFFICE))
        assert is_in(sign_in(bob.email, address=VICTIM))
        clock.shift(3600)
        assert is_in(sign_in(alice.email, address=VICTIM))


def test_a_new_forged_header_is_no_new_address(alice: User) -> None:
    for number in range(6):
        client = Client(headers={"X-Forwarded-For": f"192.0.2.{number}, {ATTACKER}"})
        client.post(SIGN_IN, {"login": alice.email, "password": "wrong"})
    assert not is_in(sign_in(alice.email, address=ATTACKER))


def test_without_a_proxy_the_header_counts_for_nothing(settings: Any, alice: User) -> None:
    settings.TRUSTED_PROXIES = 0
    for number in range(6):
        client = Client(REMOTE_ADDR=ATTACKER, headers={"X-Forwarded-For": f"192.0.2.{number}"})
        client.post(SIGN_IN, {"login": alice.email, "password": "wrong"})
    client.post(SIGN_IN, {"login": alice.email, "password": PASSWORD})
    assert not is_in(client)


def test_right_tries_are_not_counted(alice: User) -> None:
    with time_machine.travel(MOMENT, tick=False):
        assert [is_in(sign_in(alice.email)) for _ in range(12)] == [True] * 12


def test_the_page_of_too_many_requests_is_ours(alice: User) -> None:
    client = Client()
    answers = [client.post(SIGN_IN, {"login": alice.email, "password": "wrong"}) for _ in range(31)]
    assert answers[-1].status_code == 429
    assert "Wait a few minutes" in answers[-1].content.decode()


def test_djangos_signals_are_sent(alice: User) -> None:
    heard: list[str] = []

    def entered(user: User, **_: Any) -> None:
        heard.append(f"in {user.email}")

    def failed(credentials: dict[str, Any], **_: Any) -> None:
        heard.append(f"failed {credentials['email']} {credentials['password']}")

    user_logged_in.connect(entered)
    user_login_failed.connect(failed)
    try:
        sign_in(alice.email, "wrong")
        sign_in(alice.email)
    finally:
        user_logged_in.disconnect(entered)
        user_login_failed.disconnect(failed)
    assert heard == [f"failed {alice.email} ********************", f"in {alice.email}"]


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("/inbox/new/", "/inbox/new/"),
        ("http://localhost:8000/inbox/", "http://localhost:8000/inbox/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("http:///evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("http://127.0.0.1/", "/"),  # allowed as a host of requests, but another site
        ("http://localhost:9999/", "/"),
        ("\x01//evil.example", "/"),
    ],
)
def test_a_sign_in_leads_nowhere_else(alice: User, target: str, leads_to: str) -> None:
    client = Client()
    form = {"login": alice.email, "password": PASSWORD, "next": target}
    assert client.post(SIGN_IN, form)["Location"] == leads_to
    assert client.post("/account/logout/", {"next": "https://evil.example/"})["Location"] == "/"


def test_a_session_that_was_there_before_is_not_taken_over(alice: User) -> None:
    client = Client()
    client.get(SIGN_IN)
    planted = client.session
    planted["planted"] = True
    planted.save()
    client.cookies["sessionid"] = planted.session_key or ""
    client.post(SIGN_IN, {"login": alice.email, "password": PASSWORD})
    assert client.cookies["sessionid"].value != planted.session_key
    thief = Client()
    thief.cookies["sessionid"] = planted.session_key or ""
    assert (is_in(client), is_in(thief)) == (True, False)


@pytest.mark.parametrize("secure", [True, False])
def test_cookies_are_kept_from_scripts_and_other_sites(settings: Any, alice: User, secure: bool) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = secure
    client = Client()
    client.get(SIGN_IN)
    client.post(SIGN_IN, {"login": alice.email, "password": PASSWORD})
    session, csrf = client.cookies["sessionid"], client.cookies["csrftoken"]
    assert (session["httponly"], session["samesite"], bool(session["secure"])) == (True, "Lax", secure)
    assert (csrf["httponly"], csrf["samesite"], bool(csrf["secure"])) == (True, "Lax", secure)
    assert set(client.cookies) == {"sessionid", "csrftoken"}  # what pages say next is in the session


def test_a_session_ends_two_weeks_after_signing_in_whatever_happens_meanwhile(
    alice: User, settings: Any
) -> None:
    with time_machine.travel("2025-06-03T10:00:00Z", tick=False) as clock:
        client = sign_in(alice.email)
        clock.shift(timedelta(days=10))
        new = "another-horse-battery"
        client.post(
            "/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
        )
        clock.shift(timedelta(days=4, seconds=-1))
        assert is_in(client)
        clock.shift(timedelta(seconds=1))
        assert not is_in(client)


# --- What a new password, and a block, end ---


def edit(who: User, person: User, **fields: Any) -> Any:
    """Posts the page of a person in the administration."""
    member = person.memberships.get()
    client = Client()
    client.force_login(who)
    form = {
        "name": person.name,
        "time_zone": "UTC",
        "is_active": "on",
        "new_password": "",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": member.pk,
        "memberships-0-user": person.pk,
        "memberships-0-organization": member.organization_id,
        "memberships-0-role": member.role,
        "memberships-0-extension": member.extension,
        "memberships-0-status": "active",
        **fields,
    }
    answer = client.post(
        f"/admin/portal/user/{person.pk}/change/", {k: v for k, v in form.items() if v != "off"}
    )
    assert answer.status_code == 302, answer.content.decode()


def lives(token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return bool(Client().get("/api/v1/numbers", headers=headers).status_code == 200)


def test_a_password_that_an_admin_sets_ends_sessions_and_tokens(
    alice: User, bob: User, admin_of_acme: User
) -> None:
    browser, token = sign_in(alice.email), PersonalToken.objects.issue(alice, "One")
    other, others = sign_in(bob.email), PersonalToken.objects.issue(bob, "Two")
    edit(admin_of_acme, alice, name="Alice B")
    assert (is_in(browser), lives(token)) == (True, True)
    edit(admin_of_acme, alice, new_password="a-long-enough-secret")
    assert (is_in(browser), lives(token)) == (False, False)
    assert (is_in(other), lives(others)) == (True, True)
    assert PersonalToken.objects.filter(user=alice).count() == 0


def test_a_password_that_one_changes_oneself_ends_all_but_this_session(alice: User) -> None:
    here, there, token = sign_in(alice.email), sign_in(alice.email), PersonalToken.objects.issue(alice, "One")
    new = "another-horse-battery"
    here.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert (is_in(here), is_in(there), lives(token)) == (True, False, False)


def test_a_block_ends_sessions_and_tokens_for_good(alice: User, admin_of_acme: User) -> None:
    browser, token = sign_in(alice.email), PersonalToken.objects.issue(alice, "One")
    admin = Client()
    admin.force_login(admin_of_acme)
    edit(admin_of_acme, alice, is_active="off")  # without the page that asks
    assert (is_in(browser), lives(token)) == (True, True)
    admin.post(f"/admin/messaging/number/leaving/{alice.pk}/")
    assert not User.objects.get(pk=alice.pk).is_active
    edit(admin_of_acme, alice)
    assert User.objects.get(pk=alice.pk).is_active
    assert (is_in(browser), lives(token)) == (False, False)
    assert is_in(sign_in(alice.email))


def test_a_newer_hash_of_the_same_password_ends_nothing(settings: Any, alice: User) -> None:
    token = PersonalToken.objects.issue(alice, "One")
    before = alice.password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert is_in(sign_in(alice.email))
    assert User.objects.get(pk=alice.pk).password != before
    assert lives(token)


def test_a_request_for_a_new_password_blocks_no_second_factor(alice: User, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"
    Client().post("/account/password/reset/", {"email": alice.email})
    client = sign_in(alice.email)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    assert b'id="authenticator_secret"' in client.get("/account/2fa/totp/activate/").content


def test_pages_of_passwords_speak_as_ours_do(alice: User, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"
    client, key = Client(), default_token_generator.make_token(alice)
    reset = f"/account/password/reset/key/{user_pk_to_url_str(alice)}-"
    said = [client.get(f"{reset}wrong/", follow=True), client.get(f"{reset}{key}/", follow=True)]
    new = {"password1": "another-horse-battery", "password2": "another-horse-battery"}
    said.append(client.post(f"{reset}set-password/", new, follow=True))
    signed_in = Client()
    signed_in.force_login(User.objects.get(pk=alice.pk))
    said += [signed_in.get(f"/account/{page}/") for page in ("password/change", "reauthenticate")]
    assert [re.findall(r"<h1>\s*(.*?)\s*</h1>", page.content.decode()) for page in said] == [
        ["This link is no longer valid"],
        ["Change password"],
        ["Your password is changed"],
        ["Change password"],
        ["Confirm that it is you"],
    ]


@pytest.mark.parametrize(("who", "seen"), [("alice", False), ("admin_of_acme", False), ("operator", True)])
def test_only_operators_read_which_machines_within_may_be_called(
    who: str, seen: bool, settings: Any, request: pytest.FixtureRequest
) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = ["http://10.0.0.5:13013"]
    client = sign_in(request.getfixturevalue(who).email)
    assert is_in(client)
    assert (b"10.0.0.5" in client.get("/inbox/").content) is seen
    assert b"10.0.0.5" not in Client().get(SIGN_IN).content
