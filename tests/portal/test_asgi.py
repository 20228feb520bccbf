"""Requests as a server's event loop hands them over, with real threads behind it."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client

from messaging.models import Number, WebhookEvent, WebhookRequest
from messaging.outbound import enqueue
from messaging.webhooks import store
from portal import asgi, memory
from portal.models import User

pytestmark = pytest.mark.django_db(transaction=True)

HUNG_UP = {"type": "http.disconnect"}


@pytest.fixture(autouse=True)
def _as_in_production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The loop must not ask the database; threads end with it, and leave no connection open."""
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE")
    monkeypatch.setitem(connections.databases["default"], "CONN_MAX_AGE", 0)
    memory.forget()
    yield
    for commits in (enqueue.commits, store.commits):
        commits.close()


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def ask(path: str, *events: dict[str, Any], **scope: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to a POST whose body comes in these events; 0: there is none."""
    given = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("192.0.2.1", 1234),
        "server": ("localhost", 80),
        "scheme": "http",
        **scope,
    }
    coming, sent = iter(events), list[Any]()

    async def receive() -> Any:
        await asyncio.sleep(0)
        return next(coming, HUNG_UP)

    async def send(event: Any) -> None:
        sent.append(event)

    await asgi.application(given, receive, send)
    if not sent:
        return 0, {}, b""
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(event.get("body", b"") for event in sent[1:])


@pytest.fixture
def path(private: Number) -> str:
    return f"/services/generic/a{private.account.accountid}"


@pytest.fixture
def body(private: Number) -> bytes:
    return said(private, "Hello")


def said(number: Number, text: str) -> bytes:
    params = {"from": "+61412345678", "to": number.number, "content": text}
    return json.dumps({"method": "message", "params": params}).encode()


def test_a_webhook_is_kept_as_it_came(path: str, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"x-twice", b"a"), (b"x-twice", b"b\xfc")]
    status, answered, content = asyncio.run(
        ask(
            f"{path}/more",
            part(body[:9], more=True),
            part(body[9:]),
            query_string=b"a=%41&b=\xfc",
            headers=headers,
        )
    )
    assert (status, content) == (200, b"")
    assert answered["content-type"] == "text/plain"
    assert answered["content-length"] == "0"
    assert answered["x-content-type-options"] == "nosniff"
    row = WebhookRequest.objects.get()
    assert (row.method, row.path, row.ip, bytes(row.body)) == ("POST", "/more", "192.0.2.1", body)
    assert bytes(row.query).decode() == "a=%41&b=ü"
    assert row.headers == {"content-type": "application/json", "x-twice": "a,bü"}
    assert WebhookEvent.objects.count() == 1


def test_it_answers_as_through_threads(client: Client, path: str, body: bytes) -> None:
    for place, given in ((path, b"not JSON"), (path, body), (path.replace("generic", "other"), body)):
        status, headers, content = asyncio.run(ask(place, part(given)))
        through = client.post(place, given, content_type="application/json")
        assert (status, content) == (through.status_code, through.content)
        assert int(headers.pop("content-length")) == len(content)
        assert headers == {name.lower(): value for name, value in through.items()}


def test_what_is_remembered_is_answered_on_the_loop(
    path: str, private: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Any] = []
    to_thread = asyncio.to_thread

    async def noted(*arguments: Any) -> Any:
        threads.append(arguments[0])
        return await to_thread(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", noted)

    async def course() -> list[int]:
        for text in ("one", "two", "x" * asgi.SHORT):
            assert (await ask(path, part(said(private, text))))[0] == 200
            counts.append(len(threads))
        return counts

    counts: list[int] = []
    assert asyncio.run(course()) == [1, 1, 2]
    assert WebhookEvent.objects.count() == 3


def test_what_is_too_large_or_breaks_off_is_not_kept(path: str, body: bytes) -> None:
    large = asyncio.run(ask(path, part(b"x" * 1024 * 1024, more=True), part(b"x", more=True)))
    assert large[0] == 413
    assert asyncio.run(ask(path, part(body, more=True), HUNG_UP)) == (0, {}, b"")
    assert WebhookRequest.objects.count() == 0


def test_what_cannot_be_stored_is_told(
    path: str, body: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(batch: Any) -> Any:
        raise OperationalError("the database is away")

    def looked_after() -> None:
        times.append(1)
        connection.close_if_unusable_or_obsolete()

    times: list[int] = []
    monkeypatch.setattr(store.commits, "_write", away)
    # The thread must not keep a broken one.
    monkeypatch.setattr(asgi, "connection", SimpleNamespace(close_if_unusable_or_obsolete=looked_after))
    with caplog.at_level(logging.ERROR):
        status, _headers, content = asyncio.run(ask(path, part(body)))
    assert (status, content) == (500, b"This could not be kept. Please send it again.\n")
    assert [record.getMessage() for record in caplog.records] == [f"What came to {path!r} could not be kept."]
    assert WebhookRequest.objects.count() == 0
    assert times == [1]


@pytest.mark.parametrize("declared", [b"", b"-5", b"\xb2", b"many", b"5"])
def test_a_length_is_believed_only_to_be_too_large(path: str, body: bytes, declared: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", declared)]
    assert asyncio.run(ask(path, part(body), headers=headers))[0] == 200
    assert bytes(WebhookRequest.objects.get().body) == body


@pytest.mark.parametrize("declared", [b"1048577", b"9" * 20])
def test_what_is_declared_too_large_is_not_read(path: str, declared: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", declared)]
    assert asyncio.run(ask(path, headers=headers))[0] == 413
    assert WebhookRequest.objects.count() == 0


FORM = [(b"content-type", b"application/x-www-form-urlencoded"), (b"host", b"localhost")]


def test_pages_are_djangos() -> None:
    get = {"method": "GET", "headers": FORM}
    status, _, content = asyncio.run(ask("/account/login/", part(b""), **get))
    assert status == 200 and b"csrfmiddlewaretoken" in content
    assert asyncio.run(ask("/services/generic/a1", part(b""), **get))[0] == 404
    odd = asyncio.run(ask("/account/login/", part(b""), **get, query_string=b"next=/\xfc\xff"))
    assert odd[0] == 200


def test_a_form_arrives_whole_or_not_at_all(alice: User) -> None:
    client = Client()
    token = client.get("/account/login/").cookies["csrftoken"].value
    length = b"csrfmiddlewaretoken=%s&login=alice@acme.example&password=nonsense" % token.encode()
    headers = [
        *FORM,
        (b"cookie", f"csrftoken={token}".encode()),
        (b"content-length", b"%d" % len(length)),
    ]
    asked = {"headers": headers}
    status, _, content = asyncio.run(
        ask("/account/login/", part(length[:5], more=True), part(length[5:]), **asked)
    )
    assert status == 200 and b"alice@acme.example" in content
    assert asyncio.run(ask("/account/login/", part(length, more=True), **asked)) == (0, {}, b"")


def test_a_page_takes_no_more_than_the_largest_upload(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    parts = [part(b"x" * 1024 * 1024, more=True), part(b"x" * 1001, more=True)]
    assert asyncio.run(ask("/account/login/", *parts, headers=FORM))[::2] == (413, b"This is too large.\n")


def test_a_full_disk_is_told(settings: Any) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        answer = asyncio.run(ask("/account/login/", part(b"x" * 20_000), headers=FORM))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer[::2] == (507, b"There is no room for this now. Tell an administrator.\n")
