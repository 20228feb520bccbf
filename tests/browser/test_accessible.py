"""Each kind of page, looked at by axe and measured: at 1280 in light colours, at 390 in dark ones.

`vendor/axe.min.js` is axe-core 4.14.1 of Deque Systems (MPL 2.0), as npm has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, People
from tests.browser.test_demo import write_new

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
FOUND = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.html}`));
}"""
WIDE, NARROW = ({"width": 1280, "height": 860}, "light"), ({"width": 390, "height": 844}, "dark")


def looked_at(people: People, email: str = "", size: tuple[Any, Any] = WIDE) -> Page:
    """A page of somebody who has signed in; it carries axe, which the policy of the pages would refuse."""
    page = people.page(email, bypass_csp=True, color_scheme=size[1], reduced_motion="reduce")
    page.set_viewport_size(size[0])
    page.context.add_init_script(AXE)
    return page


def problems(page: Page) -> list[str]:
    found: list[str] = page.evaluate(FOUND)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than the screen")
    return [f"{page.url}: {problem}" for problem in found]


def visited(page: Page, url: str, paths: list[str]) -> list[str]:
    """What is wrong with the pages; a path that ends with > stands for the first row of that list."""
    found = []
    for path in paths:
        page.goto(f"{url}/{path.removesuffix('>')}")
        if path.endswith(">"):
            row = page.locator("#result_list a[href*='/change/']").first
            page.goto(f"{url}{row.get_attribute('href')}")
        found += problems(page)
    return found


OWN = ["inbox/new/", "account/notifications/", "account/tokens/", "account/sessions/", "account/2fa/",
       "account/email/", "account/password/change/", "app/offline/"]  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide and light", "narrow and dark"])
def test_the_inbox_and_what_it_opens(demo: Demo, people: People, size: tuple[Any, Any]) -> None:
    page = looked_at(people, "alice@acme.example", size)
    page.goto(f"{demo.url}/inbox/")
    write_new(page, "0412 345 678", "Is this easy to read?")
    page.locator("#note-box summary").click()
    page.get_by_label("Internal note:").fill("For us only")
    found = problems(page)
    page.get_by_role("button", name="Save the note").click()
    expect(page.locator(".remark.internal").last).to_contain_text("For us only")
    page.locator("#team summary", has_text="Snooze").click()
    found += problems(page)
    page.keyboard.press("Escape")
    page.locator(".who").click()
    found += problems(page)
    page.keyboard.press("Escape")
    page.locator("#person").click()
    expect(page.locator("#contact h2")).to_be_focused()
    found += problems(page)
    assert found + visited(page, demo.url, ["inbox/", "inbox/?show=closed", *OWN]) == []


def test_the_keyboard_leads_into_what_opens_and_back(demo: Demo, people: People) -> None:
    page = people.page("alice@acme.example")
    page.goto(f"{demo.url}/inbox/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search conversations")).to_be_focused()
    write_new(page, "0412 345 678", "By keyboard alone")
    person = page.locator("#person")
    person.press("Enter")
    expect(page.locator("#contact h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(person).to_be_focused()
    page.locator("#team summary", has_text="Snooze").press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="For an hour")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#team summary", has_text="Snooze")).to_be_focused()
    page.locator("#filter-5").press("Enter")
    expect(page.locator("#filter-5[aria-current]")).to_be_focused()


def test_a_drawer_that_covers_the_page_keeps_the_keyboard_inside(demo: Demo, people: People) -> None:
    page = looked_at(people, "alice@acme.example", NARROW)
    page.goto(f"{demo.url}/inbox/")
    write_new(page, "0412 345 678", "Who is this?")
    page.locator("#person").click()
    expect(page.locator("#contact h2")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('#drawer')"
        )
    page.keyboard.press("Escape")
    expect(page.locator("#person")).to_be_focused()


def test_without_scripts_one_reads_and_sends(demo: Demo, people: People) -> None:
    page = people.page("alice@acme.example", java_script_enabled=False)
    page.goto(f"{demo.url}/inbox/")
    page.get_by_role("link", name="New", exact=True).click()
    page.get_by_label("To", exact=True).fill("0412 345 678")
    page.get_by_label("Message", exact=True).fill("Without scripts")
    page.get_by_role("button", name="Send").click()
    if page.locator(".message").count() == 0:  # it is night there, and asked about once
        page.get_by_role("button", name="Send").click()
    expect(page.locator(".message.out .text").last).to_have_text("Without scripts")
    page.get_by_label("Message", exact=True).fill("And once more")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".message.out .text").last).to_have_text("And once more")
    page.goto(f"{demo.url}/inbox/")
    expect(page.locator("#list")).to_contain_text("And once more")


def test_a_phone_on_its_side_shows_the_thread_and_the_box(demo: Demo, people: People) -> None:
    page = people.page("alice@acme.example")
    page.set_viewport_size({"width": 844, "height": 390})
    page.goto(f"{demo.url}/inbox/")
    write_new(page, "0412 345 678", "Seen on a phone on its side")
    expect(page.locator(".message .text").last).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)


LISTS = [
    "messaging/contact/", "messaging/number/", "messaging/message/?direction__exact=out", "messaging/transfer/",
    "messaging/webhookrequest/?quarantine=yes", "messaging/servicehealth/", "portal/user/", "portal/invitation/",
]  # fmt: skip
FORMS = [
    "messaging/contact/>", "messaging/number/>", "messaging/message/>", "messaging/erasure/add/",
    "messaging/transfer/import/contacts/", "messaging/number/several/", "portal/user/>", "portal/invitation/add/",
    "portal/invitation/many/", "portal/organization/>", "integrations/integration/add/",
    "integrations/integration/>", "integrations/template/>",
]  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide and light", "narrow and dark"])
@pytest.mark.parametrize("paths", [["", *LISTS], FORMS], ids=["lists", "forms"])
def test_the_administration(demo: Demo, people: People, size: tuple[Any, Any], paths: list[str]) -> None:
    alice = people.page("alice@acme.example")
    alice.goto(f"{demo.url}/inbox/")
    write_new(alice, "0412 345 678", f"For {len(paths)} pages in {size[1]} colours")
    page = looked_at(people, "rita@southernvoice.example", size)
    found = visited(page, demo.url, [f"admin/{path}" for path in paths])
    assert found + visited(page, demo.url, ["account/alerts/"]) == []


def test_the_entrance(demo: Demo, people: People) -> None:
    for size in (WIDE, NARROW):
        page = looked_at(people, size=size)
        assert (
            visited(page, demo.url, ["account/login/", "account/password/reset/", "account/email/nothing/"])
            == []
        )
