"""The same over HTTP with PostgreSQL and Redis: granian and a Celery worker as processes of their own."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
import requests
from cryptography.fernet import Fernet
from PIL import Image

from integrations.sandbox import Sandbox
from tests.processes import Process, free_port, wait_for

pytestmark = pytest.mark.services


@pytest.fixture
def database() -> Iterator[str]:
    """A fresh database on the server of PATCHBAY_TEST_SERVER."""
    server = os.environ["PATCHBAY_TEST_SERVER"]
    name = f"patchbay_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def sign_in(url: str, email: str) -> requests.Session:
    session = requests.Session()
    session.get(f"{url}/account/login/").raise_for_status()
    answer = session.post(
        f"{url}/account/login/",
        data={
            "login": email,
            "password": "correct-horse-battery",
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
        },
        headers={"Referer": url},
    )
    assert "Sign out" in answer.text
    return session


def send(session: requests.Session, url: str, path: str, **form: object) -> requests.Response:
    files = form.pop("files", None)
    return session.post(
        f"{url}{path}",
        data={"uuid": str(uuid4()), "csrfmiddlewaretoken": session.cookies["csrftoken"], **form},
        files=files,  # type: ignore[arg-type]
        headers={"Referer": url},
    )


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "PNG")
    return out.getvalue()


def test_round_trip_through_separate_processes(
    database: str, sandbox: Sandbox, settings: Any, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://localhost:{port}"
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, url]
    environment = {
        "DATABASE_URL": database,
        "REDIS_URL": os.environ["PATCHBAY_TEST_REDIS_URL"],
        "PATCHBAY_SECRET_KEY": "only-for-this-test-and-long-enough-0123456789abcdef",
        "PATCHBAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PATCHBAY_PUBLIC_URL": url,
        "PATCHBAY_ALLOWED_ORIGINS": f"{sandbox.origin} {url}",
        "PATCHBAY_DATA": str(tmp_path / "data"),
    }
    log = tmp_path / "log"
    Process.manage("install", "-v0", environment=environment, log=log).finish()
    fill = Process([sys.executable, "-m", "tests.faults.fill", sandbox.api_url, "0"], environment, log)
    account = fill.finish().strip().splitlines()[-1]
    sandbox.webhook_url = f"{url}/services/generic/a{account}"
    web = Process(
        [
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--port",
            str(port),
            "portal.wsgi:application",
        ],
        environment,
        log,
    )
    worker = Process(
        [sys.executable, "-m", "celery", "-A", "portal", "worker", "--pool", "threads", "--without-mingle"],
        environment,
        log,
    )
    try:
        web.wait_until_ready(url)
        alice = sign_in(url, "alice@acme.example")
        page = alice.get(f"{url}/inbox/new/").text
        number = re.search(r'<option value="(\d+)"', page)
        assert number is not None, page
        sent = send(alice, url, "/inbox/new/", number=number[1], to="0412 345 678", text="Over PostgreSQL")
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
        wait_for(lambda: alice.get(f"{url}{thread}").text.count("delivered") == 2, 20, lambda: worker.output)

        assert sandbox.text("+61412345678", "+61855555501", "And back") == 200
        assert sandbox.picture("+61412345678", "+61855555501", "Look", picture(), "image/png") == 200
        wait_for(lambda: "And back" in alice.get(f"{url}{thread}").text, 20, lambda: worker.output)
        wait_for(lambda: alice.get(f"{url}{thread}").text.count('<img src="/inbox/files/') == 2, 20)
        assert worker.stop() == 0
        assert web.stop() == 0
    finally:
        worker.kill()
        web.kill()
