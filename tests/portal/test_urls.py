"""All that is served is served by the views of `urls.py`, whichever server runs; the reference lists them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml
from django.core.handlers.wsgi import WSGIHandler

from portal.management.commands import document_urls
from tests.processes import ROOT, Process, free_port, wait_for

WEBHOOK = "/services/generic/a01234567890123456789"
REQUESTS = [
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/favicon.ico"),
    *((method, WEBHOOK) for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")),
    ("POST", f"{WEBHOOK}/"),
    ("POST", f"{WEBHOOK}/inbound?format=json"),
    ("GET", "/media/0d5cf0cb-6f4b-5a53-9c1d-6c1d0a6f2f0e/1/x/photo.jpg"),
    ("GET", "/api"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/docs"),
    ("POST", "/api/v1/messages"),
    ("POST", "/api/v1/messages/batch"),
    ("GET", "/api/v1/messages/0d5cf0cb-6f4b-5a53-9c1d-6c1d0a6f2f0e"),
    ("GET", "/inbox/"),
    ("POST", "/inbox/new/"),
    ("GET", "/account/login/"),
    ("GET", "/admin/"),
    ("GET", "/oauth/callback?state=x"),
    ("GET", "/nothing/here"),
]


def test_the_reference_lists_them() -> None:
    page = (ROOT / document_urls.PAGE).read_text()
    assert page == document_urls.page(), "Renew it: python manage.py document_urls"


@pytest.fixture(scope="module", params=["serve", "granian"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as it is started, but with the URL pattern of `catch_all` in place of all others."""
    folder, port = tmp_path_factory.mktemp(request.param), str(free_port())
    url = f"http://localhost:{port}"
    command = {
        "serve": ["manage.py", "serve"],
        "granian": ["-m", "granian", "--interface", "wsgi", "portal.wsgi:application"],
    }[request.param]
    environment = {"DJANGO_SETTINGS_MODULE": "tests.portal.catch_all", "PATCHBAY_DATA": str(folder / "data")}
    if request.param == "granian":
        environment["REDIS_URL"] = "redis://127.0.0.1:9/0"  # is not asked for anything
    process = Process([sys.executable, *command, "--port", port], environment, folder / "log")

    def answers() -> bool:
        assert process.popen.poll() is None, process.output
        try:
            return requests.get(url, timeout=2).status_code > 0
        except requests.RequestException:
            return False

    try:
        wait_for(answers, 60, lambda: process.output)
        yield url
    finally:
        process.kill()


@pytest.mark.parametrize(("method", "path"), REQUESTS, ids=lambda part: part)
def test_nothing_is_answered_beside_them(server: str, method: str, path: str) -> None:
    answer = requests.request(method, f"{server}{path}", timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.text) == (418, f"{method} {path}")


@pytest.mark.django_db
def test_production_serves_djangos_handler(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    from portal.wsgi import application

    assert isinstance(application, WSGIHandler)
    (command,) = re.findall(r"^CMD (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    server, *options = json.loads(command)
    assert (server, options[:2], options[-1]) == (
        "granian",
        ["--interface", "wsgi"],
        "portal.wsgi:application",
    )
    assert "command" not in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["web"]
