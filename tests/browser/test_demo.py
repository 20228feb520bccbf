"""What a newcomer does in the first five minutes, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, People

pytestmark = pytest.mark.browser


def map_picture(folder: Path) -> Path:
    """A picture to send: a little map."""
    picture = Image.new("RGB", (640, 400), "#7cc7bd")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((50, 50, 590, 350), fill="#ffffff")
    draw.line((50, 190, 590, 190), fill="#0f766e", width=18)
    draw.line((300, 50, 300, 350), fill="#8b9896", width=12)
    draw.ellipse((420, 150, 500, 230), fill="#b3261e")
    path = folder / "map.png"
    picture.save(path)
    return path


def write_new(page: Page, to: str, text: str) -> None:
    page.get_by_role("link", name="New", exact=True).click()
    with page.expect_response("**/inbox/new/about/*"):  # whether it is night there
        page.get_by_label("To", exact=True).fill(to)
    expect(page.locator("#whom.htmx-request")).to_have_count(0)
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile(r"/inbox/\d+/"))


def phone_says(phone: Page, number: str, text: str) -> None:
    phone.locator("#conversations button", has_text=number).first.click()
    phone.locator("#words").fill(text)
    phone.locator("[aria-label=Send]").click()


def round_trip(alice: Page, people: People, folder: Path) -> Page:
    """A text and a picture to the phone, delivered, and its answer; returns the phone's page."""
    write_new(alice, "0412 345 678", "Good morning! Your appointment is at 10:30. See you then.")
    expect(alice.locator(".message.out .text").last).to_contain_text("Your appointment is at 10:30")
    expect(alice.locator(".mark").last).to_have_text("delivered", timeout=15_000)

    phone = people.page()
    phone.goto(people.phone)
    expect(phone.locator("#conversations")).to_contain_text("Your appointment is at 10:30", timeout=10_000)

    alice.locator("input[type=file]").set_input_files(map_picture(folder))
    expect(alice.locator(".chosen")).to_contain_text("map.png")
    alice.get_by_label("Message", exact=True).fill("And the way to us")
    alice.get_by_label("Message", exact=True).press("Enter")
    expect(alice.locator(".message.out").last.locator("img")).to_be_visible()
    expect(alice.locator(".mark").last).to_have_text("delivered", timeout=15_000)

    phone_says(phone, "shared number", "Thank you! Can I park there?")
    expect(alice.locator(".message.in .text").last).to_have_text(
        "Thank you! Can I park there?", timeout=10_000
    )
    expect(phone.locator("#bubbles img").first).to_be_visible()
    return phone


def test_text_and_picture_out_delivered_and_answered(
    demo: Demo, people: People, tmp_path: Path, images: Path
) -> None:
    alice = people.page("alice@acme.example")
    phone = round_trip(alice, people, tmp_path)
    images.mkdir(parents=True, exist_ok=True)
    # Playwright's own screenshots add a style element, which the policy of the page refuses and reports.
    before = len(people.complaints)
    alice.screenshot(path=images / "inbox.png")
    phone.screenshot(path=images / "phone.png")
    del people.complaints[before:]


def test_the_shared_number_is_seen_by_its_two_users_and_by_nobody_else(demo: Demo, people: People) -> None:
    alice, bob, carol = (people.page(f"{name}@acme.example") for name in ("alice", "bob", "carol"))
    write_new(alice, "0412 345 678", "A question for both of us")
    bob.goto(f"{demo.url}/inbox/")
    bob.locator("#list li a").first.click()
    expect(bob.locator(".message .text", has_text="A question for both of us")).to_be_visible()
    expect(bob.locator(".author").last).to_have_text("Alice Archer")
    thread = alice.url

    phone = people.page()
    phone.goto(demo.phone)
    phone_says(phone, "shared number", "An answer for both of you")
    for page in (alice, bob):
        expect(page.locator(".message.in .text").last).to_have_text(
            "An answer for both of you", timeout=10_000
        )

    carol.goto(f"{demo.url}/inbox/")
    expect(carol.locator("#list")).to_contain_text("No open conversations.")
    missing = carol.goto(thread)
    assert missing is not None and missing.status == 404


def test_what_is_refused_says_why_and_keeps_what_was_written(demo: Demo, people: People) -> None:
    alice = people.page("alice@acme.example")
    alice.goto(f"{demo.url}/inbox/new/")
    alice.get_by_label("To", exact=True).fill("not a number")
    alice.get_by_label("Message", exact=True).fill("Kept")
    alice.get_by_role("button", name="Send").click()
    expect(alice.locator("#problem")).to_contain_text("is not a phone number")
    expect(alice.get_by_label("Message", exact=True)).to_have_value("Kept")


def test_an_admin_sets_up_the_second_organization_and_texts(demo: Demo, people: People, images: Path) -> None:
    dave = people.page("dave@globex.example")
    dave.get_by_role("link", name="Set up a messaging provider", exact=True).click()
    dave.get_by_role("link", name=re.compile("Set up Generic")).click()
    dave.get_by_label("API URL").fill(f"{demo.phone}/api/messages")
    dave.get_by_label("API key").fill("sandbox-key")
    dave.get_by_role("button", name="Save and continue to numbers").click()
    dave.goto(f"{demo.url}/admin/messaging/number/add/")
    dave.locator("#id_number").fill("+61 8 5555 5557")
    expect(dave.locator("#id_integration option:checked")).to_have_text("Generic HTTP SMS")
    expect(dave.locator("#id_country option[value=AU]")).to_have_text("Australia +61")
    dave.get_by_label("Select all users").check()
    dave.get_by_role("button", name="Save", exact=True).click()
    expect(dave.locator("#result_list")).to_contain_text("+61855555557")

    dave.goto(f"{demo.url}/inbox/")
    write_new(dave, "+61 400 111 222", "Hello from Globex")
    expect(dave.locator(".mark").last).to_have_text("delivered", timeout=15_000)

    dave.goto(f"{demo.url}/admin/messaging/message/")
    dave.locator("#result_list tbody a").first.click()
    expect(dave.locator(".pb-timeline")).to_contain_text("Generic HTTP SMS accepted the message.")
    assert "sandbox-key" not in dave.content()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen(demo: Demo, people: People, width: int) -> None:
    rita = people.page("rita@southernvoice.example")
    rita.set_viewport_size({"width": width, "height": 844})
    for path in (
        "inbox/",
        "account/password/change/",
        "admin/",
        "admin/portal/organization/",
        "admin/integrations/template/",
        "admin/integrations/integration/",
        "admin/messaging/number/",
        "admin/messaging/webhookrequest/",
    ):
        rita.goto(f"{demo.url}/{path}")
        assert rita.evaluate("document.documentElement.scrollWidth") <= width, path
