"""API tokens and the API documentation, by keyboard alone, on a desktop and a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from messaging.models import Message, Number
from portal.models import PersonalToken, User
from tests.browser.test_connect import opened

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_token_is_made_used_and_revoked(
    browser: Browser,
    live_server: LiveServer,
    alice: User,
    private: Number,
    settings: Any,
    images: Path,
    width: int,
) -> None:
    settings.PUBLIC_URL = live_server.url
    page = opened(browser, live_server, alice, width)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    def picture(name: str) -> None:
        page.screenshot(path=images / f"programs-{name}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.goto(f"{live_server.url}/inbox/")
    page.get_by_role("button", name="Account menu of Alice").focus()
    page.keyboard.press("Enter")
    picture("menu")
    page.get_by_role("link", name="API tokens").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("API tokens")
    picture("none")
    page.get_by_label("Name of the program").focus()
    page.keyboard.type("Appointment reminders")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your new token")).to_be_visible()
    expect(page.get_by_role("button", name="Copy").first).to_be_focused()
    picture("made")
    token = page.get_by_label("Token", exact=True).input_value()
    example = page.get_by_label("Example").input_value()
    assert f"curl {live_server.url}/api/v1/messages" in example
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = example.partition("-d '")[2].rstrip("'")
    answer = requests.post(f"{live_server.url}/api/v1/messages", body, headers=headers, timeout=20)
    assert (answer.status_code, json.loads(body)["text"]) == (202, Message.objects.get().text)
    page.goto(f"{live_server.url}/account/tokens/")
    expect(page.get_by_text("last used")).to_be_visible()
    picture("list")
    page.get_by_role("link", name="Revoke Appointment reminders").press("Enter")
    picture("revoke")
    page.get_by_role("button", name="Revoke").press("Enter")
    expect(page.get_by_role("status")).to_have_text(
        "“Appointment reminders” can no longer send in your name."
    )
    picture("revoked")
    assert PersonalToken.objects.count() == 0
    assert complaints == []
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_api_is_tried_in_the_browser(
    browser: Browser, live_server: LiveServer, alice: User, private: Number, images: Path, width: int
) -> None:
    """On a page that loads nothing from elsewhere, under the strict content security policy."""
    token = PersonalToken.objects.issue(alice, "Docs")
    page = opened(browser, live_server, alice, width)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live_server.url}/account/tokens/")
    page.get_by_role("link", name="the API documentation").press("Enter")
    expect(page.get_by_text("/messages/batch")).to_be_visible()
    page.screenshot(path=images / f"api-docs-{width}.png", full_page=True)
    page.get_by_role("button", name="Authorize").press("Enter")
    page.get_by_role("textbox").fill(token)
    page.get_by_role("button", name="Apply credentials").press("Enter")
    page.get_by_role("button", name="Close").first.press("Enter")
    page.get_by_role("button", name="List what the user may send from").press("Enter")
    page.get_by_role("button", name="Try it out").press("Enter")
    page.get_by_role("button", name="Execute").press("Enter")
    expect(page.get_by_text('"name": null')).to_be_visible()  # the example has a name
    page.screenshot(path=images / f"api-docs-tried-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {url for url in asked if not url.startswith((live_server.url, "data:"))} == set()
    assert complaints == []
    page.context.close()
