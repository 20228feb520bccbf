"""Nobody misses a text: in a hidden tab, without a connection, and after the session has ended."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Demo, People
from tests.browser.test_demo import phone_says, write_new
from tests.processes import wait_for

pytestmark = pytest.mark.browser

HIDE = """
Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
document.dispatchEvent(new Event('visibilitychange'));
"""
SHOW = """
delete document.visibilityState;
document.dispatchEvent(new Event('visibilitychange'));
"""
# What the page tells the system, which shows nothing in a browser without a screen.
WATCH = """
window.badges = [];
navigator.setAppBadge = async (count) => { badges.push(count); };
navigator.clearAppBadge = async () => { badges.push(0); };
window.sounds = [];
HTMLMediaElement.prototype.play = async function () { sounds.push(this.src); };
"""
ACTIVE = (
    "async () => (await navigator.serviceWorker.getRegistration('/inbox/'))?.active?.state === 'activated'"
)
SHOWN = """async () => {
  const registration = await navigator.serviceWorker.getRegistration('/inbox/');
  return (await registration.getNotifications()).map(({ title, body, tag, data }) => [title, body, tag, data.url]);
}"""


@pytest.fixture
def alice(people: People) -> Page:
    """Alice in a conversation, who is told of texts."""
    page = people.page("alice@acme.example", permissions=["notifications"])
    page.add_init_script(WATCH)
    write_new(page, "0412 345 678", "Good morning!")
    expect(page.locator(".mark", has_not_text="delivered")).to_have_count(0, timeout=15_000)
    wait_for(lambda: page.evaluate(ACTIVE))
    return page


@pytest.fixture
def phone(people: People) -> Page:
    page = people.page()
    page.goto(people.phone)
    return page


def test_a_text_is_told_while_the_tab_is_hidden(alice: Page, phone: Page) -> None:
    thread = alice.url
    alice.evaluate(HIDE)
    phone_says(phone, "shared number", "Nobody looks")
    wait_for(lambda: alice.evaluate(SHOWN), 40)
    shown = alice.evaluate(SHOWN)
    path = re.sub(r"^https?://[^/]+", "", thread)
    assert shown == [["+61412345678", "Nobody looks", f"c{path.strip('/').split('/')[-1]}", path]]
    expect(alice).to_have_title(re.compile(r"^\(1\) "))
    assert alice.evaluate("badges.at(-1)") == 1
    # It counts as unread until somebody looks.
    expect(alice.locator(".message .text").last).to_have_text("Good morning!")
    alice.evaluate(SHOW)
    expect(alice.locator(".message .text").last).to_have_text("Nobody looks")
    expect(alice).to_have_title(re.compile(r"^Inbox"), timeout=10_000)
    alice.wait_for_function("() => badges.at(-1) === 0")


def test_a_device_with_push_is_left_to_its_push_service(alice: Page, phone: Page) -> None:
    alice.evaluate("localStorage.setItem('push', document.querySelector('#notices').dataset.mark)")
    alice.add_init_script(
        "PushManager.prototype.getSubscription = async () => ({ toJSON: () => ({ endpoint: '', keys: {} }) })"
    )
    alice.reload()
    alice.wait_for_function("() => badges.length > 0")
    alice.evaluate(HIDE)
    phone_says(phone, "shared number", "Told by push")
    expect(alice.locator("#list")).to_contain_text("Told by push", timeout=30_000)
    alice.wait_for_function("() => badges.at(-1) === 1")
    assert alice.evaluate(SHOWN) == []
    alice.evaluate(SHOW)


def test_permission_is_asked_for_by_a_button_after_a_text_has_come(people: People, phone: Page) -> None:
    page = people.page("alice@acme.example")
    page.add_init_script(
        """
        window.asked = 0;
        class Permitted { static permission = 'default'; static async requestPermission() { asked += 1; return 'denied'; } }
        window.Notification = Permitted;
        """
    )
    write_new(page, "0412 345 678", "Hello again")
    offer = page.get_by_text("Be told when a text comes")
    expect(offer).to_be_hidden()
    # However late the page asks what is new: the thread is read by then.
    held: list[Route] = []
    page.route(re.compile("/inbox/news/"), lambda route: held.append(route), times=1)
    phone_says(phone, "shared number", "Something new")
    expect(page.locator(".message .text").last).to_have_text("Something new", timeout=15_000)
    wait_for(lambda: held)
    held[0].continue_()
    expect(offer).to_be_visible(timeout=15_000)
    assert page.evaluate("asked") == 0
    page.get_by_role("button", name="Turn on notifications").click()
    expect(offer).to_be_hidden()
    assert page.evaluate("asked") == 1


def test_a_sound_is_played_for_who_wants_one(alice: Page, phone: Page, demo: Demo) -> None:
    thread = alice.url
    alice.goto(f"{demo.url}/account/notifications/")
    alice.get_by_label("Play a sound").check()
    alice.get_by_role("button", name="Save").click()
    expect(alice.get_by_text("Your choices are saved.")).to_be_visible()
    alice.goto(thread)
    phone_says(phone, "shared number", "Ping")
    alice.wait_for_function("() => sounds.length === 1", timeout=15_000)
    assert "/static/notices/ping.wav" in alice.evaluate("sounds[0]")
    alice.goto(f"{demo.url}/account/notifications/")
    alice.get_by_label("Play a sound").uncheck()
    alice.get_by_role("button", name="Save").click()


def test_a_message_written_offline_is_sent_once_when_the_connection_is_back(alice: Page) -> None:
    text = alice.get_by_label("Message", exact=True)
    alice.context.set_offline(True)
    expect(alice.get_by_text("You are offline.")).to_be_visible()
    text.fill("Written in a tunnel")
    alice.get_by_role("button", name="Send").click()
    expect(alice.get_by_text("Your message is sent once the connection is back.")).to_be_visible()
    expect(text).to_have_value("Written in a tunnel")
    alice.context.set_offline(False)
    sent = alice.locator(".message.out .text", has_text="Written in a tunnel")
    expect(sent).to_have_count(1, timeout=10_000)
    expect(text).to_have_value("")
    expect(alice.get_by_text("You are offline.")).to_be_hidden()
    expect(alice.get_by_text("Your message is sent once the connection is back.")).to_be_hidden()
    alice.reload()
    expect(sent).to_have_count(1)


def test_a_message_whose_answer_was_lost_is_not_sent_twice(alice: Page) -> None:
    def lose(route: Route) -> None:
        route.fetch()  # it arrives
        alice.context.set_offline(True)
        route.abort()

    text = alice.get_by_label("Message", exact=True)
    text.fill("Once and only once")
    alice.route(re.compile(r"/inbox/\d+/$"), lose, times=1)
    alice.get_by_role("button", name="Send").click()
    expect(alice.get_by_text("Your message is sent once the connection is back.")).to_be_visible()
    alice.context.set_offline(False)
    expect(text).to_have_value("", timeout=10_000)
    alice.reload()
    expect(alice.locator(".message.out .text", has_text="Once and only once")).to_have_count(1)


def test_who_thinks_better_of_it_offline_sends_nothing(alice: Page) -> None:
    text = alice.get_by_label("Message", exact=True)
    alice.context.set_offline(True)
    text.fill("Better not")
    before = alice.locator("[name=uuid]").input_value()
    alice.get_by_role("button", name="Send").click()
    alice.get_by_role("button", name="Do not send it").click()
    text.fill("Better not, or otherwise")
    assert alice.locator("[name=uuid]").input_value() != before
    alice.context.set_offline(False)
    expect(alice.get_by_text("You are offline.")).to_be_hidden(timeout=10_000)
    alice.get_by_role("button", name="Send").click()
    expect(alice.locator(".message.out .text", has_text="Better not")).to_have_text(
        ["Better not, or otherwise"]
    )


def test_a_server_that_is_away_is_said_and_waited_for(alice: Page) -> None:
    pattern = re.compile(r"/inbox/")
    alice.route(pattern, lambda route: route.abort())
    expect(alice.get_by_text("Patchbay does not answer at the moment.")).to_be_visible(timeout=10_000)
    alice.get_by_label("Message", exact=True).fill("When you are back")
    alice.get_by_role("button", name="Send").click()
    expect(alice.get_by_text("Your message is sent once the connection is back.")).to_be_visible()
    alice.unroute(pattern)
    sent = alice.locator(".message.out .text", has_text="When you are back")
    expect(sent).to_have_count(1, timeout=15_000)


def test_waking_up_asks_at_once(alice: Page) -> None:
    alice.clock.install()
    alice.reload()
    for event in ("window.dispatchEvent(new Event('online'))", SHOW):
        with alice.expect_response("**/inbox/changes/*"):
            alice.evaluate(event)


def test_without_a_network_there_is_a_page_and_no_text_is_kept(alice: Page, demo: Demo) -> None:
    alice.reload()  # under the service worker
    alice.context.set_offline(True)
    alice.goto(f"{demo.url}/inbox/", wait_until="commit")
    expect(alice.get_by_role("heading", name="You are offline")).to_be_visible()
    alice.context.set_offline(False)
    kept = alice.evaluate(
        """async () => {
          const found = [];
          for (const name of await caches.keys()) {
            for (const request of await (await caches.open(name)).keys()) {
              const { pathname, search } = new URL(request.url);
              found.push(search ? pathname + '?v' : pathname);
            }
          }
          return found;
        }"""
    )
    assert "/app/offline/" in kept
    assert [path for path in kept if not re.fullmatch(r"/static/.+\?v|/app/offline/", path)] == []
    alice.get_by_role("link", name="Try again").click()
    expect(alice.locator("#list")).to_contain_text("+61412345678")


def test_it_can_be_installed(alice: Page) -> None:
    client = alice.context.new_cdp_session(alice)
    said = client.send("Page.getAppManifest")
    assert said["errors"] == []
    errors = client.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [error["errorId"] for error in errors] == ["in-incognito"]  # as all sessions of the tests
