"""A conversation with several people outside, in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from integrations.sandbox import Sandbox
from integrations.sandbox.catalog_entry import services
from messaging import demo
from messaging.inbound import file_events
from messaging.models import Message, Number
from messaging.rules import schedule
from portal.models import User
from tests.browser.conftest import People
from tests.messaging.test_groups import (
    ANNA,
    BERT,
    CARL,
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


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the tests run, it is night nowhere."""
    monkeypatch.setattr(schedule, "is_night", lambda zone, at: False)


def say_to(page: Page, words: str) -> None:
    with page.expect_response("**/inbox/new/about/*"):
        page.get_by_label("To", exact=True).fill(words)
    expect(page.locator("#whom.htmx-request")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_several_are_one_group_or_each_alone(
    number: Number,
    provider: Provider,
    alice: User,
    people: People,
    images: Path,
    day: None,
    width: int,
    scheme: Any,
) -> None:
    arrive(number, "Is Friday free?", name="Anna Archer")
    page = people.page(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 860})
    page.goto(f"{people.url}/account/login/")
    people.sign_in(page, alice.email)
    page.goto(f"{people.url}/inbox/new/")
    say_to(page, "arch")
    offered = page.get_by_role("button", name="Anna Archer")
    with page.expect_response("**/inbox/new/about/*"):
        offered.press("Enter")
    expect(page.get_by_label("To", exact=True)).to_be_focused()
    page.keyboard.type(f"{BERT}, 12, ")
    expect(page.get_by_text("“12” is not a phone number or short code.")).to_be_visible(timeout=SOON)
    say_to(page, f"{ANNA}, {BERT}")
    expect(page.get_by_role("group", name="Goes to 2 people")).to_be_visible()
    expect(page.get_by_label("One group")).to_be_checked()
    page.get_by_label("Message", exact=True).fill("Friday at ten?")
    if width == 1280:
        page.screenshot(path=images / "several.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#person")).to_have_text(f"Anna Archer, {BERT}", timeout=SOON)
    send_now()
    assert [(path, said["to"]) for path, said in provider.received] == [("/group", [ANNA, BERT])]

    page.goto(f"{people.url}/inbox/new/")
    say_to(page, f"{ANNA}, {CARL}")
    page.get_by_label("One group").press("ArrowDown")
    expect(page.get_by_label("Each alone")).to_be_checked()
    page.get_by_label("Message", exact=True).fill("Only you should know.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Sent to 2 people, each alone.")).to_be_visible(timeout=SOON)
    send_now()
    assert sorted(said["to"] for path, said in provider.received if path == "/one") == [ANNA, CARL]


def test_without_a_script_it_is_said_once_before_it_is_sent(
    one_by_one: Number, provider: Provider, alice: User, people: People, day: None
) -> None:
    page = people.page(java_script_enabled=False)
    page.goto(f"{people.url}/account/login/")
    people.sign_in(page, alice.email)
    page.goto(f"{people.url}/inbox/new/")
    page.get_by_label("To", exact=True).fill(f"{ANNA}, {BERT}")
    page.get_by_label("Message", exact=True).fill("Hello")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#problem")).to_have_text(
        "Goes to 2 people, each alone. Press Send again to send it."
    )
    assert Message.objects.count() == 0
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Sent to 2 people, each alone.")).to_be_visible()
    assert Message.objects.count() == 2


@pytest.fixture
def phones(live_server: Any, settings: Any) -> Any:
    """The demo with phones of a provider that knows groups."""
    settings.WEBHOOK_CACHE_SECONDS = 0
    provider = Sandbox(services()["telnyx"])
    provider.start()
    settings.PATCHBAY_ALLOWED_ORIGINS = [provider.origin, live_server.url]
    settings.PUBLIC_URL = live_server.url
    made = demo.create(provider, "correct-horse-battery")
    provider.webhook_url = live_server.url + made.webhook_url[made.webhook_url.index("/services/") :]
    provider.numbers = made.numbers
    yield provider
    provider.stop()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_phones_and_the_inbox_are_in_one_group(
    phones: Sandbox, people: People, images: Path, day: None, width: int, scheme: Any
) -> None:
    other = "+61498765432"
    phone = people.page(color_scheme=scheme)
    phone.set_viewport_size({"width": width, "height": 860})
    phone.goto(phones.url)
    phone.locator("#compose").click()
    phone.locator("#to").fill("+61 498 765 432")
    phone.locator("#numbers button", has_text="Acme's shared number").click()  # which joins the other
    phone.get_by_role("button", name="Start").click()
    expect(phone.locator("#talk-title")).to_have_text("+61 498 765 432, Acme's shared number")
    phone.locator("#words").fill("Shall we meet on Friday?")
    phone.locator("#words").press("Enter")
    expect(phone.locator(".bubble .meta")).to_contain_text("Delivered to Patchbay", timeout=SOON)
    file_events.drain()
    assert group().contact.address == f"{phones.phone}, {other}"

    alice = people.page("alice@acme.example")
    alice.goto(f"{people.url}/inbox/{group().pk}/")
    expect(alice.locator(".message .author")).to_have_text([phones.phone])
    alice.get_by_label("Message", exact=True).fill("Friday at ten.")
    alice.get_by_label("Message", exact=True).press("Enter")
    expect(alice.locator(".message.out")).to_have_count(1)
    send_now()
    expect(phone.locator(".bubble.theirs .words")).to_have_text("Friday at ten.", timeout=SOON)
    expect(phone.locator(".bubble.theirs .sender")).to_have_text("Acme's shared number")
    if width == 1280:
        phone.screenshot(path=images / "phone-group.png")
    phone.locator("#talk-screen [data-back]").click()
    phone.locator("#contact").select_option(other)
    phone.locator("#conversations button").click()
    expect(phone.locator(".bubble .words")).to_have_text(["Shall we meet on Friday?", "Friday at ten."])
    phone.locator("#words").fill("I will be there.")
    phone.locator("#words").press("Enter")
    expect(phone.locator(".bubble.mine .meta")).to_contain_text("Delivered to Patchbay", timeout=SOON)
    file_events.drain()
    expect(alice.locator(".message.in .author")).to_have_text([phones.phone, other], timeout=SOON)
