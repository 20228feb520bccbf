"""Sending later and taking back, canned replies, and drafts, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

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
