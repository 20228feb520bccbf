"""The server of `serve` on real connections: slow callers, limits, and how it stops."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from portal import server
from tests.processes import wait_for

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"


class Serving:
    """A started server, and a connection to it."""

    def __init__(self, threads: int = 2, large_threads: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.server = server.WebServer(
            self.application,
            self.listener,
            threads=threads,
            large_threads=large_threads,
            max_body=100_000,
            told_of_large_bodies=("/api/",),
        )
        self.server.start()
        self.connection = self.connect()
        self.seen = 0

    def application(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Answers with the body; /slow after a while."""
        self.seen += 1
        if environ["PATH_INFO"] == "/slow":
            time.sleep(0.7)
        body: bytes = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "text/plain")])
        return [body]

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.address)
        connection.settimeout(20)
        return connection

    def stop(self) -> None:
        self.connection.close()
        self.server.stop()

    def ask(self, request: bytes) -> bytes:
        """The beginning of the response; empty once the server has closed the connection."""
        self.connection.sendall(request)
        return self.connection.recv(65536)


@pytest.fixture
def serving() -> Iterator[Serving]:
    started = Serving()
    yield started
    started.stop()


@pytest.mark.parametrize("sent", [b"", GET[:20], POST + b"Content-Length: 20\r\n\r\nhalf"])
def test_a_connection_on_which_nothing_happens_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 4)  # it looks every second
    started = Serving()
    try:
        assert started.ask(sent) == b""
    finally:
        started.stop()
    assert started.seen == 0


def test_slow_callers_hold_no_thread(serving: Serving) -> None:
    slow = [serving.connect() for _ in range(150)]
    for connection in slow:
        connection.sendall(POST + b"Content-Length: 20\r\n\r\nhalf")
    assert serving.ask(GET).startswith(b"HTTP/1.1 200 OK\r\n")
    assert serving.seen == 1
    for connection in slow:
        connection.close()


def test_a_body_in_chunks_arrives_whole(serving: Serving) -> None:
    answer = serving.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n6\r\n there\r\n0\r\n\r\n")
    while not answer.endswith(b"\r\n\r\nHello there"):
        answer += serving.connection.recv(65536)


def test_a_body_that_is_too_large_is_refused(serving: Serving) -> None:
    assert serving.ask(POST + b"Content-Length: 99999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert serving.seen == 0


def test_a_long_header_is_read_but_not_one_without_end(serving: Serving) -> None:
    long = serving.ask(GET[:-2] + b"X-Odd: %s\r\n\r\n" % (b"x" * 60_000))
    assert long.startswith(b"HTTP/1.1 200 OK\r\n")
    with serving.connect() as endless, pytest.raises(OSError):
        for _ in range(1000):
            endless.sendall(b"X-Odd: %s\r\n" % (b"x" * 60_000))


def test_it_finishes_what_is_in_progress_and_then_stops() -> None:
    serving = Serving()
    serving.connection.sendall(GET.replace(b"/healthz", b"/slow"))
    wait_for(lambda: serving.seen)
    with serving.connect() as idle:
        serving.server.stop()
        assert serving.connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert idle.recv(1) == b""
    serving.connection.close()
    with pytest.raises(ConnectionRefusedError):
        serving.connect()


def test_a_request_that_takes_too_long_to_arrive_ends(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)
    serving.connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")
    with pytest.raises(OSError):
        for _ in range(200):  # it would take 20 seconds, and there is activity all the time
            serving.connection.sendall(b"x")
            time.sleep(0.1)
    assert serving.seen == 0


@pytest.mark.parametrize(("path", "seen"), [("/echo", []), ("/api/v1/messages", [("100001", None, b"")])])
@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 100001\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n30d40\r\n" + b"x" * 200_000],
    ids=["length", "chunks"],
)
def test_the_application_says_that_a_body_is_too_large(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, path: str, seen: list[Any], body: bytes
) -> None:
    found: list[Any] = []

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        read = environ["wsgi.input"].read()
        found.append((environ["CONTENT_LENGTH"], environ.get("HTTP_TRANSFER_ENCODING"), read))
        start_response("413 Content Too Large", [("Content-Length", "0")])
        return []

    monkeypatch.setattr(serving.server._server, "application", application)
    answer = serving.ask(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + body)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert found == seen


def test_large_bodies_leave_a_thread_to_the_others() -> None:
    found = Serving(threads=2, large_threads=1)
    large = b"x" * (server.LARGE_BODY + 1)
    slow = b"POST /slow HTTP/1.1\r\nHost: localhost\r\n"
    whole = slow + f"Content-Length: {len(large)}\r\n\r\n".encode() + large
    chunks = (
        slow
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + f"{len(large):x}\r\n".encode()
        + large
        + b"\r\n0\r\n\r\n"
    )
    others = [found.connect() for _ in range(4)]
    for connection, request in zip(others, [whole, chunks] * 2, strict=True):
        connection.sendall(request)
    wait_for(lambda: found.seen == 1)
    assert found.ask(GET).startswith(b"HTTP/1.1 200")
    assert found.seen <= 3  # those that wait for the large ones' thread still do
    for connection in others:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()
    assert found.seen == 5
    found.stop()
