"""Second factors, and what a session needs besides its cookie."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core import mail
from django.test import Client

from portal import encryption
from portal.models import Organization, User
from tests.conftest import PASSWORD

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
MOMENT = "2026-11-24 09:00:00+00:00"
SECOND = "/account/2fa/authenticate/"


def is_in(client: Client) -> bool:
    return bool(client.get("/inbox/").status_code == 200)


def sign_in(user: User, password: str = PASSWORD) -> Client:
    client = Client()
    client.post("/account/login/", {"login": user.email, "password": password})
    return client


def code(moment: int = 0) -> str:
    """The code of the app so many periods after MOMENT."""
    counter = int(datetime.fromisoformat(MOMENT).timestamp()) // 30 + moment
    return str(format_hotp_value(hotp_value(SECRET, counter)))


@pytest.fixture
def careful(alice: User) -> User:
    """Alice, who has an app for codes."""
    TOTP.activate(alice, SECRET)
    return alice


def test_a_code_is_good_once_and_for_half_a_minute(careful: User) -> None:
    with time_machine.travel(MOMENT, tick=False) as clock:
        first, second = sign_in(careful), sign_in(careful)
        assert not is_in(first)
        for wrong in ("", "000000", code(-1), code(1)):
            first.post(SECOND, {"code": wrong})
            assert not is_in(first)
        first.post(SECOND, {"code": code()})
        second.post(SECOND, {"code": code()})
        assert (is_in(first), is_in(second)) == (True, False)
        clock.shift(timedelta(seconds=30))
        second.post(SECOND, {"code": code(1)})
        assert is_in(second)


def test_a_recovery_code_is_good_once(careful: User) -> None:
    one = RecoveryCodes.activate(careful).generate_codes()[0]
    assert len(one) == 8
    first, second = sign_in(careful), sign_in(careful)
    first.post(SECOND, {"code": one})
    second.post(SECOND, {"code": one})
    assert (is_in(first), is_in(second)) == (True, False)


def test_what_second_factors_are_made_of_is_encrypted(careful: User) -> None:
    RecoveryCodes.activate(careful)
    stored = {row.type: row.data for row in Authenticator.objects.filter(user=careful)}
    assert encryption.decrypt(stored["totp"]["secret"].encode()).decode() == SECRET
    assert len(encryption.decrypt(stored["recovery_codes"]["seed"].encode())) == 80
    assert SECRET not in str(stored)


def test_codes_are_not_guessed(careful: User) -> None:
    with time_machine.travel(MOMENT, tick=False):
        client = sign_in(careful)
        for number in range(10):
            client.post(SECOND, {"code": f"{number:06}"})
        client.post(SECOND, {"code": code()})
        assert not is_in(client)


def test_a_new_password_does_not_pass_by_the_second_factor(careful: User, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"
    client, new = Client(), "another-horse-battery"
    client.post("/account/password/reset/", {"email": careful.email})
    (sent,) = mail.outbox
    link = next(word for word in str(sent.body).split() if "/password/reset/key/" in word)
    form = client.get(link.removeprefix(settings.PUBLIC_URL), follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})
    assert User.objects.get(pk=careful.pk).check_password(new)
    assert not is_in(client)
    assert not is_in(sign_in(careful, new))


@pytest.mark.parametrize(
    ("path", "has_one"),
    [
        ("/account/2fa/totp/activate/", False),
        ("/account/2fa/totp/deactivate/", True),
        ("/account/2fa/recovery-codes/generate/", True),
    ],
)
def test_second_factors_change_only_after_the_password_was_asked_again(
    alice: User, path: str, has_one: bool
) -> None:
    if has_one:
        TOTP.activate(alice, SECRET)
    before = list(Authenticator.objects.values_list("pk", "data"))
    client = Client()
    client.force_login(alice)
    with time_machine.travel(MOMENT, tick=False) as clock:
        for minutes, opens in ((0, False), (0, True), (6, False)):
            clock.shift(timedelta(minutes=minutes))
            if opens:
                client.post("/account/reauthenticate/", {"password": PASSWORD})
                assert client.get(path).status_code == 200
                continue
            for answer in (client.get(path), client.post(path, {"code": code()})):
                assert answer["Location"] == f"/account/reauthenticate/?next={quote(path, safe='')}"
    assert list(Authenticator.objects.values_list("pk", "data")) == before


def test_changing_a_password_needs_the_present_one(alice: User) -> None:
    client, new = sign_in(alice), "another-horse-battery"
    client.post("/account/password/change/", {"oldpassword": "wrong", "password1": new, "password2": new})
    client.post("/account/password/change/", {"password1": new, "password2": new})
    assert User.objects.get(pk=alice.pk).check_password(PASSWORD)


@pytest.mark.parametrize(
    "path",
    ["/account/login/", "/account/logout/", "/account/password/change/", "/inbox/new/", "/admin/logout/"],
)
def test_forms_of_other_sites_are_refused(operator: User, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert client.post(path, {"login": operator.email, "password": PASSWORD}).status_code == 403
    assert client.get("/admin/").status_code == 200


def test_a_session_is_no_way_into_the_api(alice: User) -> None:
    client = sign_in(alice)
    assert is_in(client)
    assert client.get("/api/v1/messages").status_code == 401


def test_every_page_has_a_way_out(alice: User, operator: User, acme: Organization) -> None:
    client = Client()
    for user, path in ((alice, "/inbox/"), (alice, "/account/tokens/"), (operator, "/admin/")):
        client.force_login(user)
        page = client.get(path).content.decode()
        assert 'action="/account/logout/"' in page or 'action="/admin/logout/"' in page, path


@pytest.mark.parametrize("path", ["/account/login/", "/account/password/change/", "/account/email/"])
def test_passwords_are_masked_and_filled_in_by_managers(alice: User, settings: Any, path: str) -> None:
    settings.EMAIL_HOST = "mail.example"
    client = Client() if "login" in path else sign_in(alice)
    page = client.get(path).content.decode()
    assert 'type="password"' in page
    assert 'autocomplete="current-password"' in page
    assert "onpaste" not in page


def test_a_form_from_before_the_sign_in_is_explained(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post("/account/logout/")
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "<h1>This page is out of date</h1>" in page
    assert "Nothing was saved." in page
    assert is_in(client)
