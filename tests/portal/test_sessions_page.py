"""The page on which people see where they are signed in, and a second factor of somebody an admin has made."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from portal.account import sessions
from portal.models import SeenSession, User
from tests.conftest import PASSWORD

PAGE = "/account/sessions/"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"


def sign_in(user: User, address: str = "192.0.2.1", agent: str = FIREFOX) -> Client:
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": agent})
    assert client.post("/account/login/", {"login": user.email, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return bool(client.get("/inbox/").status_code == 200)


def test_sessions_are_listed_and_ended_by_their_user_alone(alice: User, bob: User) -> None:
    here, there = sign_in(alice), sign_in(alice, "192.0.2.2", "curl\0")
    other = sign_in(bob, "192.0.2.3")
    page = here.get(PAGE).content.decode()
    assert ("Firefox, Windows" in page, "Unknown device" in page) == (True, True)
    assert ("192.0.2.1" in page, "192.0.2.2" in page, "192.0.2.3" in page) == (True, True, False)
    assert page.count("this one") == 1
    assert page.count("signed in") >= 3 and str(there.session.session_key) not in page
    foreign = SeenSession.objects.get(user=bob)
    for wrong in (str(foreign.pk), "x", "0", ""):
        here.post(PAGE, {"end": wrong})
    assert (is_in(other), is_in(there)) == (True, True)
    here.post(PAGE, {"end": str(SeenSession.objects.get(address="192.0.2.2").pk)})
    assert (is_in(here), is_in(there), is_in(other)) == (True, False, True)
    more = [sign_in(alice), sign_in(alice)]
    here.post(PAGE, {"others": "1"})
    assert [is_in(client) for client in (here, *more, other)] == [True, False, False, True]
    assert Client().get(PAGE).status_code == 302


def test_a_session_is_noted_now_and_then(alice: User) -> None:
    client = sign_in(alice)
    noted = SeenSession.objects.get()
    client.get("/inbox/")
    assert SeenSession.objects.get().seen_at == noted.seen_at
    cache.clear()
    client.get("/inbox/")
    again = SeenSession.objects.get()
    assert (again.seen_at > noted.seen_at, again.since) == (True, noted.since)
    client.logout()
    assert SeenSession.objects.count() == 0


def test_sessions_from_before_a_new_password_are_not_listed(alice: User) -> None:
    sign_in(alice)
    alice.set_password("another-horse-battery")
    alice.save()
    assert sessions.of(alice, None) == []


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0 Safari/537.36 Edg/131.0", "Edge, Linux"),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36",
            "Chrome, Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1",
            "Safari, iPhone",
        ),
        ("", "Unknown device"),
    ],
)
def test_a_device_has_a_name(agent: str, device: str) -> None:
    assert sessions.device(agent) == device


def test_an_identity_is_removed_by_its_user_alone(alice: User, bob: User) -> None:
    row = SocialAccount.objects.create(
        user=alice, provider="oidc", uid="1", extra_data={"email": "a@x.example"}
    )
    sign_in(bob).post(PAGE, {"identity": str(row.pk)})
    assert SocialAccount.objects.count() == 1
    client = sign_in(alice)
    assert "a@x.example" in client.get(PAGE).content.decode()
    client.post(PAGE, {"identity": str(row.pk)})
    assert SocialAccount.objects.count() == 0


def test_who_was_made_by_an_admin_sets_up_an_authenticator_app(alice: User) -> None:
    client = sign_in(alice)
    page = client.get(reverse("mfa_activate_totp"), follow=True)
    assert page.redirect_chain[-1][0].startswith("/account/reauthenticate/")
    page = client.post(page.redirect_chain[-1][0], {"password": PASSWORD}, follow=True)
    form = page.context["form"]
    secret = form.secret
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    done = client.post(reverse("mfa_activate_totp"), {"code": code})
    assert (done.status_code, done["Location"]) == (302, reverse("mfa_view_recovery_codes"))
    assert TOTP(Authenticator.objects.get(user=alice, type="totp")) is not None
    assert client.get(done["Location"]).status_code == 200
