"""What no browser or proxy may keep, and whom a request may name as its host."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from messaging.models import Number
from portal.models import PersonalToken, User


def patterns(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """A path for every URL pattern, with a 1 for each of its variables."""
    for item in resolver.url_patterns:
        text = str(item.pattern)
        text = (
            re.sub(r"<[^>]+>", "1", text)
            if "(?P" not in text
            else re.sub(r"\(\?P<\w+>.*?\)(?=[/$-]|$)", "1", text)
        )
        path = prefix + text.replace("^", "").replace("\\Z", "").replace("$", "")
        if isinstance(item, URLPattern):
            yield path
        else:
            yield from patterns(item, path)


PATHS = sorted(set(patterns(get_resolver())))
PUBLIC = ["/schemas/template.json"]


def kept(client: Client, **more: Any) -> list[str]:
    """The paths with an answer that may be kept, besides those that are the same for everybody."""
    client.raise_request_exception = False
    found = {}
    for path in PATHS:
        found[path] = client.get(path, **more).get("Cache-Control", "")
    found = {path: policy for path, policy in found.items() if "no-store" not in policy}
    assert [found.pop(path) for path in PUBLIC] == ["public, max-age=3600"]
    return list(found)


def test_no_answer_may_be_kept(operator: User, alice: User, private: Number) -> None:
    assert len(PATHS) > 120
    for client in (Client(), Client()):
        assert kept(client) == []
        client.force_login(operator)
    assert kept(client) == []
    token = PersonalToken.objects.issue(alice, "One")
    assert kept(Client(), headers={"Authorization": f"Bearer {token}"}) == []


def test_what_people_read_and_programs_get_is_not_kept(alice: User, private: Number) -> None:
    client = Client()
    client.force_login(alice)
    token = {"Authorization": f"Bearer {PersonalToken.objects.issue(alice, 'One')}"}
    for answer in (
        client.get("/inbox/"),
        client.get("/inbox/changes/"),
        client.get("/account/tokens/"),
        Client().get("/api/v1/numbers", headers=token),
        Client().get("/api/v1/messages", headers=token),
        Client().post("/api/v1/messages", "{", content_type="application/json", headers=token),
        Client().get("/nothing/here"),
    ):
        assert "no-store" in answer["Cache-Control"], answer.request["PATH_INFO"]


@pytest.mark.django_db
def test_style_sheets_may_be_kept() -> None:
    answer = Client().get("/static/portal/portal.css")
    assert "public" in answer["Cache-Control"]
    answer.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 400),
        ("/account/login/", 400),
        ("/account/password/reset/", 400),
        ("/admin/", 400),
        ("/inbox/", 400),
        ("/api/v1/numbers", 400),
        ("/media/0d5cf0cb-6f4b-5a53-9c1d-6c1d0a6f2f0e/1/x/photo.jpg", 400),
        ("/nothing/here", 400),
        ("/healthz", 200),
        ("/readyz", 200),
    ],
)
@pytest.mark.django_db
def test_a_wrong_host_is_refused(path: str, status: int) -> None:
    for host in ("evil.example", "localhost:8000@evil.example", "a b", "x" * 300, "localhost\\@evil.example"):
        assert Client().get(path, headers={"Host": host}).status_code == status


def test_a_wrong_host_writes_one_line(settings: Any, db: None, caplog: pytest.LogCaptureFixture) -> None:
    settings.ADMINS = [("Ann", "ann@example.com")]
    with caplog.at_level(logging.INFO):
        for number in range(20):
            Client().get("/account/login/", headers={"Host": f"evil{number}.example\nERROR forged"})
    (line,) = caplog.records
    assert (line.levelname, line.exc_info, line.name) == ("WARNING", None, "portal.middleware")
    text = line.getMessage()
    assert ("evil0.example" in text, "\n" in text, "PATCHBAY_ALLOWED_HOSTS" in text) == (True, False, True)
    assert mail.outbox == []
