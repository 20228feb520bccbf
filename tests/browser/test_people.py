"""People in a real browser: invited by mail, with a passkey, and with another provider."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import identity_server, mailbox
from tests.browser.conftest import Demo, People
from tests.browser.test_demo import write_new
from tests.identity_server import CLIENT, IdentityServer
from tests.mailbox import Mailbox
from tests.processes import wait_for

pytestmark = pytest.mark.browser
RITA = "rita@southernvoice.example"


@pytest.fixture(scope="module")
def letters() -> Iterator[Mailbox]:
    with mailbox.running() as found:
        yield found


@pytest.fixture(scope="module")
def identities() -> Iterator[IdentityServer]:
    with identity_server.running() as found:
        yield found


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, letters: Mailbox, identities: IdentityServer
) -> Iterator[Demo]:
    started = Demo(
        tmp_path_factory.mktemp("people"),
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=str(letters.port),
        PATCHBAY_OIDC_ISSUER=identities.issuer,
        PATCHBAY_OIDC_NAME="Acme ID",
        PATCHBAY_OIDC_CLIENT_ID=CLIENT[0],
        PATCHBAY_OIDC_CLIENT_SECRET=CLIENT[1],
    )
    yield started
    assert started.process.stop() == 0, started.process.output


@pytest.fixture
def visitors(browser: Browser, served: Demo) -> Iterator[People]:
    found = People(browser, served.url, served.phone)
    yield found
    found.leave()


def to_nora(letters: Mailbox) -> list[Message]:
    return [letter for letter in letters.letters if letter["To"] == "nora@acme.example"]


def test_from_the_mail_with_the_invitation_to_the_first_text(
    served: Demo, visitors: People, letters: Mailbox
) -> None:
    rita = visitors.page(RITA)
    rita.goto(f"{served.url}/admin/portal/invitation/many/")
    rita.get_by_label("One person a line").fill(
        "Nora New <nora@acme.example>, user, 150, acme.example\nNobody, user"
    )
    rita.get_by_role("button", name="Check the list").click()
    expect(rita.get_by_text("1 person can be invited")).to_be_visible()
    expect(rita.get_by_text("Begin the line with a name and an address")).to_be_visible()
    assert to_nora(letters) == []
    rita.get_by_role("button", name="Invite 1 person").click()
    expect(rita.get_by_text("1 invitation has been sent.")).to_be_visible()
    wait_for(lambda: to_nora(letters))
    (letter,) = to_nora(letters)
    found = re.search(rf"{re.escape(served.url)}/account/invitation/[\w-]+/", letter.get_payload())
    assert found

    nora = visitors.page()
    nora.goto(found[0])
    expect(nora.get_by_label("Your name")).to_have_value("Nora New")
    nora.get_by_label("Choose a password").fill("correct-horse-battery")
    nora.get_by_label("The password again").fill("correct-horse-battery")
    nora.get_by_role("button", name="Accept").click()
    visitors.sign_in(nora, "nora@acme.example")

    rita.goto(f"{served.url}/admin/messaging/number/")
    rita.locator("#result_list a[href*='/change/']").first.click()
    rita.get_by_label("Nora New").check()
    rita.get_by_role("button", name="Save", exact=True).click()
    nora.goto(f"{served.url}/inbox/")
    write_new(nora, "0412 345 678", "My first text")
    expect(nora.locator(".mark").last).to_have_text("delivered", timeout=20_000)


def with_authenticator(page: Page) -> None:
    """Gives the browser a phone that keeps passkeys, and always recognizes its owner."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    verified = {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, **verified}})


def test_a_passkey_is_added_renamed_used_and_removed(served: Demo, visitors: People) -> None:
    bob = visitors.page("bob@acme.example")
    with_authenticator(bob)
    bob.goto(f"{served.url}/account/2fa/webauthn/add/")
    bob.get_by_label("Password").fill("correct-horse-battery")  # once more
    bob.locator("main button").first.click()
    bob.get_by_label("Name").fill("My phone")
    bob.get_by_role("button", name="Add").click()
    bob.wait_for_url("**/recovery-codes/**")
    bob.goto(f"{served.url}/account/2fa/webauthn/")
    bob.get_by_role("link", name="Rename My phone").click()
    bob.get_by_label("Name").fill("Old phone")
    bob.get_by_role("button", name="Save").click()
    expect(bob.get_by_text("instead of the password")).to_be_visible()

    bob.context.clear_cookies()
    bob.goto(f"{served.url}/account/login/")
    bob.get_by_role("button", name="Use a passkey").click()
    bob.wait_for_url("**/inbox/")

    bob.goto(f"{served.url}/account/sessions/")
    expect(bob.get_by_text("this one")).to_be_visible()
    expect(bob.get_by_text("Chrome, Linux").first).to_be_visible()
    bob.get_by_role("button", name="End all others").click()
    expect(bob.get_by_text("1 session has ended.")).to_be_visible()

    bob.goto(f"{served.url}/account/2fa/webauthn/")
    bob.get_by_role("link", name="Remove Old phone").click()
    password, remove = bob.get_by_label("Password"), bob.get_by_role("button", name="Remove")
    expect(password.or_(remove)).to_be_visible()
    if password.is_visible():  # if a slow machine took longer than a password is remembered
        password.fill("correct-horse-battery")
        bob.locator("main button").first.click()
    remove.click()
    bob.goto(f"{served.url}/account/2fa/webauthn/")
    expect(bob.get_by_text("You have no passkey yet.")).to_be_visible()


def test_the_button_of_another_provider_signs_in(
    served: Demo, visitors: People, identities: IdentityServer
) -> None:
    identities.claims = {"sub": "7", "email": "alice@acme.example", "email_verified": True}
    alice = visitors.page()
    alice.goto(f"{served.url}/account/login/?next=/inbox/new/")
    alice.get_by_role("link", name="Sign in with Acme ID").click()
    alice.wait_for_url("**/inbox/new/")
    alice.goto(f"{served.url}/account/sessions/")
    expect(alice.get_by_text("Acme ID")).to_be_visible()
