"""A new reseller takes on three customers with 20 numbers and 30 people, in a browser: by import, and by hand."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from integrations.sandbox import Sandbox
from tests import mailbox
from tests.browser.conftest import People
from tests.browser.test_demo import write_new
from tests.mailbox import Mailbox
from tests.processes import Process, free_port, wait_for

pytestmark = pytest.mark.browser

PASSWORD = "correct-horse-battery"
OPERATOR = "operator@patchbay.localhost"
CUSTOMERS = ("Amber Dental", "Birch Legal", "Cedar Motors")
SLOW = 120_000  # milliseconds


class Customer:
    """An organization with its people and numbers; `place` keeps those of different resellers apart."""

    def __init__(self, name: str, place: int, people: int, numbers: int) -> None:
        self.name = name
        self.domain = f"{name.split()[0].lower()}{place}.example"
        self.people = [(f"Person {n} of {name}", f"p{n}@{self.domain}", str(100 + n)) for n in range(people)]
        self.numbers = [f"+6185555{place}{n:02}" for n in range(numbers)]


def customers(reseller: int) -> list[Customer]:
    """Three customers, who have 30 people and 20 numbers together."""
    return [
        Customer(name, reseller * 10 + place, 10, numbers)
        for place, (name, numbers) in enumerate(zip(CUSTOMERS, (7, 7, 6), strict=True))
    ]


class Reseller:
    """The browser page of an account admin; each click and each field that is filled counts."""

    def __init__(self, page: Page) -> None:
        self.page, self.interactions, self._began = page, 0, time.monotonic()

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self._began) / 60

    def click(self, *names: str, within: str = "main") -> None:
        """Clicks links or buttons of the page, one after the other."""
        for name in names:
            place = self.page.locator(within)
            found = place.get_by_role("link", name=name).or_(place.get_by_role("button", name=name))
            found.first.click()
            self.interactions += 1

    def menu(self, name: str) -> None:
        self.click(name, within="nav")

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            label = re.compile(rf"^{name.replace('_', ' ')}\W*$")  # required fields have an asterisk
            self.page.get_by_label(label).first.fill(value)
            self.interactions += 1

    def choose_file(self, rows: Sequence[Sequence[str]]) -> None:
        content = "\n".join(";".join(row) for row in rows).encode()
        file: Any = {"name": "file.csv", "mimeType": "text/csv", "buffer": content}
        self.page.get_by_label("CSV or XLSX file").set_input_files([file])
        self.interactions += 1

    def import_rows(self, button: str = "") -> None:
        """Checks what was chosen or pasted, imports it, and waits until it is finished."""
        self.click(button or "Check the file")
        expect(self.page.get_by_role("heading", name="Checked. Nothing is")).to_be_visible(timeout=SLOW)
        assert self.page.locator(".pb-counts .pb-bad").count() == 0
        self.click("Import ")
        expect(self.page.get_by_role("heading", name="Finished")).to_be_visible(timeout=SLOW)


class Served:
    """A new installation with its mail, and a phone in place of the provider."""

    def __init__(self, folder: Path, letters: Mailbox, phone: Sandbox) -> None:
        port = free_port()
        self.letters, self.phone, self.url = letters, phone, f"http://localhost:{port}"
        self.process = Process.manage(
            *("serve", "--port", str(port), "--admin-password", PASSWORD),
            environment={
                "PATCHBAY_DATA": str(folder / "data"),
                "PATCHBAY_ALLOWED_ORIGINS": f"{phone.origin} {self.url}",
                "EMAIL_HOST": "127.0.0.1",
                "EMAIL_PORT": str(letters.port),
            },
            log=folder / "log",
        )
        self.process.wait_until_ready(self.url, 180)

    def link_to(self, address: str) -> str:
        """The link in the mail that invites this address."""

        def mailed() -> list[str]:
            texts = [str(each.get_payload()) for each in self.letters.letters if each["To"] == address]
            return re.findall(rf"{re.escape(self.url)}/account/invitation/[\w-]+/", "".join(texts))

        return str(wait_for(mailed, 30)[-1])

    def accept(self, people: People, address: str) -> Page:
        """Somebody opens the link of their mail, chooses a password, and signs in."""
        page = people.page()
        page.goto(self.link_to(address))
        page.get_by_label("Choose a password").fill(PASSWORD)
        page.get_by_label("The password again").fill(PASSWORD)
        page.get_by_role("button", name="Accept").click()
        people.sign_in(page, address)
        return page

    def reseller(self, people: People, name: str, address: str) -> Reseller:
        """The operator adds an account and invites its admin, who begins at the overview."""
        operator = people.page(OPERATOR)
        operator.goto(f"{self.url}/admin/portal/account/add/")
        operator.get_by_label("Name").fill(name)
        operator.get_by_role("button", name="Save", exact=True).click()
        operator.goto(f"{self.url}/admin/portal/invitation/many/")
        operator.get_by_label("One person a line").fill(f"Nell North <{address}>, account admin, , {name}")
        operator.get_by_role("button", name="Check the list").click()
        operator.get_by_role("button", name="Invite 1 person").click()
        page = self.accept(people, address)
        page.goto(f"{self.url}/admin/")
        expect(page.get_by_text("0 of 5 steps done")).to_be_visible()
        return Reseller(page)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    phone = Sandbox(numbers=[])
    phone.start()
    try:
        with mailbox.running() as letters:
            started = Served(tmp_path_factory.mktemp("onboarding"), letters, phone)
            yield started
            assert started.process.stop() == 0, started.process.output
    finally:
        phone.stop()


@pytest.fixture
def people(browser: Browser, served: Served, settings: Any) -> Iterator[People]:
    settings.PATCHBAY_ALLOWED_ORIGINS = [served.phone.origin, served.url]
    found = People(browser, served.url, served.phone.url)
    yield found
    found.leave()


def set_up_the_provider(nell: Reseller, phone: Sandbox) -> None:
    """From the account's gallery: the values once, then all organizations."""
    nell.click("Choose organizations Generic HTTP SMS", "Enter values for all")
    nell.fill(API_URL=phone.api_url, API_key="sandbox-key")
    nell.click("Save")
    expect(nell.page.get_by_text("The values are saved for all organizations")).to_be_visible()
    nell.click("Set up for all")
    expect(nell.page.get_by_text("is set up for 3 organizations. Invite their people")).to_be_visible()


