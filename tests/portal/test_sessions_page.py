"""The page on which people see where they are signed in, and a second factor of somebody an admin has made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
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


def pass_hours(hours: float) -> None:
    """Lets time pass, as far as the sessions and the cache know."""
    SeenSession.objects.update(seen_at=F("seen_at") - timedelta(hours=hours))
    cache.clear()


POLLS = ["/inbox/changes/", "/inbox/list/", "/inbox/news/"]


@pytest.mark.parametrize("path", ["/inbox/", "/nothing/here/", *POLLS])
def test_a_session_that_nobody_uses_ends(alice: User, settings: Any, path: str) -> None:
    settings.IDLE_HOURS = 10
    client, other = sign_in(alice), sign_in(alice)
    pass_hours(9.9)
    assert is_in(client)
    pass_hours(9.9)
    assert (is_in(client), [row.pk for row in sessions.of(alice, None)]) == (
        True,
        [SeenSession.objects.get(session=client.session.session_key).pk],
    )
    pass_hours(10.1)
    answer = client.get(path, headers={"HX-Request": "true"} if path in POLLS else {})
    assert answer.status_code == (401 if path in POLLS else 404 if "nothing" in path else 302)
    assert (is_in(client), is_in(other)) == (False, False)
    assert "Clear-Site-Data" not in answer.headers  # drafts are kept


@pytest.mark.parametrize("path", POLLS)
def test_what_open_pages_ask_by_themselves_keeps_no_session(alice: User, settings: Any, path: str) -> None:
    settings.IDLE_HOURS = 10
    client = sign_in(alice)
    for _ in range(3):
        pass_hours(3.5)
        status = client.get(path, headers={"HX-Request": "true"}).status_code
    assert status == 401
    assert not is_in(client)


def test_without_the_setting_they_last(alice: User, settings: Any) -> None:
    settings.IDLE_HOURS = 0
    client = sign_in(alice)
    pass_hours(300)
    assert is_in(client)


def test_a_look_a_minute_tells_whether_it_goes_on(alice: User) -> None:
    client = sign_in(alice)

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(path)
        return sum("seensession" in query["sql"] for query in captured)

    assert [queries("/inbox/changes/"), queries("/inbox/")] == [0, 0]  # it was noted a moment ago
    cache.clear()
    assert [queries("/inbox/changes/") for _ in range(3)] == [1, 0, 0]
    assert [queries("/inbox/") for _ in range(3)] == [1, 0, 0]  # it is noted
    cache.clear()
    assert [queries("/inbox/") for _ in range(3)] == [2, 0, 0]


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
    assert "Confirm that it is you" in page.content.decode()
    page = client.post(page.redirect_chain[-1][0], {"password": PASSWORD}, follow=True)
    form = page.context["form"]
    secret = form.secret
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    done = client.post(reverse("mfa_activate_totp"), {"code": code})
    assert (done.status_code, done["Location"]) == (302, reverse("mfa_view_recovery_codes"))
    assert TOTP(Authenticator.objects.get(user=alice, type="totp")) is not None
    codes = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()
    assert (len(codes), "\n".join(codes) in client.get(done["Location"]).content.decode()) == (10, True)
