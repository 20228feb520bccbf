"""A load generator on kept connections: as fast as the server takes it, or at a steady rate."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence

_STATUS = re.compile(rb"HTTP/1.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


class Connection:
    """One kept connection that is opened again when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None

    async def send(self, request: bytes) -> int:
        """The status of the answer."""
        if self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if length := _LENGTH.search(head):
            await self._reader.readexactly(int(length[1]))
        elif b"chunked" in head.lower():
            await self._reader.readuntil(b"0\r\n\r\n")
        if b"connection: close" in head.lower():
            self._writer.close()
            self._reader = None
        status = _STATUS.match(head)
        assert status, head
        return int(status[1])


async def burst(port: int, requests: Sequence[bytes], connections: int) -> None:
    """Sends all, each connection one after the other. Every answer must be 2xx or 3xx."""
    waiting = iter(requests)

    async def work() -> None:
        connection = Connection(port)
        for request in waiting:
            status = await connection.send(request)
            assert 200 <= status < 400, f"The server answered {status}."

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
    return sent


def post(path: str, body: bytes, content_type: str, headers: Sequence[str] = ()) -> bytes:
    """A POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