def ends_with_a_text(nell: Reseller, served: Served, people: People, customer: Customer) -> None:
    """One of the 30 accepts, and texts; the text arrives, and the reseller's checklist is done."""
    nell.page.goto(f"{served.url}/admin/")
    expect(nell.page.get_by_text("3 of 5 steps done")).to_be_visible()
    expect(nell.page.get_by_text("Done as soon as somebody accepts the invitation.")).to_be_visible()
    person = served.accept(people, customer.people[-1][1])
    person.goto(f"{served.url}/inbox/")
    text = f"Good morning from {customer.name}"
    write_new(person, "0412 345 678", text)
    wait_for(lambda: any(text.encode() in each.body for each in served.phone.received), 30)
    expect(person.locator(".mark").last).to_have_text(re.compile("sent|delivered"), timeout=SLOW)
    nell.page.goto(f"{served.url}/admin/")
    expect(nell.page.get_by_text("5 of 5 steps done")).to_be_visible()
    nell.page.get_by_role("button", name="Hide this list").click()
    expect(nell.page.get_by_text("Getting started")).to_be_hidden()


def test_by_import_it_takes_less_than_60_interactions(served: Served, people: People) -> None:
    nell, mine = served.reseller(people, "Northern Voice", "nell@north.example"), customers(1)
    nell.click("Many at once Add an organization")
    nell.choose_file([["domain", "name"], *([each.domain, each.name] for each in mine)])
    nell.import_rows()
    nell.click("Set up their provider", "Choose a provider Northern Voice")
    set_up_the_provider(nell, served.phone)
    nell.click("Import people")
    rows = [[email, name, each.domain, extension] for each in mine for name, email, extension in each.people]
    nell.choose_file([["email", "name", "organization", "extension"], *rows])
    nell.import_rows()
    nell.click("Import their numbers")
    nell.choose_file(
        [
            ["organization", "number", "users"],
            *(
                [each.domain, number, ",".join(email for _name, email, _extension in each.people)]
                for each in mine
                for number in each.numbers
            ),
        ]
    )
    nell.import_rows()
    expect(nell.page.locator(".pb-counts dd").first).to_have_text("20")
    nell.click("Back to the overview")
    assert (nell.interactions < 60, nell.minutes < 10) == (True, True), (nell.interactions, nell.minutes)
    print(f"{nell.interactions} interactions by import, {nell.minutes:.1f} minutes", file=sys.stderr)
    ends_with_a_text(nell, served, people, mine[0])


def test_by_hand_it_takes_less_than_60_interactions_too(served: Served, people: People) -> None:
    nell, mine = served.reseller(people, "Western Voice", "wes@west.example"), customers(2)
    nell.click("Next: Add an organization")
    for place, each in enumerate(mine):
        nell.fill(Name=each.name, Domain=each.domain)
        nell.click("Save and add another" if place < 2 else "Save")
    nell.menu("Overview")
    nell.click("Next: Set up a messaging provider")
    set_up_the_provider(nell, served.phone)
    nell.click("Invite people", "Invite many people")
    lines = [f"{n} <{email}>, user, {ext}, {each.domain}" for each in mine for n, email, ext in each.people]
    nell.page.get_by_label("One person a line").fill("\n".join(lines))
    nell.interactions += 1
    nell.click("Check the list", "Invite 30 people")
    expect(nell.page.get_by_role("heading", name="Finished")).to_be_visible(timeout=SLOW)
    nell.menu("Numbers")
    for each in mine:
        nell.click("Add several…")
        nell.page.get_by_label("Organization of the number:").select_option(each.name)
        nell.interactions += 1
        nell.click("Continue")
        expect(nell.page.locator("[data-countries] option[value=AU]")).to_have_text("Australia +61")
        nell.fill(Numbers="\n".join(each.numbers))
        nell.page.get_by_label("Select all invited people").check()
        nell.interactions += 1
        nell.import_rows("Check the numbers")
        nell.click("Back to the list")
    expect(nell.page.locator("#result_list tbody tr")).to_have_count(20)
    print(f"{nell.interactions} interactions by hand, {nell.minutes:.1f} minutes", file=sys.stderr)
    assert (nell.interactions < 60, nell.minutes < 10) == (True, True), (nell.interactions, nell.minutes)
    ends_with_a_text(nell, served, people, mine[2])
