"""Webhooks as the web server hands them over, past Django."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from messaging.models import Number, WebhookRequest
from messaging.receiving import receive, storing
from portal import wsgi


def call(path: str, body: bytes = b"", **environ: Any) -> tuple[str, dict[str, str], bytes]:
    """What the application answers to a POST."""
    got: list[Any] = []
    given = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "192.0.2.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        **environ,
    }
    answer = wsgi.application(given, lambda status, headers, _=None: got.extend((status, headers)))  # type: ignore[arg-type,return-value]
    status, headers = got
    return status, {name.lower(): value for name, value in headers}, b"".join(answer)


@pytest.fixture(autouse=True)
def looked_after(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the connection was looked after, which would close the one that is a test's."""
    times: list[int] = []
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: times.append(1))
    return times


@pytest.fixture
def path(private: Number) -> str:
    return f"/services/generic/a{private.account.accountid}"


@pytest.fixture
def body(private: Number) -> bytes:
    params = {"from": "+61412345678", "to": private.number, "content": "Hello"}
    return json.dumps({"method": "message", "params": params}).encode()


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_webhook_is_kept_as_it_came(path: str, body: bytes, slash: str) -> None:
    environ = {"QUERY_STRING": "a=%41&b", "HTTP_X_SIGNATURE": "s", "HTTP_HOST": "localhost"}
    status, headers, content = call(path + slash, body, **environ)
    assert (status, content) == ("200 OK", b"")
    assert headers["content-type"] == "text/plain"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in headers["content-security-policy"]
    row = WebhookRequest.objects.get()
    assert (row.method, row.path, row.ip, bytes(row.query)) == ("POST", slash, "192.0.2.1", b"a=%41&b")
    assert bytes(row.body) == body
    assert row.headers == {
        "x-signature": "s",
        "host": "localhost",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }


def test_it_answers_as_through_django(client: Client, path: str, body: bytes) -> None:
    for given in (b"not JSON", body):
        status, headers, content = call(path, given)
        through = client.post(path, given, content_type="application/json")
        assert (int(status[:3]), content) == (through.status_code, through.content)
        assert headers == {name.lower(): value for name, value in through.items()}


def test_unknown_ones_are_answered_alike(path: str, body: bytes) -> None:
    answers = [call(path.replace("generic", "other"), body), call(f"/services/generic/a{'1' * 20}", body)]
    assert answers[0] == answers[1]
    assert answers[0][::2] == ("404 Not Found", b"There is no such webhook.\n")
    assert WebhookRequest.objects.count() == 0


@pytest.mark.parametrize("declared", [str(1024 * 1024 + 1), "9" * 20])
def test_what_is_too_large_is_not_read(path: str, declared: str) -> None:
    status, _, _ = call(path, CONTENT_LENGTH=declared, **{"wsgi.input": None})
    assert status == "413 Request Entity Too Large"
    assert WebhookRequest.objects.count() == 0


@pytest.mark.parametrize("declared", ["", "-5", "²", "many"])
def test_a_length_that_is_none_means_no_body(path: str, body: bytes, declared: str) -> None:
    status, _, _ = call(path, body, CONTENT_LENGTH=declared)
    assert status == "400 Bad Request"
    assert bytes(WebhookRequest.objects.get().body) == b""


def test_the_head_of_an_address_says_nothing(path: str) -> None:
    assert call(path, REQUEST_METHOD="HEAD")[::2] == ("200 OK", b"")


def test_the_address_is_the_public_one(path: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    accept = receive.accept

    def noted(service: str, owner: str, request: Any) -> Any:
        seen.append(request.url)
        return accept(service, owner, request)

    monkeypatch.setattr(receive, "accept", noted)
    call(path + "/gr\u00c3\u00bc\u00dfe", body, QUERY_STRING="x=a b")
    assert seen == [f"http://localhost:8000{path}/gr%C3%BC%25DFe?x=a%20b"]


@pytest.mark.parametrize("place", ["/services/", "/services/generic/", "/services/generic/a1", "/nothing"])
def test_all_else_is_djangos(db: None, looked_after: list[int], place: str) -> None:
    status, _, content = call(place)
    assert status == "404 Not Found"
    assert content.lstrip().lower().startswith(b"<!doctype html")


def test_what_cannot_be_stored_is_told(
    path: str,
    body: bytes,
    looked_after: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(batch: Any) -> Any:
        raise OperationalError("the database is away")

    monkeypatch.setattr(storing.commits, "_write", away)
    with caplog.at_level(logging.ERROR):
        status, _, content = call(path, body)
    assert (status, content[:18]) == ("500 Internal Server Error", b"This could not be ")
    assert [record.getMessage() for record in caplog.records] == [f"What came to {path!r} could not be kept."]
    assert WebhookRequest.objects.count() == 0
    assert looked_after == [1]
