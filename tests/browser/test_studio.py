"""The studio's editor: it completes, explains and mends; drafts are published after their changes were seen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, People

pytestmark = pytest.mark.browser

DOCUMENT = {
    "properties": ["API key"],
    "auth": {"type": "Bearer", "token": "$API key$"},
    "API": {
        "SendMessage": {
            "request_url": "https://api.hello.example/messages",
            "request_parameters": {"from": "$from$", "to": "$to$", "body": "$content$"},
        }
    },
}


def read_it(page: Page, demo: Demo, name: str) -> None:
    """The page of a new template's document."""
    page.goto(f"{demo.url}/admin/integrations/template/add/?from=document")
    document = {"id": name.lower().replace(" ", "-"), "name": name, **DOCUMENT}
    page.get_by_label("Text", exact=True).fill(json.dumps(document, indent=2))
    page.get_by_role("button", name="Read it").click()


def open_studio(page: Page, demo: Demo) -> None:
    """The page of a new template, whose document is published."""
    read_it(page, demo, "Hello SMS")
    page.get_by_role("link", name="Publish", exact=True).click()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_role("link", name="Document", exact=True).click()
    expect(page.locator(".cm-content")).to_be_visible()


def test_from_a_mistake_to_what_is_published(demo: Demo, people: People, images: Path) -> None:
    page = people.page("rita@southernvoice.example")
    open_studio(page, demo)
    expect(page.locator(".cm-placeholder").first).to_have_text("$API key$")

    # A key, a filter and a variable are completed; each says what it is.
    page.locator(".cm-line", has_text="request_parameters").click()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    page.keyboard.type('"request_hea')
    expect(page.locator(".cm-completionInfo")).to_contain_text("header")
    page.get_by_role("option", name="request_headers").click()
    page.keyboard.type('"X-To": "$to|nat')
    page.get_by_role("option", name="national", exact=True).click()
    page.locator(".cm-line", has_text="X-To").click()
    page.keyboard.press("End")
    page.keyboard.type(",")
    expect(page.locator("#problems")).to_contain_text("No problems.")

    # A mistake is listed at its place, and mended with a click.
    page.locator(".cm-line", has_text="X-To").get_by_text("request_headers").dblclick()
    page.keyboard.type("request_header")
    place = page.get_by_role("button", name=re.compile("line 14, column"))
    expect(place).to_be_visible()
    place.click()
    page.locator(".cm-lintRange").first.hover()
    page.get_by_role("button", name="Replace it with request_headers").click()
    expect(page.locator("#problems")).to_contain_text("No problems.")

    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved as draft 2.")).to_be_visible()

    # The preview leads to what it shows.
    page.get_by_role("link", name="Preview", exact=True).click()
    page.get_by_role("button", name="Show", exact=True).last.click()
    expect(page).to_have_url(re.compile("/preview/#events$"))
    expect(page.get_by_role("heading", name="What becomes of it")).to_be_in_viewport()
    page.get_by_role("link", name="Publish", exact=True).click()
    expect(page.get_by_text("SendMessage has changed.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Revision 2 is published.").first).to_be_visible()


def test_without_javascript_it_is_a_text_area(demo: Demo, people: People) -> None:
    plain = people.page("rita@southernvoice.example", java_script_enabled=False)
    read_it(plain, demo, "Plain SMS")
    area = plain.get_by_label("The JSON document")
    area.fill(area.input_value().replace("request_url", "request_uri"))
    plain.get_by_role("button", name="Save draft").click()
    expect(plain.locator("#problems")).to_contain_text("Did you mean 'request_url'?")
    expect(area).to_have_value(re.compile("request_uri"))
