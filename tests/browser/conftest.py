"""A real browser, and pages that may not break the content security policy."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.processes import ROOT, Process, free_port, wait_for


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("PATCHBAY_TEST_CHROMIUM") or shutil.which("chromium")
    assert path, "These tests need chromium: install it, or name it in PATCHBAY_TEST_CHROMIUM."
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=quiet)
        yield started
        started.close()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: docs/images with PATCHBAY_TEST_IMAGES=docs, else a folder that is thrown away."""
    if os.environ.get("PATCHBAY_TEST_IMAGES") == "docs":
        return ROOT / "docs" / "images"
    return tmp_path_factory.mktemp("images")


class Demo:
    """What `./run demo` starts, on free ports."""

    def __init__(self, folder: Path, **environment: str) -> None:
        port, phone = free_port(), free_port()
        self.url, self.phone = f"http://localhost:{port}", f"http://127.0.0.1:{phone}"
        self.process = Process(
            [
                sys.executable,
                "manage.py",
                "demo",
                "--port",
                str(port),
                "--phone-port",
                str(phone),
                "--data",
                str(folder / "data"),
            ],
            {"PATCHBAY_DEMO_PASSWORD": "correct-horse-battery", **environment},
            folder / "log",
        )
        self.process.wait_until_ready(self.url, 180)
        wait_for(lambda: "is ready at" in self.process.output)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    started = Demo(tmp_path_factory.mktemp("demo"))
    yield started
    assert started.process.stop() == 0, started.process.output


REFUSALS = (
    "Failed to load resource",
    "Response Status Error Code",
    "htmx:sendError",
    "htmx:sendAbort",
    "htmx:afterRequest",
)


class People:
    """Signs people in, each in a browser session of their own, and collects what their pages complain of."""

    def __init__(self, browser: Browser, url: str, phone: str) -> None:
        self.browser, self.url, self.phone = browser, url, phone
        self.complaints: list[str] = []

    def page(self, email: str = "", **options: Any) -> Page:
        context = self.browser.new_context(viewport={"width": 1280, "height": 860}, **options)
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " e => console.error('CSP ' + e.violatedDirective + ' ' + e.sourceFile))"
        )
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if email:
            page.goto(f"{self.url}/account/login/")
            self.sign_in(page, email)
        return page

    def sign_in(self, page: Page, email: str) -> None:
        """Fills in the sign-in form that the page shows, and goes on to where it leads."""
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill("correct-horse-battery")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/account/" not in url)

    def leave(self) -> None:
        """Closes all pages; fails if one of them complained."""
        for context in self.browser.contexts:
            context.close()
        assert self.complaints == []

    def _note(self, message: ConsoleMessage) -> None:
        # Chromium and htmx report refusals (404, 422) as errors; the tests look at what the page says of them.
        if message.type == "error" and not message.text.startswith(REFUSALS):
            self.complaints.append(message.text)


@pytest.fixture
def people(browser: Browser, demo: Demo) -> Iterator[People]:
    found = People(browser, demo.url, demo.phone)
    yield found
    found.leave()
