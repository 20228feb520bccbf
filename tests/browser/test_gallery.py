"""The gallery of services with their logos, and the warning about a logo that cannot be had."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from integrations import catalog
from tests.browser.conftest import Demo, People

pytestmark = pytest.mark.browser


def open_gallery(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/admin/integrations/integration/add/")  # leads to the only organization
    page.wait_for_load_state("networkidle")


def test_each_service_shows_its_logo_on_a_desk_and_on_a_phone(
    demo: Demo, people: People, images: Path
) -> None:
    page = people.page("carol@acme.example")
    open_gallery(page, demo)
    expect(page.locator("img.pb-logo")).to_have_count(len(catalog.slugs()))
    page.locator("img.pb-logo").last.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('img.pb-logo')].every(image => image.complete && image.naturalWidth > 0)"
    )
    page.evaluate("scrollTo(0, 0)")
    images.mkdir(parents=True, exist_ok=True)
    # Playwright's own screenshots add a style element, which the policy of the page refuses and reports.
    before = len(people.complaints)
    page.screenshot(path=images / "services.png")
    del people.complaints[before:]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Search providers").press_sequentially("nexmo")  # found while one types
    expect(page.locator(".pb-card")).to_have_count(1)
    page.get_by_role("link", name="Set up Vonage").click()
    expect(page.locator("img.pb-logo")).to_be_visible()


def test_a_logo_that_cannot_be_fetched_is_a_warning(demo: Demo, people: People) -> None:
    page = people.page("rita@southernvoice.example")
    page.goto(f"{demo.url}/admin/integrations/template/add/")
    document = {
        "id": "no-logo",
        "name": "Without a logo",
        "logo": "https://127.0.0.1/logo.png",
        "API": {"SendMessage": {"request_url": "https://x.example/"}},
    }
    page.get_by_role("link", name="Text or file").click()
    page.get_by_label("Text", exact=True).fill(json.dumps(document))
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_text("Without a logo is saved as a draft.")).to_be_visible()
    page.get_by_role("link", name="Publish").first.click()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("The template is published without a logo")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_provider_is_set_up_for_those_who_are_chosen(demo: Demo, people: People, width: int) -> None:
    page = people.page("rita@southernvoice.example")
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{demo.url}/admin/integrations/integration/add/")
    page.get_by_role("link", name="Choose a provider Southern Voice").click()
    page.get_by_label("MMS").check()
    page.get_by_label("Search providers").press_sequentially("plivo" if width == 390 else "twil")
    expect(page.locator(".pb-card")).to_have_count(1)
    page.get_by_role("link", name="Choose organizations").click()
    boxes = page.locator("input[name=organization]")
    page.get_by_label("Search organizations").press_sequentially("acme")
    expect(page.get_by_label("Search organizations")).to_have_value("acme")
    expect(boxes).to_have_count(1)
    boxes.check()  # leaving the field asks for nothing anew, which would undo the choice
    page.wait_for_load_state("networkidle")
    expect(boxes).to_be_checked()
    page.get_by_label("Search organizations").fill("")
    expect(boxes).to_have_count(2)
    page.get_by_label("Select all").check()
    expect(page.locator("input[name=organization]:checked")).to_have_count(2)
    page.get_by_role("checkbox", name="Globex Freight").uncheck()  # other tests set up its first provider
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Set up for the selected").click()
    expect(page.get_by_text("is set up for 1 organization.")).to_be_visible()


def test_what_is_typed_before_the_page_is_ready_is_searched_for(demo: Demo, people: People) -> None:
    page = people.page("alice@acme.example")
    held: list[Route] = []
    page.route(re.compile("/static/.*htmx"), lambda route: held.append(route))
    page.goto(f"{demo.url}/inbox/", wait_until="commit")
    page.wait_for_function(
        "() => performance.getEntriesByType('paint').length"
    )  # before it, keys are dropped
    field = page.get_by_label("Search conversations")
    field.press_sequentially("nobody")
    expect(field).to_have_value("nobody")
    for route in held:
        route.continue_()
    expect(page.locator("#list .nothing")).to_have_text("Nobody matches “nobody”.")
