"""Connecting a service by consent, and checking its credentials, in a real browser on a desktop and a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations import oauth
from integrations.models import AccessToken, Integration
from portal.models import Organization, User
from tests.oauth_server import OAuthServer, expire, make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def opened(browser: Browser, server: LiveServer, user: User, width: int) -> Page:
    client = Client()
    client.force_login(user)
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": server.url}]
    )
    return context.new_page()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_service_is_connected_and_checked(
    browser: Browser, live_server: LiveServer, oauth_server: OAuthServer, acme: Organization,
    admin_of_acme: User, settings: Any, images: Path, width: int,
) -> None:  # fmt: skip
    settings.PUBLIC_URL = live_server.url
    integration = make(oauth_server, acme, "authorization_code")
    Integration.objects.filter(pk=integration.pk).delete()
    page = opened(browser, live_server, admin_of_acme, width)

    def picture(name: str) -> None:
        page.screenshot(path=images / f"connect-{name}-{width}.png", full_page=True)

    page.goto(
        f"{live_server.url}/admin/integrations/integration/organization/{acme.pk}/{integration.template_id}/"
    )
    picture("new")
    page.get_by_label("Client ID").fill("the-client")
    page.get_by_label("Client Secret").fill("client-secret-7")
    page.get_by_role("button", name="Check credentials").click()
    expect(page.locator("#verdict")).to_have_text(
        "Save these values and connect the integration; then you can check them."
    )
    assert page.get_by_label("Client Secret").input_value() == "client-secret-7"
    picture("typed")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#access").get_by_text("Not connected yet")).to_be_visible()
    picture("saved")
    page.get_by_role("link", name="Connect", exact=True).click()
    expect(page.get_by_text("Connected since")).to_be_visible()
    page.get_by_role("button", name="Check credentials").click()
    expect(page.locator("#verdict")).to_have_text("The provider accepts these credentials.")
    picture("connected")
    expire(Integration.objects.get())
    page.reload()
    expect(page.get_by_text("A new access token has been requested")).to_be_visible()
    picture("pending")
    oauth_server.end_sessions()
    oauth.renew_due()
    page.reload()
    expect(page.get_by_text("Must be connected again")).to_be_visible()
    picture("lost")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert AccessToken.objects.get().renew_at is None
    page.context.close()
