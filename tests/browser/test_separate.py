"""The round trip of the demo where web and worker are processes of their own, on PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from integrations.sandbox import Sandbox
from tests.browser.conftest import People
from tests.browser.test_demo import round_trip
from tests.installation import Separate

pytestmark = [pytest.mark.browser, pytest.mark.services]


def test_round_trip_through_separate_processes(
    separate: Callable[..., AbstractContextManager[Separate]], browser: Browser, settings: Any, tmp_path: Path
) -> None:
    phone = Sandbox(numbers=[("+61855555501", "The shared number")])
    phone.start()
    try:
        with separate() as patchbay:
            patchbay.redis.start()
            patchbay.fill({"name": "acme", "url": phone.api_url})
            phone.webhook_url = f"{patchbay.url}/services/generic/a{patchbay.account}"
            settings.PATCHBAY_ALLOWED_ORIGINS = [phone.origin, patchbay.url]
            web, worker = patchbay.web(), patchbay.worker()
            web.wait_until_ready(patchbay.url)
            people = People(browser, patchbay.url, phone.url)
            round_trip(people.page("alice@acme.example"), people, tmp_path)
            people.leave()
            # a text, a caption and its picture
            assert [request.answered for request in phone.received] == [200, 200, 200]
            assert patchbay.statuses() == {"delivered"}
            assert (worker.stop(), web.stop()) == (0, 0)
    finally:
        phone.stop()
