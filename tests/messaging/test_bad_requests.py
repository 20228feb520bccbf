"""Webhooks that are meant to break things: over real HTTP where it matters, never a 500, nothing lost."""

from __future__ import annotations

import gzip
import json
import logging
import socket
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest
from django.db import connections
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from messaging.models import Number, WebhookEvent, WebhookRequest
from messaging.webhooks import refusals
from portal.handlers import Handler
from portal.server import WebServer


@pytest.fixture
def path(private: Number) -> str:
    return f"/services/generic/a{private.account.accountid}"


def text(number: Number, content: str = "Hello") -> bytes:
    params = {"from": "+61412345678", "to": number.number, "content": content}
    return json.dumps({"method": "message", "params": params}).encode()


@pytest.fixture
def port(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The server of `serve`, on a real port."""
    monkeypatch.setitem(connections.databases["default"], "CONN_MAX_AGE", 0)  # its threads leave nothing open
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = WebServer(Handler(), listener, threads=4, max_body=25 * 1024 * 1024)
    server.start()
    yield port
    server.stop()


def answer(connection: socket.socket) -> str:
    """The status line."""
    connection.settimeout(20)
    return connection.recv(65536).split(b"\r\n")[0].decode()


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


@pytest.mark.django_db(transaction=True)
def test_real_connections(port: int, path: str, private: Number) -> None:
    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port))

    kind, body = "Content-Type: application/json", text(private)
    with connect() as gigabyte:
        gigabyte.sendall(head(path, kind, "Content-Length: 1073741824") + b"x" * 1000)
        assert answer(gigabyte) == "HTTP/1.1 413 Request Entity Too Large"
    with connect() as endless:
        endless.sendall(head(path, kind, "Transfer-Encoding: chunked"))
        with pytest.raises(OSError):
            for _ in range(2000):
                endless.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    slow = [connect() for _ in range(100)]
    for number, connection in enumerate(slow):
        connection.sendall(
            head(path, kind, "Content-Length: 900")[: None if number % 2 else -2] + b"{" * (number % 2)
        )
    with connect() as chunked:
        chunked.sendall(head(path, kind, "Transfer-Encoding: chunked"))
        for part in (body[:20], body[20:]):
            chunked.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        chunked.sendall(b"0\r\n\r\n")
        assert answer(chunked) == "HTTP/1.1 200 OK"
    for connection in slow:
        connection.close()
    assert [bytes(row.body) for row in WebhookRequest.objects.all()] == [body]
    assert WebhookEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("content_type", "body", "verdict"),
    [
        ("application/json", gzip.compress(b'{"a": "' + b"x" * 10_000_000 + b'"}'), "unparsable"),
        ("application/xml", b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>', "unparsable"),
        ("application/xml", b"<a>" * 100_000, "unparsable"),
        ("application/json", b'{"a":' * 100_000, "unparsable"),
        ("multipart/form-data; boundary=x", b"--x\r\nno end", None),
        ("application/json; charset=\xff", b"{}", "unmatched"),
    ],
)
def test_bombs_are_kept_and_refused(
    client: Client, path: str, content_type: str, body: bytes, verdict: str
) -> None:
    headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    got = client.generic("POST", path, body, content_type=content_type, headers=headers)
    assert got.status_code == 400
    kept = WebhookRequest.objects.get()
    assert (bytes(kept.body), kept.verdict) == (body, verdict or kept.verdict)
    assert WebhookEvent.objects.count() == 0


@pytest.mark.parametrize("accept", ["application/xml", "nonsense", ""])
@pytest.mark.parametrize("query", ["?format=xml", "?a=%00", ""])
def test_what_it_accepts_is_no_matter(
    client: Client, path: str, private: Number, accept: str, query: str
) -> None:
    for slash in ("", "/", "/%00"):
        body = text(private, f"to {slash}")
        got = client.post(
            path + slash + query, body, content_type="application/json", headers={"Accept": accept}
        )
        assert (got.status_code, got.content) == (200, b"")
    assert WebhookEvent.objects.count() == 3


odd = st.text(st.characters(exclude_categories=[]), max_size=30)
# WSGI has bytes of headers as characters: what is written as UTF-8, surrogates too, arrives as several.
odd_headers = odd.map(lambda text: text.encode("utf-8", "surrogatepass").decode("latin-1"))
PARTS = ["text/plain", "charset", "hex", "utf-8", "\xe9", "a", ";", "=", "*", "*0", "'", '"', "%ff", " "]
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd, inner, max_size=4),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200)
    | st.builds(
        lambda method, params: json.dumps({"method": method, "params": params}).encode(),
        st.sampled_from(["message", "file", "delivered", "failed"]),
        st.dictionaries(
            st.sampled_from(["from", "to", "content", "text", "url", "messageid", "reason"]), trees
        ),
    ),
    kind=st.sampled_from(["application/json", "application/xml", "text/plain", "multipart/form-data", ""])
    | odd_headers
    | st.lists(st.sampled_from(PARTS), max_size=12).map("".join),
    suffix=st.sampled_from(["", "/", "/a/b", "/%ff", "/%00"]),
    query=st.binary(max_size=20),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "BREW"]),
)
@example(b"\x1c", "text/plain", "", b"", "POST")
@example(b"{}", "text/plain; a*0=x; a*=y", "", b"", "POST")
@example(b"{}", "text/plain; a*=nonsense'en'x", "", b"", "POST")
@example(b"{}", "text/plain; charset=hex", "", b"a=b", "POST")
@example(b"{}", "text/plain; \xed\xa0\x80", "", b"", "POST")
def test_anything_at_all(
    wsgi: Callable[..., str], path: str, body: bytes, kind: str, suffix: str, query: bytes, method: str
) -> None:
    before = kept_or_counted()
    place = path + unquote(suffix, "latin-1")
    assert wsgi(method, place, kind, body, QUERY_STRING=query.decode("latin-1")) in (
        "200 OK",
        "400 Bad Request",
    )
    says_nothing = method in ("HEAD", "OPTIONS") or not (query or body)
    assert kept_or_counted() == before + (0 if says_nothing else 1)


def kept_or_counted() -> int:
    return sum(1 + more for more in WebhookRequest.objects.values_list("more", flat=True))


def test_what_leaves_no_trace_is_counted(
    client: Client, path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert client.post(f"/services/unknown/a{'1' * 20}").status_code == 404
        moment = refusals.time.monotonic() + 61
        monkeypatch.setattr(refusals.time, "monotonic", lambda: moment)
        client.post(f"/services/unknown/a{'1' * 20}")
        client.post(path, b"x" * (1024 * 1024 + 1), content_type="text/plain")
    place = f"POST '/services/unknown/a{'1' * 20}' from 127.0.0.1"
    assert [record.getMessage() for record in caplog.records] == [
        f"Webhooks refused, unknown service or account: 1 since the start, the latest {place}.",
        f"Webhooks refused, unknown service or account: 4 since the start, the latest {place}.",
        f"Webhooks refused, larger than 1 MiB: 1 since the start, the latest POST '{path}' from 127.0.0.1.",
    ]
    assert WebhookRequest.objects.count() == 0


@pytest.mark.parametrize("place", ["/日本", "/nothing/%FF%00", "/services/日本"])
def test_an_address_in_any_script_is_no_error(client: Client, db: None, place: str) -> None:
    assert client.get(place).status_code in (400, 404)
