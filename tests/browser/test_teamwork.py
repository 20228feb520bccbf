"""Two users at one conversation of a shared number, each in a browser of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import People
from tests.browser.test_demo import write_new

pytestmark = pytest.mark.browser
SOON = 10_000


def test_two_work_on_one_conversation(people: People) -> None:
    alice, bob = people.page("alice@acme.example"), people.page("bob@acme.example")
    write_new(alice, "0412 777 001", "Good morning!")
    bob.goto(alice.url)
    expect(alice.locator("#team")).to_contain_text("Nobody has taken this.")

    alice.get_by_role("button", name="Take").click()
    expect(alice.locator("#team")).to_contain_text("You take care of this.")
    expect(bob.locator("#team")).to_contain_text("Alice Archer takes care of this.", timeout=SOON)
    expect(bob.locator(".remark.line")).to_contain_text("Alice Archer took the conversation.")

    bob.get_by_label("Message", exact=True).press_sequentially("I know")
    expect(alice.locator("#team")).to_contain_text("Bob Baker is writing…", timeout=SOON)
    expect(alice.locator("#team")).not_to_contain_text("Bob Baker is writing…", timeout=2 * SOON)

    bob.get_by_text("Write an internal note").click()
    bob.get_by_role("button", name="@Alice Archer").click()
    bob.get_by_label("Internal note").press_sequentially("they are early")
    bob.get_by_role("button", name="Save the note").click()
    expect(alice.locator(".remark.internal .text")).to_have_text("@Alice Archer they are early", timeout=SOON)
    expect(bob.get_by_label("Message", exact=True)).to_have_value("I know")  # nothing was sent
    expect(bob.locator(".message")).to_have_count(1)

    # A menu that is open is not renewed under the hand of its user, and the news come when it is closed.
    bob.locator("#team summary", has_text="Hand over").click()
    alice.get_by_role("button", name="Release").click()
    expect(bob.locator(".remark.line").last).to_contain_text("released", timeout=SOON)
    expect(bob.locator("#team details[open]")).to_have_count(1)
    bob.keyboard.press("Escape")
    expect(bob.locator("#team")).to_contain_text("Nobody has taken this.", timeout=SOON)

    alice.get_by_role("button", name="Close", exact=True).click()
    expect(alice.locator("#list")).not_to_contain_text("0412777001".removeprefix("0"), timeout=SOON)
    expect(bob.locator("#team")).to_contain_text("Closed", timeout=SOON)


def test_the_contact_is_named_beside_the_thread(people: People) -> None:
    alice = people.page("alice@acme.example")
    write_new(alice, "0412 777 002", "Good morning!")
    alice.locator("#person").click()
    expect(alice.locator("#contact h2")).to_be_focused()
    alice.get_by_label("Name").fill("Jane Doe")
    alice.get_by_label("Tags").fill("vip")
    alice.get_by_role("button", name="Save", exact=True).click()
    expect(alice.get_by_text("Saved.")).to_be_visible()
    expect(alice.locator("#person")).to_have_text("Jane Doe")
    expect(alice.locator("#list .name").first).to_have_text("Jane Doe", timeout=SOON)
    alice.keyboard.press("Escape")
    expect(alice.locator("#contact")).to_have_count(0)
    expect(alice.locator("#person")).to_be_focused()
    alice.get_by_label("Search conversations").fill("vip")
    expect(alice.locator("#list .name")).to_have_text(["Jane Doe"], timeout=SOON)


def test_a_team_sees_who_does_what_beside_the_contact(people: People, images: Path) -> None:
    alice, bob = people.page("alice@acme.example"), people.page("bob@acme.example")
    write_new(alice, "0412 777 003", "Good morning! Your appointment is at 10:30. See you then.")
    bob.goto(alice.url)
    bob.get_by_text("Write an internal note").click()
    bob.get_by_label("Internal note").fill("She comes by train, and may be late.")
    bob.get_by_role("button", name="Save the note").click()
    expect(bob.locator(".remark.internal")).to_be_visible()
    alice.get_by_role("button", name="Take").click()
    alice.locator("#person").click()
    alice.get_by_label("Name").fill("Nina Novak")
    alice.get_by_label("Company").fill("Novak Bakery")
    alice.get_by_label("Tags").fill("regular")
    alice.get_by_role("button", name="Save", exact=True).click()
    expect(alice.locator("#person")).to_have_text("Nina Novak")
    expect(alice.locator(".remark.internal")).to_contain_text("She comes by train", timeout=SOON)
    expect(alice.locator("#list .name").first).to_have_text("Nina Novak", timeout=SOON)
    expect(alice.locator(".mark").last).to_have_text("delivered", timeout=2 * SOON)
    images.mkdir(parents=True, exist_ok=True)
    # Playwright's own screenshots add a style element, which the policy of the page refuses and reports.
    before = len(people.complaints)
    alice.screenshot(path=images / "team.png")
    del people.complaints[before:]
