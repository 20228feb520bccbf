"""The inbox where things go wrong: the session ends, files are too large, answers do not come."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import Demo, People
from tests.browser.test_demo import write_new

pytestmark = pytest.mark.browser


@pytest.fixture
def alice(people: People) -> Page:
    """Alice in a conversation."""
    page = people.page("alice@acme.example")
    write_new(page, "0412 345 678", "Good morning!")
    return page


def asked(page: Page) -> list[str]:
    """The paths of the inbox that the page asks for from now on."""
    paths: list[str] = []

    def note(request: Request) -> None:
        if (path := urlsplit(request.url).path).startswith("/inbox/"):
            paths.append(path)

    page.on("request", note)
    return paths


def test_a_page_at_rest_asks_one_small_question(alice: Page, demo: Demo) -> None:
    expect(alice.locator(".mark", has_not_text="delivered")).to_have_count(0, timeout=15_000)
    alice.clock.install()
    alice.reload()  # with a clock that stands still
    paths = asked(alice)
    for _ in range(3):
        with alice.expect_response("**/inbox/changes/*") as answer:
            alice.clock.run_for(3_000)
        assert answer.value.status == 204
    assert paths == ["/inbox/changes/"] * 3
    paths.clear()
    alice.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'hidden' })")
    for _ in range(2):  # nobody looks, and the title is to say what is unread
        with alice.expect_response("**/inbox/changes/*"):
            alice.clock.run_for(15_000)
    assert paths == ["/inbox/changes/"] * 2


def test_the_draft_survives_the_end_of_the_session(alice: Page, people: People) -> None:
    thread = alice.url
    text = alice.get_by_label("Message", exact=True)
    text.fill("Do not lose me")
    alice.context.clear_cookies(name="sessionid")
    alice.get_by_role("button", name="Send").click()
    expect(alice.get_by_role("alert").filter(has_text="You have been signed out.")).to_be_visible()
    expect(text).to_have_value("Do not lose me")
    expect(alice.locator("input[type=password]")).to_have_count(0)

    alice.get_by_role("link", name="Sign in again").click()
    people.sign_in(alice, "alice@acme.example")
    assert alice.url == thread
    expect(text).to_have_value("Do not lose me")
    alice.get_by_role("button", name="Send").click()
    expect(alice.locator(".message.out .text").last).to_have_text("Do not lose me")
    expect(text).to_have_value("")
    alice.reload()
    expect(text).to_have_value("")


def test_signing_in_again_in_another_tab_is_enough(alice: Page, people: People, demo: Demo) -> None:
    alice.get_by_label("Message", exact=True).fill("Do not lose me")
    alice.context.clear_cookies(name="sessionid")
    expect(alice.get_by_role("link", name="Sign in again")).to_be_visible(timeout=10_000)
    expect(alice.locator(".message.out .text").last).to_have_text("Good morning!")
    other = alice.context.new_page()
    other.goto(f"{demo.url}/account/login/")
    people.sign_in(other, "alice@acme.example")
    other.close()
    alice.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(alice.get_by_role("link", name="Sign in again")).to_be_hidden()
    alice.get_by_role("button", name="Send").click()
    expect(alice.locator(".message.out .text").last).to_have_text("Do not lose me")


def test_the_draft_of_a_new_message_is_kept_too(people: People, demo: Demo) -> None:
    page = people.page("alice@acme.example")
    page.goto(f"{demo.url}/inbox/new/")
    page.get_by_label("To", exact=True).fill("0412 345 678")
    page.get_by_label("Message", exact=True).fill("Kept")
    page.reload()
    expect(page.get_by_label("To", exact=True)).to_have_value("0412 345 678")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Kept")


def test_files_that_are_too_large_are_refused_before_they_are_sent(alice: Page, tmp_path: Path) -> None:
    for name in ("one.bin", "two.bin"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(13 * 1024 * 1024)
    chosen = alice.locator("input[type=file]")
    chosen.set_input_files([tmp_path / "one.bin", tmp_path / "two.bin"])
    problem = alice.locator("#problem")
    expect(problem).to_contain_text("The files are larger than 25.0 MiB together.")
    alice.get_by_label("Message", exact=True).fill("With files")
    paths = asked(alice)
    alice.get_by_role("button", name="Send").click()
    expect(problem).to_contain_text("The files are larger than 25.0 MiB together.")
    thread = urlsplit(alice.url).path
    assert set(paths) <= {"/inbox/changes/", f"{thread}writing/", f"{thread}draft/"}
    alice.get_by_role("button", name="✕ two.bin").click()
    expect(problem).to_be_empty()
    expect(alice.get_by_label("Message", exact=True)).to_have_value("With files")


def answering(status: int, content_type: str, body: str) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=status, content_type=content_type, body=body)


def test_what_the_server_refuses_is_said_and_the_draft_kept(alice: Page) -> None:
    alice.get_by_label("Message", exact=True).fill("Do not lose me")
    for answer, words in (
        (answering(413, "text/html", "<h1>413</h1>"), "The files are larger than 25.0 MiB together."),
        (answering(507, "text/plain", "There is no room for this now."), "There is no room for this now."),
        (answering(500, "text/html", "<h1>500</h1>"), "Patchbay could not take the message."),
        (answering(403, "text/html", "<h1>403</h1>"), "This page is out of date."),
        (lambda route: route.abort(), "Patchbay did not answer."),
    ):
        alice.route(re.compile(r"/inbox/\d+/$"), answer, times=1)
        alice.get_by_role("button", name="Send").click()
        expect(alice.locator("#problem")).to_contain_text(words)
        expect(alice.get_by_role("button", name="Send")).to_be_enabled()
    expect(alice.get_by_label("Message", exact=True)).to_have_value("Do not lose me")
