"""Providers of no catalogue become drafts from what their documentation shows, without touching JSON."""

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

SAMPLES = Path(__file__).parents[1] / "integrations/studio/example/samples"
FIELDS = {
    "request": "The request: a curl command, or the request itself",
    "answer": "The answer to it",
    "error": "An answer that says what is wrong (if you have one)",
}
WEBHOOKS = ("When a text arrives", "When a text was delivered, or was not", "Webhook 3")


class Hand:
    """A person at the page, whose clicks and pastes are counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.pastes, self.began = page, 0, 0, time.monotonic()

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.clicks += 1

    def paste(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).click()
        self.page.keyboard.insert_text(text)
        self.clicks += 1
        self.pastes += 1

    def report(self, name: str) -> str:
        seconds = time.monotonic() - self.began
        return f"{name}: {self.clicks} clicks, {self.pastes} pastes, {seconds:.0f} s"


def studio_of(page: Page, demo: Demo, name: str) -> None:
    """Opens the page of a new template."""
    page.goto(f"{demo.url}/admin/integrations/template/add/")
    page.get_by_label("Document").fill(json.dumps({"id": f"by-example-{name}", "name": name, "API": {}}))
    page.get_by_role("button", name="Save", exact=True).click()
    pk = str(page.locator("#result_list a", has_text=name).first.get_attribute("href")).split("/")[4]
    page.goto(f"{demo.url}/admin/integrations/template/{pk}/studio/example/")


def paste_all(hand: Hand, shown: dict[str, Any]) -> None:
    for field, label in FIELDS.items():
        if shown[field]:
            hand.paste(label, shown[field])
    for index, (label, text) in enumerate(zip(WEBHOOKS, shown["webhooks"], strict=False)):
        if index == 2:
            hand.click("Add another webhook")
        hand.paste(label, text)


@pytest.mark.parametrize("provider", ["46elks", "esendex", "messagebird"])
def test_documentation_becomes_a_draft(
    demo: Demo, people: People, provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert provider not in catalog.slugs()
    shown = json.loads((SAMPLES / f"{provider}.json").read_text())
    page = people.page("rita@southernvoice.example")
    studio_of(page, demo, provider)
    hand = Hand(page)
    paste_all(hand, shown)
    cases = 2 + len(shown["webhooks"])
    expect(page.get_by_role("status").filter(has_text=f"All its {cases} cases pass.")).to_be_visible()
    hand.click("Save as draft")
    expect(page.get_by_text(f"Saved as a draft, with {cases} cases.")).to_be_visible()
    with capsys.disabled():
        print(f"\n{hand.report(provider)}")


def test_values_are_marked_with_the_keyboard_on_a_phone(demo: Demo, people: People) -> None:
    shown = json.loads((SAMPLES / "46elks.json").read_text())
    page = people.page("rita@southernvoice.example")
    studio_of(page, demo, "keyboard")
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label(FIELDS["request"], exact=True).focus()
    page.keyboard.insert_text(shown["request"])
    tree = page.locator("#tree-request")
    sender = tree.locator("li", has_text="from ElkTest").get_by_role("combobox")
    expect(sender).to_have_value("")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sender.focus()
    page.keyboard.type("always")
    expect(page.locator("#source")).to_contain_text('"from": "ElkTest"')
    expect(sender).to_be_focused()
    expect(sender).to_have_value("constant")
    page.keyboard.press("Home")
    expect(page.locator("#source")).to_contain_text('"from": "$from$"')
    expect(sender).to_have_value("")
    page.get_by_label(FIELDS["answer"], exact=True).focus()
    page.keyboard.insert_text('{"id": ')
    expect(page.locator("#said-answer").get_by_role("alert")).to_contain_text("The JSON cannot be read")
    expect(page.get_by_label(FIELDS["answer"], exact=True)).to_be_focused()
