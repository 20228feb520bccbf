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


class Connection:
    """One kept connection that is opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: _Socket | None = None

    async def send(self, request: bytes) -> int:
        """The status of the answer."""
        loop = asyncio.get_running_loop()
        if self._socket is None or self._socket.transport.is_closing():
            _, self._socket = await loop.create_connection(_Socket, "127.0.0.1", self._port)
        return await self._socket.ask(request)

    def close(self) -> None:
        """Lets the server have its socket back: some take a hundred at most."""
        if self._socket is not None:
            self._socket.transport.close()


class _Socket(asyncio.Protocol):
    """Asks one thing after the other."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._received = b""
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._status

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4 or not self._is_whole(end):
            return
        status = _STATUS.match(self._received)
        if b"connection: close" in self._received[:end].lower():
            self.transport.close()
        self._status.set_result(int(status[1]) if status else 0)

    def _is_whole(self, end: int) -> bool:
        if length := _LENGTH.search(self._received, 0, end):
            return len(self._received) >= end + int(length[1])
        chunked = b"chunked" in self._received[:end].lower()
        return self._received.endswith(b"0\r\n\r\n") or not chunked

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._status.done():
            self._status.set_exception(exc or ConnectionError("The server closed the connection."))


async def burst(port: int, requests: Sequence[bytes], connections: int) -> None:
    """Sends all, each connection one after the other. Every answer must be 2xx or 3xx."""
    waiting = iter(requests)

    async def work() -> None:
        connection = Connection(port)
        for request in waiting:
            status = await connection.send(request)
            assert 200 <= status < 400, f"The server answered {status}."
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))


async def steady(port: int, requests: Sequence[bytes], per_second: float) -> list[float]:
    """Sends one request each 1/per_second, whatever the answers take; returns when each was sent."""
    free: list[Connection] = []
    sent: list[float] = []

    async def one(request: bytes) -> None:
        connection = free.pop() if free else Connection(port)
        status = await connection.send(request)
        assert 200 <= status < 400, f"The server answered {status}."
        free.append(connection)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for index, request in enumerate(requests):
            await asyncio.sleep(max(0.0, began + index / per_second - time.monotonic()))
            sent.append(time.monotonic())
            group.create_task(one(request))
    for connection in free:
        connection.close()
    return sent


def post(path: str, body: bytes, content_type: str, headers: Sequence[str] = ()) -> bytes:
    """A POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
