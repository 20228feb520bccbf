"""The webhook endpoint: what it takes, and how it answers."""

from __future__ import annotations

import json
import logging
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.db import OperationalError
from django.http import HttpRequest, UnreadablePostError
from django.test import Client
from django.urls import resolve

from integrations.events import HttpResponse
from messaging.models import Number, WebhookEvent, WebhookRequest
from messaging.webhooks import accept
from messaging.webhooks.store import Webhooks
from messaging.webhooks.views import WebhookView
from portal import metrics
from portal.handlers import Request

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]


@pytest.fixture
def path(private: Number) -> str:
    return f"/services/generic/a{private.account.accountid}"


@pytest.fixture
def body(private: Number) -> bytes:
    params = {"from": "+61412345678", "to": private.number, "content": "Hello"}
    return json.dumps({"method": "message", "params": params}).encode()


def post(client: Client, path: str, body: bytes, query: str = "", **more: Any) -> Any:
    return client.generic("POST", path, body, "application/json", QUERY_STRING=query, **more)


@pytest.mark.parametrize("slash", ["", "/", "/more/of/it"])
def test_a_webhook_is_stored_as_it_came(client: Client, path: str, body: bytes, slash: str) -> None:
    answer = post(
        client, path + slash, body, "a=%41&b", REMOTE_ADDR="192.0.2.1", headers={"X-Signature": "s,ü"}
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Type"] == "text/plain"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'; ")
    assert not {"Allow", "Vary", "Set-Cookie", "Content-Language"} & set(answer.headers)
    row = WebhookRequest.objects.get()
    assert (row.method, row.path, row.ip, bytes(row.query)) == ("POST", slash, "192.0.2.1", b"a=%41&b")
    assert bytes(row.body) == body
    assert row.headers.items() >= {"content-type": "application/json", "x-signature": "s,ü"}.items()


@pytest.mark.parametrize("method", METHODS)
def test_any_method_is_stored(client: Client, path: str, body: bytes, method: str) -> None:
    answer = client.generic(method, path, body, "application/json")
    assert answer.status_code in (200, 400)
    # OPTIONS asks only whether there is somebody.
    kept = [] if method == "OPTIONS" else [method]
    assert list(WebhookRequest.objects.values_list("method", flat=True)) == kept


