"""The counter of the compose box counts segments as the server does."""

from __future__ import annotations

import json
import random

import pytest
from playwright.sync_api import Browser

from integrations.language.segments import count_segments
from tests.processes import ROOT

pytestmark = pytest.mark.browser

SCRIPT = ROOT / "messaging/static/inbox/segments.js"
TABLE = ROOT / "tests/language/segments.json"


def counted(browser: Browser, texts: list[str]) -> list[int]:
    """What the browser counts."""
    page = browser.new_page()
    page.add_script_tag(path=SCRIPT)
    # As JSON, which can hold half a surrogate pair.
    found: list[int] = page.evaluate(
        "texts => JSON.parse(texts).map(text => countSegments(text).parts)", json.dumps(texts)
    )
    page.close()
    return found


def test_segments(browser: Browser) -> None:
    cases = json.loads(TABLE.read_text())
    texts = ["".join(characters * times for characters, times in case["text"]) for case in cases]
    assert counted(browser, texts) == [case["segments"] for case in cases]


def test_any_text(browser: Browser) -> None:
    dice = random.Random(23_040)
    texts = [
        "".join(dice.choices(alphabet, k=dice.randrange(1, 400)))
        for alphabet in ("a€", "aé{\n\f", "ж😀", "a`😀")
        for _ in range(100)
    ]
    assert counted(browser, texts) == [count_segments(text) for text in texts]
