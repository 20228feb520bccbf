"""The server of `serve` on real connections: who keeps it waiting, and how it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from portal import asgi, web_server
from tests.processes import wait_for

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n"


class Serving:
    """A started server, and a connection to it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.server = web_server.WebServer(self.listener)
        self.server.start()
        self.connection = socket.create_connection(self.address)
        self.connection.settimeout(20)

    def ask(self, request: bytes) -> bytes:
        """The beginning of the answer; empty once the server has hung up."""
        self.connection.sendall(request)
        return self.hear()

    def hear(self) -> bytes:
        return self.connection.recv(65536)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(asgi, "SILENT_SECONDS", 0.2)


@pytest.fixture
def serving(impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """What is asked for at /slow it answers after a while."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(0.7)
        if scope["method"] == "POST":
            await asgi.application(scope, receive, send)
        else:
            await asgi._send(send, 200, {}, b"well")

    monkeypatch.setattr(web_server, "application", application)
    started = Serving()
    yield started
    started.connection.close()
    started.server.stop()


@pytest.mark.parametrize("said", [b"", GET[:20]])
def test_it_hangs_up_on_who_never_asks(serving: Serving, said: bytes) -> None:
    assert serving.ask(said) == b""


@pytest.mark.parametrize("said", [b"", GET[:20]])
def test_it_hangs_up_on_who_asks_once_and_then_no_more(serving: Serving, said: bytes) -> None:
    assert serving.ask(GET).startswith(b"HTTP/1.1 200 OK\r\n")
    rest = serving.ask(said)
    assert rest in (b"", b"well") and (not rest or serving.hear() == b"")


def test_who_waits_for_an_answer_gets_it(serving: Serving) -> None:
    assert serving.ask(GET.replace(b"/healthz", b"/slow")).startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_does_not_send_the_rest_is_told(serving: Serving) -> None:
    answer = serving.ask(POST + b"login=")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()


def test_what_is_too_large_is_refused_by_its_length(serving: Serving) -> None:
    answer = serving.ask(POST.replace(b"20", b"99999999"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


def test_a_long_head_is_read_but_not_one_without_end(serving: Serving) -> None:
    long = serving.ask(GET[:-2] + b"X-Odd: %s\r\n\r\n" % (b"x" * 60_000))
    assert long.startswith(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(OSError):
        for _ in range(100):
            serving.connection.sendall(b"X-Odd: %s\r\n" % (b"x" * 60_000))


def test_it_answers_what_is_under_way_and_then_stops(serving: Serving) -> None:
    serving.connection.sendall(GET.replace(b"/healthz", b"/slow"))
    with socket.create_connection(serving.address) as idle:
        wait_for(lambda: len(serving.server._server.server_state.connections) == 2)
        serving.server.stop()
        assert serving.hear().startswith(b"HTTP/1.1 200 OK\r\n")
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(serving.address)
