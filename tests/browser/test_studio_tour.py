"""Providers of no catalogue, from what their documentation shows to an organization, without touching JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from integrations import catalog
from tests.browser.conftest import Demo, People

pytestmark = pytest.mark.browser

PROVIDERS = {"46elks": "46elks", "esendex": "Esendex", "messagebird": "MessageBird"}
SAMPLES = Path(__file__).parents[1] / "integrations/studio/example/samples"
FIELDS = {
    "request": "The request: a curl command, or the request itself",
    "answer": "The answer to it",
    "error": "An answer that says what is wrong (if you have one)",
}
WEBHOOKS = ("When a text arrives", "When a text was delivered, or was not", "Webhook 3")


class Hand:
    """A person at the page, whose clicks are counted; each text that is pasted or typed begins with one."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.texts, self.began = page, 0, 0, time.monotonic()

    def click(self, name: str, role: Any = "button") -> None:
        self.page.get_by_role(role, name=name, exact=True).click()
        self.clicks += 1

    def write(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).click()
        self.page.keyboard.insert_text(text)
        self.clicks += 1
        self.texts += 1

    def report(self, name: str) -> str:
        seconds = time.monotonic() - self.began
        return f"{name}: {self.clicks} clicks, of which {self.texts} before a text, {seconds:.0f} s"


def paste_all(hand: Hand, shown: dict[str, Any]) -> None:
    for field, label in FIELDS.items():
        if shown[field]:
            hand.write(label, shown[field])
    for index, (label, text) in enumerate(zip(WEBHOOKS, shown["webhooks"], strict=False)):
        if index == 2:
            hand.click("Add another webhook")
        hand.write(label, text)


def picture(people: People, page: Page, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.locator(".pb-tabs").evaluate("tabs => tabs.scrollIntoView()")
    # Playwright's own screenshots add a style element, which the policy of the page refuses and reports.
    before = len(people.complaints)
    page.screenshot(path=path)
    del people.complaints[before:]


def build(hand: Hand, demo: Demo, name: str, shown: dict[str, Any]) -> None:
    """From the start page to a draft whose cases pass."""
    page, cases = hand.page, 2 + len(shown["webhooks"])
    page.goto(f"{demo.url}/admin/integrations/template/add/")
    hand.write("Name", name)
    hand.click("Continue")

    paste_all(hand, shown)
    expect(page.get_by_role("status").filter(has_text=f"All its {cases} cases pass.")).to_be_visible()


def publish(hand: Hand, name: str, cases: int) -> None:
    """From the draft to an organization that uses it, through each step of the studio."""
    page = hand.page
    hand.click("Save as draft")
    expect(page.get_by_text(f"Saved as a draft, with {cases} cases.")).to_be_visible()
    expect(page.get_by_role("heading", name="The request: SendMessage")).to_be_visible()
    hand.click("Next: Cases", "link")
    expect(page.get_by_role("status").filter(has_text=f"{cases} cases pass.")).to_be_visible()

    hand.click("Next: Try it", "link")
    hand.click("Send to the phone")
    expect(page.locator(".pb-theirs")).to_contain_text("Hello")
    hand.write("Answer from the phone", "Yes, please")
    hand.click("Answer")
    expect(page.locator(".pb-mine")).to_contain_text("Yes, please")
    expect(page.locator("#trips")).to_contain_text("What Patchbay reads")

    hand.click("Next: Publish", "link")
    hand.click("Publish")
    hand.click("Set it up for an organization", "link")
    hand.click("Acme Dental", "checkbox")
    hand.click("Set up for the selected")
    expect(page.get_by_text(f"{name} is set up for 1 organization.")).to_be_visible()
    hand.click("Acme Dental", "link")
    expect(page.get_by_role("heading", name="Credentials")).to_be_visible()
    for label in page.locator("form:has(h2:text('Credentials')) label").all_inner_texts():
        hand.write(label, "what-the-provider-gave")
    hand.click("Save")
    expect(page.locator(".pb-state")).to_contain_text("Switched on")


def test_from_the_documentation_to_an_organization(
    demo: Demo, people: People, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = people.page("rita@southernvoice.example")
    for provider, name in PROVIDERS.items():
        assert provider not in catalog.slugs()
        shown = json.loads((SAMPLES / f"{provider}.json").read_text())
        hand = Hand(page)
        build(hand, demo, name, shown)
        if provider == "messagebird":
            picture(people, page, images / "studio.png")
        publish(hand, name, 2 + len(shown["webhooks"]))
        with capsys.disabled():
            print(f"\n{hand.report(name)}")
