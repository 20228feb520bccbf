"""Sending later and taking back, canned replies, and drafts, in a browser."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from messaging import zones
from messaging.inbox.emoji import EMOJI
from messaging.rules import schedule
from tests.browser.conftest import People
from tests.browser.test_demo import write_new

pytestmark = pytest.mark.browser
SOON = 15_000


def test_a_text_is_scheduled_and_taken_back(people: People) -> None:
    alice = people.page("alice@acme.example")
    write_new(alice, "0412 888 001", "Good morning!")
    alice.get_by_role("button", name="Undo").click()
    expect(alice.locator(".message.canceled")).to_contain_text("Canceled by Alice Archer.")
    expect(alice.locator("#id_text")).to_have_value("Good morning!")

    alice.locator("#later summary").click()
    alice.get_by_label("Tomorrow, 9:00").check()
    alice.get_by_role("button", name="Schedule").click()
    waiting = alice.locator(".message.scheduled")
    expect(waiting).to_contain_text("scheduled")
    expect(alice.locator("#id_text")).to_have_value("")
    waiting.locator("summary").click()
    waiting.get_by_label("Send at").fill("2027-01-31T10:15")
    waiting.get_by_role("button", name="Change the time").click()
    expect(waiting).to_contain_text("for Sun 31 Jan, 10:15")
    waiting.locator("summary").click()
    waiting.get_by_role("button", name="Send now").click()
    expect(alice.locator(".mark").last).to_have_text("delivered", timeout=SOON)
    expect(alice.locator(".message.canceled")).to_have_count(1)


def test_a_canned_reply_is_chosen_by_the_keyboard_and_the_draft_is_kept(people: People) -> None:
    alice = people.page("alice@acme.example")
    alice.goto(f"{alice.url.split('/inbox')[0]}/account/writing/")
    alice.get_by_label("Name").fill("Opening hours")
    alice.get_by_label("Text").fill("Hi {contact name}, we open at 9. {my name}")
    alice.get_by_role("button", name="Save the reply").click()
    expect(alice.get_by_text("The reply is saved.")).to_be_visible()

    alice.goto(f"{alice.url.split('/account')[0]}/inbox/")
    write_new(alice, "0412 888 002", "Good morning!")
    alice.locator("#id_text").press("/")
    expect(alice.get_by_label("Find a reply")).to_be_focused()
    alice.keyboard.type("hours")
    with alice.expect_response(lambda answer: "/draft/" in answer.url):
        alice.keyboard.press("Enter")
        expect(alice.locator("#id_text")).to_have_value("Hi, we open at 9. Alice Archer")
        expect(alice.locator("#id_text")).to_be_focused()

    alice.evaluate("sessionStorage.clear()")  # as on another device
    alice.reload()
    expect(alice.locator("#id_text")).to_have_value("Hi, we open at 9. Alice Archer")
    alice.locator("#id_text").press("Enter")
    expect(alice.locator(".message.out")).to_have_count(2)
    alice.reload()
    expect(alice.locator("#id_text")).to_have_value("")


def test_a_new_message_is_helped_as_soon_as_number_and_recipient_are_chosen(people: People) -> None:
    alice = people.page("alice@acme.example")
    alice.goto(f"{people.url}/account/writing/")
    alice.get_by_label("Name").fill("Greeting")
    alice.get_by_label("Text").fill("Hello from {number name}")
    alice.get_by_role("button", name="Save the reply").click()

    alice.goto(f"{people.url}/inbox/new/")
    night, morning = alice.locator("#night"), alice.locator("#morning")
    zone = midnight_zone()
    alice.get_by_label("To", exact=True).fill("+12025550123")  # a country with several zones
    expect(morning).to_be_hidden()
    alice.get_by_label("To", exact=True).fill(zone)
    expect(night).to_be_visible()
    expect(night).to_contain_text("at the contact’s place")
    alice.get_by_text("Send later").click()
    expect(morning).to_be_visible()
    alice.keyboard.press("Escape")
    expect(alice.locator("#later")).not_to_have_attribute("open", "")

    text = alice.get_by_label("Message", exact=True)
    for label in alice.locator("#id_number option").all_text_contents():
        with alice.expect_response("**/inbox/new/about/*"):
            alice.get_by_label("From").select_option(label=label)
        name = label.split(" (")[0]
        expect(alice.locator("[data-write^=Hello]")).to_have_attribute("data-write", f"Hello from {name}")
    text.press("/")
    alice.keyboard.type("greet")
    alice.keyboard.press("Enter")
    expect(text).to_have_value(f"Hello from {name}")
    expect(alice.locator("#counter")).to_contain_text("1 part")

    alice.locator("#emoji summary").focus()
    for key in ("Enter", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
        alice.keyboard.press(key)
    expect(alice.locator("#emoji button:focus")).to_have_attribute("aria-label", str(EMOJI[1][1]))
    alice.keyboard.press("Enter")
    expect(text).to_have_value(f"Hello from {name}{EMOJI[1][0]}")
    expect(text).to_be_focused()
    expect(alice.locator("#counter")).to_contain_text(f"“{EMOJI[1][0]}” leaves room for 70 characters only")
    text.fill(f"{EMOJI[1][0]}{'a' * 70}")
    expect(alice.locator("#counter")).to_contain_text(f"2 parts “{EMOJI[1][0]}” makes the text cost more")

    night.get_by_role("button", name="Wait until 8:00").click()
    alice.wait_for_url(re.compile(r"/inbox/\d+/"))
    waiting = alice.locator(".message.scheduled")
    expect(waiting).to_contain_text("scheduled")
    waiting.get_by_role("button", name="Cancel").click()
    expect(alice.locator(".message.canceled")).to_have_count(1)
    alice.locator("#person").click()
    alice.get_by_role("link", name="New message, from any of your numbers").click()
    expect(alice.get_by_label("To", exact=True)).to_have_value(zone)


def midnight_zone() -> str:
    """A number in a country where it is night now."""
    for number in ("+819012345678", "+4915112345678", "+57 3001234567", "+64 21 123 4567"):
        zone = zones.of_country(zones.country_of(number.replace(" ", "")))
        if zone is not None and schedule.is_night(zone, timezone.now()):
            return number.replace(" ", "")
    raise AssertionError("It is night nowhere.")
