"""The same over HTTP with PostgreSQL and Redis: granian and a Celery worker as processes of their own."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from integrations.sandbox import Sandbox
from tests.installation import Separate, send, sign_in
from tests.processes import wait_for

pytestmark = pytest.mark.services


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "PNG")
    return out.getvalue()


def test_round_trip_through_separate_processes(
    separate: Callable[..., AbstractContextManager[Separate]], sandbox: Sandbox, settings: Any
) -> None:
    with separate() as patchbay:
        url = patchbay.url
        patchbay.redis.start()
        patchbay.fill({"name": "acme", "url": sandbox.api_url})
        sandbox.webhook_url = f"{url}/services/generic/a{patchbay.account}"
        settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, url]
        web, worker = patchbay.web(), patchbay.worker()
        web.wait_until_ready(url)
        alice = sign_in(url, "alice@acme.example")
        page = alice.get(f"{url}/inbox/new/").text
        number = re.search(r'<option value="(\d+)"', page)
        assert number is not None, page
        form = {
            "number": number[1],
            "to": "0412 345 678",
            "warned": "+61412345678",
            "text": "Over PostgreSQL",
        }
        sent = send(alice, url, "/inbox/new/", **form)
        thread = urlsplit(sent.url).path
        assert re.fullmatch(r"/inbox/\d+/", thread), sent.text
        picture_out = {"attachments": ("map.png", picture(), "image/png")}
        assert send(alice, url, thread, text="", files=picture_out).status_code == 200

        wait_for(lambda: len(sandbox.received) == 2, 20, lambda: worker.output)
        text, file = (json.loads(request.body) for request in sandbox.received)
        assert text == {
            "from": "+61855555501",
            "to": "+61412345678",
            "extension": "101",
            "domain": "acme.example",
            "content": "Over PostgreSQL",
        }
        assert file["media_url"].startswith(f"{url}/media/")
        assert requests.get(file["media_url"]).content == picture()
        wait_for(
            lambda: alice.get(f"{url}{thread}").text.count("status-delivered") == 2, 20, lambda: worker.output
        )

        assert sandbox.text("+61412345678", "+61855555501", "And back") == 200
        assert sandbox.picture("+61412345678", "+61855555501", "Look", picture(), "image/png") == 200
        wait_for(lambda: "And back" in alice.get(f"{url}{thread}").text, 20, lambda: worker.output)
        wait_for(lambda: alice.get(f"{url}{thread}").text.count('<img src="/inbox/files/') == 2, 20)
        assert worker.stop() == 0
        assert web.stop() == 0
