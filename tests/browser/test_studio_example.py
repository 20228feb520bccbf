"""Build by example with the keyboard alone, and on a phone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, People

pytestmark = pytest.mark.browser

SAMPLES = Path(__file__).parents[1] / "integrations/studio/example/samples"
REQUEST = "The request: a curl command, or the request itself"
ANSWER = "The answer to it"


def studio_of(page: Page, demo: Demo, name: str) -> None:
    """Opens the page of a new template."""
    page.goto(f"{demo.url}/admin/integrations/template/add/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Continue").click()


def test_values_are_marked_with_the_keyboard_on_a_phone(demo: Demo, people: People) -> None:
    shown = json.loads((SAMPLES / "46elks.json").read_text())
    page = people.page("rita@southernvoice.example")
    studio_of(page, demo, "keyboard")
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label(REQUEST, exact=True).focus()
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
    page.get_by_label(ANSWER, exact=True).focus()
    page.keyboard.insert_text('{"id": ')
    expect(page.locator("#said-answer").get_by_role("alert")).to_contain_text("The JSON cannot be read")
    expect(page.get_by_label(ANSWER, exact=True)).to_be_focused()