def test_the_head_of_a_url_has_no_body(client: Client, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("host", ["localhost", "10.0.0.7:8000", "nonsense"])
def test_a_webhook_may_name_any_host(client: Client, path: str, body: bytes, host: str) -> None:
    assert post(client, path, body, headers={"Host": host}).status_code == 200
    assert WebhookEvent.objects.count() == 1


def test_unknown_ones_are_answered_alike(client: Client, path: str, body: bytes) -> None:
    answers = [
        post(client, place, body)
        for place in (path.replace("generic", "other"), f"/services/generic/a{'1' * 20}")
    ]
    ids = {answer.headers.pop("X-Request-ID") for answer in answers}
    assert len(ids) == 2 and answers[0].headers == answers[1].headers
    for answer in answers:
        assert (answer.status_code, answer.content) == (404, b"There is no such webhook.\n")
    assert WebhookRequest.objects.count() == 0


@pytest.mark.parametrize("declared", [None, str(2 * 1024 * 1024)])
def test_a_body_that_is_too_large_is_not_stored(client: Client, path: str, declared: str | None) -> None:
    large = b"x" * (1024 * 1024 + 1) if declared is None else b"x"
    more = {} if declared is None else {"CONTENT_LENGTH": declared}
    assert post(client, path, large, **more).status_code == 413
    assert WebhookRequest.objects.count() == 0


def test_a_body_in_chunks_is_stored_whole(path: str, body: bytes) -> None:
    """As a server hands it over that says nothing of its length."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
    }
    setup_testing_defaults(environ)
    request = Request(environ)
    view = resolve(path)
    assert view.func(request, **view.kwargs).status_code == 200
    assert bytes(WebhookRequest.objects.get().body) == body


@pytest.mark.parametrize("declared", ["", "-5", "many"])
def test_a_length_that_is_nonsense_is_no_error(client: Client, path: str, body: bytes, declared: str) -> None:
    assert post(client, path, body, CONTENT_LENGTH=declared).status_code in (200, 400)


def test_the_url_is_the_public_one(
    client: Client, path: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    accepts = accept.accept

    def noted(service: str, owner: str, request: Any) -> Any:
        seen.append(request.url)
        return accepts(service, owner, request)

    monkeypatch.setattr(accept, "accept", noted)
    post(client, path + "/größe", body, "x=a b", SCRIPT_NAME="/sms")
    assert seen == [f"http://localhost:8000/sms{path}/gr%C3%B6%C3%9Fe?x=a%20b"]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "caller"),
    [(0, "192.0.2.9", "127.0.0.1"), (1, "192.0.2.9, 192.0.2.8", "192.0.2.8"), (1, "", "127.0.0.1")],
)
def test_the_caller_behind_a_proxy(
    client: Client, path: str, body: bytes, settings: Any, proxies: int, forwarded: str, caller: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    post(client, path, body, headers={"X-Forwarded-For": forwarded})
    assert WebhookRequest.objects.get().ip == caller


def test_what_cannot_be_stored_is_answered_500(
    client: Client, path: str, body: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(self: Any, batch: Any) -> Any:
        raise OperationalError("the database is away")

    monkeypatch.setattr(Webhooks, "write", away)
    with caplog.at_level(logging.ERROR):
        answer = post(client, path, body)
    assert (answer.status_code, answer.content) == (
        500,
        b"The request could not be stored. Please send it again.\n",
    )
    assert [record.getMessage() for record in caplog.records] == [f"Could not store the request to {path!r}."]
    assert WebhookRequest.objects.count() == 0


def hangs_up(*_: Any) -> bytes:
    raise UnreadablePostError


def refused() -> dict[str, float]:
    """How many webhooks have been answered with an error, by the reason."""
    return {
        sample.labels["reason"]: sample.value
        for family in metrics.registry().collect()
        if family.name == "patchbay_webhooks_refused"
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("broken off", 400),
        ("larger than 1 MiB", 413),
        ("could not be stored", 500),
        ("unknown service or account", 404),
        ("not accepted", 400),
        ("too many that are not accepted", 429),
    ],
)
def test_every_answer_with_an_error_is_counted_once(
    client: Client, path: str, body: bytes, monkeypatch: pytest.MonkeyPatch, reason: str, status: int
) -> None:
    if reason == "broken off":
        monkeypatch.setattr(HttpRequest, "read", hangs_up)
    elif reason == "larger than 1 MiB":
        body = b"x" * (1024 * 1024 + 1)
    elif reason == "could not be stored":
        monkeypatch.setattr(accept, "accept", lambda *_: 1 / 0)
    elif reason == "unknown service or account":
        path = f"/services/generic/a{'1' * 20}"
    elif status == 400:
        body = b"\xff"
    else:
        monkeypatch.setattr(accept, "accept", lambda *_: HttpResponse(429))
    before = refused()
    assert post(client, path, body).status_code == status
    grown = {name: number - before.get(name, 0) for name, number in refused().items()}
    assert {name: number for name, number in grown.items() if number} == {reason: 1}


def test_urls_lead_to_the_view(path: str) -> None:
    for slash in ("", "/", "/a\nb"):
        assert resolve(path + slash).func.view_class is WebhookView


@pytest.mark.parametrize("place", ["/services/", "/services/generic/", "/services/generic/a1", "/nothing"])
def test_all_else_is_a_page(client: Client, db: None, place: str) -> None:
    answer = client.post(place)
    assert answer.status_code == 404
    assert answer.content.lstrip().lower().startswith(b"<!doctype html")
