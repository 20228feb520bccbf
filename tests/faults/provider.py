"""A service that misbehaves, down to its bytes."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.faults.proxy import RESET


@dataclass(frozen=True)
class Request:
    """A request that was read to its end."""

    head: bytes
    body: bytes
    time: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        """The message's text."""
        return str(json.loads(self.body)["content"])


class Client:
    """One connection of a client, to be behaved badly towards."""

    def __init__(self, connection: socket.socket, provider: Provider) -> None:
        self.connection, self._provider = connection, provider
        self._file = connection.makefile("rb")

    def read(self) -> int:
        """Reads one request and counts it; returns how many have come to the provider. EOFError if none does."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := self._file.readline()):
                raise EOFError
            head += line
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        return self._provider.count(Request(head, self._file.read(length)))

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, status: str = "200 OK", body: bytes | None = None, *headers: str) -> None:
        """A whole answer, by default that of a service that has taken the message."""
        if body is None:
            body = json.dumps({"data": {"id": f"id-{len(self._provider.received)}"}}).encode()
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        self.say("\r\n".join([*lines, *headers, "", ""]).encode() + body)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def closed(self, seconds: float) -> bool:
        """Waits until the client closes, at most so long."""
        self.connection.settimeout(seconds)
        try:
            return self.connection.recv(1) == b""
        except TimeoutError:
            return False


Behaviour = Callable[[Client], Any]


class Provider:
    """Takes connections, and does with each what its `behaviour` does; then it closes it.

    `late`: the port is bound and refuses until `listen` is called.
    `deaf`: connections are not even made until `hear` is called.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        tls: ssl.SSLContext | None = None,
        late: bool = False,
        deaf: bool = False,
    ) -> None:
        self._behaviour, self._tls = behaviour, tls
        self.received: list[Request] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._callers: list[socket.socket] = []
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if deaf:
            self._fill_up()
        elif not late:
            self.listen()

    def listen(self) -> None:
        """Takes connections from now on."""
        self._socket.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def hear(self) -> None:
        """Takes connections that could not be made before."""
        for caller in self._callers:
            caller.close()
        self.listen()

    def count(self, request: Request) -> int:
        with self._lock:
            self.received.append(request)
            return len(self.received)

    def stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in [*self._open, *self._callers]:
            connection.close()

    def _fill_up(self) -> None:
        """Has so many callers wait that the system answers no other."""
        self._socket.listen(0)
        while True:
            caller = socket.socket()
            caller.settimeout(0.3)
            self._callers.append(caller)
            try:
                caller.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with suppress(OSError, EOFError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._behaviour(Client(connection, self))


def well(client: Client) -> None:
    """Answers whatever comes, as a service should."""
    while client.read():
        client.answer()


def first(behaviour: Behaviour) -> Behaviour:
    """Does this with the first request that comes, and answers all others well."""

    def behave(client: Client) -> None:
        while True:
            if client.read() == 1:
                if behaviour(client) == "close":
                    return
            else:
                client.answer()

    return behave


def once(status: str, *headers: str) -> Behaviour:
    """Answers the first request so, and all others well."""
    return first(lambda client: client.answer(status, b'{"error": {"message": "Not now."}}', *headers))


class Gate:
    """Reads requests, and holds every answer back until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.answered = 0

    def __call__(self, client: Client) -> None:
        while client.read():
            self.opened.wait()
            client.answer()
            self.answered += 1
