"""An import of 10,000 rows in a browser: dry run, progress, cancel, and going on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Demo, People

pytestmark = pytest.mark.browser

ROWS = 10_000
PATIENCE = 300_000  # milliseconds


def test_an_import_of_ten_thousand_rows_shows_its_progress_and_can_be_cancelled(
    demo: Demo, people: People
) -> None:
    page = people.page("rita@southernvoice.example")
    page.goto(f"{demo.url}/admin/messaging/contact/")
    page.get_by_role("link", name="Import…").click()
    lines = ["organization;number;name", *(f"acme.example;+6141{n:07};Person {n}" for n in range(ROWS - 1))]
    lines.append("nobody.example;+61412345678;Nobody")
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": "\r\n".join(lines).encode("utf-8-sig")}
    page.get_by_label("CSV or XLSX file").set_input_files([file])  # type: ignore[list-item]
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("Checked. Nothing is imported yet.")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Import 9999 rows").click()
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of 10000 rows"))).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible(timeout=PATIENCE)
    said = page.get_by_text("rows are imported and stay").inner_text()
    found = re.search(r"The first (\d+) of 10000 rows", said)
    assert found and 0 < int(found[1]) < ROWS and int(found[1]) % 200 == 0
    page.get_by_role("link", name="Import another file").click()
    page.get_by_label("CSV or XLSX file").set_input_files([file])  # type: ignore[list-item]
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("Checked. Nothing is imported yet.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name=re.compile(r"Import \d+ rows")).click()
    expect(page.get_by_role("heading", name="Finished")).to_be_visible(timeout=PATIENCE)
    counts = [int(each) for each in page.locator(".pb-counts dd").all_inner_texts()]
    assert counts == [ROWS - 1 - int(found[1]), 0, int(found[1]), 1]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
