"""A conversation with several people outside, in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from messaging.models import Number
from portal.models import User
from tests.browser.conftest import People
from tests.messaging.test_groups import (
    ANNA,
    BERT,
    Provider,
    arrive,
    group,
    number,
    one_by_one,
    provider,
    send_now,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
assert all((number, one_by_one, provider))  # fixtures
SOON = 10_000


@pytest.fixture
def people(browser: Browser, live_server: Any) -> Any:
    found = People(browser, live_server.url, "")
    yield found
    found.leave()


@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_gets_the_answer(
    number: Number, provider: Provider, alice: User, people: People, images: Path, width: int
) -> None:
    arrive(number, "Shall we move the fitting to Friday?", all=[BERT], name="Anna Archer")
    arrive(number, "Friday is fine for me.", **{"from": BERT}, all=[ANNA], name="Bert Baker")
    page = people.page()
    page.set_viewport_size({"width": width, "height": 860})
    page.goto(f"{people.url}/account/login/")
    people.sign_in(page, alice.email)
    page.goto(f"{people.url}/inbox/{group().pk}/")
    expect(page.locator(".message .author")).to_have_text(["Anna Archer", "Bert Baker"])
    expect(
        page.get_by_text("Everybody in the group gets your message, except who has opted out.")
    ).to_be_visible()
    page.get_by_label("Message", exact=True).fill("Friday at ten, then.")
    if width == 1280:
        page.screenshot(path=images / "group.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".message.out")).to_have_count(1)
    send_now()
    assert [said["to"] for _, said in provider.received] == [[ANNA, BERT]]
    page.locator("#person").click()
    page.get_by_label("Name").fill("The Archers")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#person")).to_have_text("The Archers", timeout=SOON)


@pytest.mark.parametrize("width", [1280, 390])
def test_where_it_goes_to_one_the_writer_chooses(
    one_by_one: Number, provider: Provider, alice: User, people: People, width: int
) -> None:
    arrive(one_by_one, "Who comes?", all=[BERT], name="Anna Archer")
    page = people.page()
    page.set_viewport_size({"width": width, "height": 860})
    page.goto(f"{people.url}/account/login/")
    people.sign_in(page, alice.email)
    page.goto(f"{people.url}/inbox/{group().pk}/")
    page.get_by_label("Message", exact=True).fill("Only you should know.")
    page.get_by_label("Your provider cannot send to groups.").select_option(label=BERT)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#person")).to_have_text(BERT)
    send_now()
    assert [said["to"] for _, said in provider.received] == [BERT]
