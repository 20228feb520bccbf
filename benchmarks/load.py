"""A load generator on kept connections: as fast as the server takes it, or at a steady rate.

It speaks to sockets by asyncio's protocols, not streams: it shares the machine with those it measures.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence

_STATUS = re.compile(rb"HTTP/1.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
# Seconds after which all must have been answered: what takes longer is broken, and is not waited for.
PATIENCE = 120


class Connection:
    """One kept connection that is opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: _Socket | None = None

    async def open(self) -> _Socket:
        """Its socket, open."""
        if self._socket is None or self._socket.transport.is_closing():
            loop = asyncio.get_running_loop()
            _, self._socket = await loop.create_connection(_Socket, "127.0.0.1", self._port)
        return self._socket

    async def send(self, request: bytes) -> int:
        """The status of the answer."""
        return await (await self.open()).ask(request)

    def close(self) -> None:
        """Lets the server have its socket back: some take a hundred at most."""
        if self._socket is not None:
            self._socket.transport.close()


class _Socket(asyncio.Protocol):
    """Asks one thing after the other."""

    transport: asyncio.Transport
    _answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        assert self._answer is not None
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4 or not self._is_whole(end):
            return
        status = _STATUS.match(self._received)
        if b"connection: close" in self._received[:end].lower():
            self.transport.close()
        self._answer.set_result(int(status[1]) if status else 0)

    def _is_whole(self, end: int) -> bool:
        if length := _LENGTH.search(self._received, 0, end):
            return len(self._received) >= end + int(length[1])
        chunked = b"chunked" in self._received[:end].lower()
        return self._received.endswith(b"0\r\n\r\n") or not chunked

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("The server closed the connection."))


async def burst(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Sends all, each connection one after the other; returns when it began. Every answer must be 2xx or 3xx.

    The connections are opened before, one by one: some servers let only a few wait for that, and the
    others try again after a second.
    """
    waiting = iter(requests)
    opened = [Connection(port) for _ in range(min(connections, len(requests)))]
    for connection in opened:
        await connection.open()

    async def work(connection: Connection) -> None:
        for request in waiting:
            status = await connection.send(request)
            assert 200 <= status < 400, f"The server answered {status}."
        connection.close()

    began = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*map(work, opened))
    return began


async def steady(port: int, requests: Sequence[bytes], per_second: float) -> list[float]:
    """Sends one request each 1/per_second, whatever the answers take; returns when each was sent."""
    free: list[Connection] = []
    sent: list[float] = []

    async def one(request: bytes) -> None:
        connection = free.pop() if free else Connection(port)
        status = await connection.send(request)
        assert 200 <= status < 400, f"The server answered {status}."
        free.append(connection)

    asked = []
    began = time.monotonic()
    for index, request in enumerate(requests):
        await asyncio.sleep(max(0.0, began + index / per_second - time.monotonic()))
        sent.append(time.monotonic())
        asked.append(asyncio.create_task(one(request)))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*asked)
    for connection in free:
        connection.close()
    return sent


async def status(port: int, request: bytes) -> int:
    """The status that one request is answered with, whatever it is."""
    connection = Connection(port)
    try:
        return await connection.send(request)
    finally:
        connection.close()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A POST request with JSON."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def get(path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
