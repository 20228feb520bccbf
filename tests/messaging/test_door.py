"""Webhooks at their door, past Django."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from messaging.models import Number, WebhookRequest
from messaging.webhooks import accept
from portal import doors


def call(path: str, body: bytes | None = b"", **given: Any) -> doors.Answer:
    """What the door of a path answers to a POST."""
    asked: dict[str, Any] = {
        "method": "POST",
        "mount": "",
        "query": "",
        "headers": {"content-type": "application/json"},
        "ip": "192.0.2.1",
        **given,
    }
    door = doors.of(path)
    assert door is not None
    return doors.at_once(door.answer(doors.Asked(path=path, body=body, **asked)))


@pytest.fixture
def path(private: Number) -> str:
    return f"/services/generic/a{private.account.accountid}"


@pytest.fixture
def body(private: Number) -> bytes:
    params = {"from": "+61412345678", "to": private.number, "content": "Hello"}
    return json.dumps({"method": "message", "params": params}).encode()


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_webhook_is_kept_as_it_came(path: str, body: bytes, slash: str) -> None:
    headers = {"content-type": "application/json", "x-signature": "s", "host": "localhost"}
    answer = call(path + slash, body, query="a=%41&b", headers=headers)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    row = WebhookRequest.objects.get()
    assert (row.method, row.path, row.ip, bytes(row.query)) == ("POST", slash, "192.0.2.1", b"a=%41&b")
    assert (bytes(row.body), row.headers) == (body, headers)


def test_it_answers_as_through_django(client: Client, path: str, body: bytes) -> None:
    for given in (b"not JSON", body):
        answer = call(path, given)
        through = client.post(path, given, content_type="application/json")
        assert (answer.status, answer.body) == (through.status_code, through.content)
        assert answer.headers == {name.lower(): value for name, value in through.items()}


def test_unknown_ones_are_answered_alike(path: str, body: bytes) -> None:
    answers = [call(path.replace("generic", "other"), body), call(f"/services/generic/a{'1' * 20}", body)]
    assert answers[0] == answers[1]
    assert (answers[0].status, answers[0].body) == (404, b"There is no such webhook.\n")
    assert WebhookRequest.objects.count() == 0


def test_what_is_too_large_is_not_kept(client: Client, path: str) -> None:
    assert call(path, None).status == 413
    large = b"x" * (1024 * 1024 + 1)
    assert client.post(path, large, content_type="text/plain").status_code == 413
    assert WebhookRequest.objects.count() == 0


def test_the_head_of_an_address_says_nothing(path: str) -> None:
    answer = call(path, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_the_address_is_the_public_one(path: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    accept = accept.accept

    def noted(service: str, owner: str, request: Any) -> Any:
        seen.append(request.url)
        return accept(service, owner, request)

    monkeypatch.setattr(accept, "accept", noted)
    call(path + "/größe", body, query="x=a b", mount="/sms")
    assert seen == [f"http://localhost:8000/sms{path}/gr%C3%B6%C3%9Fe?x=a%20b"]


@pytest.mark.parametrize("place", ["/services/", "/services/generic/", "/services/generic/a1", "/nothing"])
def test_all_else_is_djangos(client: Client, db: None, place: str) -> None:
    assert doors.of(place) is None
    answer = client.post(place)
    assert answer.status_code == 404
    assert answer.content.lstrip().lower().startswith(b"<!doctype html")
