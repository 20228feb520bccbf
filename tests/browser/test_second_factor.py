"""Whoever must have a second factor is led to set one up, by a passkey or by an app, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Demo, People
from tests.browser.test_accessible import NARROW, WIDE, looked_at, problems
from tests.browser.test_people import with_authenticator

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that requires a second factor of everybody."""
    started = Demo(tmp_path_factory.mktemp("strict"), PATCHBAY_SECOND_FACTOR="everybody")
    yield started
    assert started.process.stop() == 0, started.process.output


@pytest.fixture
def people(browser: Browser, strict: Demo) -> Iterator[People]:
    found = Strangers(browser, strict.url, strict.phone)
    yield found
    found.leave()


class Strangers(People):
    """People who have no second factor yet."""

    def sign_in(self, page: Page, email: str) -> None:
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill("correct-horse-battery")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/account/second-factor/")


def confirm(page: Page) -> list[str]:
    """Types the password once more, if it is asked for; returns what is wrong with the page."""
    found = []
    if "/reauthenticate/" in page.url:
        found = problems(page)
        page.get_by_label("Password").fill("correct-horse-battery")
        page.get_by_role("button", name="Confirm").click()
    return found


def again(page: Page, strict: Demo, email: str) -> None:
    """Signs in with the password once more, up to the second factor."""
    page.context.clear_cookies()
    page.goto(f"{strict.url}/account/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill("correct-horse-battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Show that it is you")).to_be_visible()


@pytest.mark.parametrize(
    ("size", "email"), [(WIDE, "alice@acme.example"), (NARROW, "bob@acme.example")], ids=["wide", "narrow"]
)
def test_an_app_is_set_up_before_anything_else(
    strict: Demo, people: People, size: tuple[Any, Any], email: str
) -> None:
    page = looked_at(people, email, size)
    page.goto(f"{strict.url}/inbox/?show=closed")
    expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()
    found = problems(page)
    page.get_by_role("link", name="Use an app").click()
    found += confirm(page)
    secret = page.get_by_label("Or type this secret into the app").input_value()
    found += problems(page)
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    page.get_by_label("code").fill(code)
    page.get_by_role("button", name="Done").click()
    codes = page.get_by_label("10 codes that are not used").input_value().split()
    found += problems(page)
    page.get_by_role("link", name="go on").click()
    expect(page).to_have_url(f"{strict.url}/inbox/?show=closed")

    again(page, strict, email)
    expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    found += problems(page)
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox/")
    assert found == []


def test_a_passkey_is_set_up_before_anything_else(strict: Demo, people: People) -> None:
    page = looked_at(people, "carol@acme.example")
    with_authenticator(page)
    page.get_by_role("link", name="Add a passkey").click()
    confirm(page)
    assert problems(page) == []
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="go on").click()
    expect(page).to_have_url(f"{strict.url}/admin/")

    again(page, strict, "carol@acme.example")
    assert problems(page) == []
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/admin/")


def test_who_would_rather_not_signs_out(strict: Demo, people: People) -> None:
    page = people.page("dave@globex.example")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{strict.url}/inbox/")
    expect(page.get_by_label("Password")).to_be_visible()
