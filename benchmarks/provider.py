"""A provider that costs next to nothing: `python -m benchmarks.provider PORT DELAY_MS`.

It answers each POST after the delay with an id, and notes when each text, a number, arrived. GET gives
`{"number": monotonic seconds}` of all that arrived since the last GET.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_TEXT = re.compile(rb'"(?:content|text)": *"(\d+)"')

arrived: dict[str, float] = {}


class Provider(asyncio.Protocol):
    """One kept connection; requests come one after the other."""

    delay = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.buffer, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < size:
                return
            request, self.buffer = self.buffer[:size], self.buffer[size:]
            if request.startswith(b"GET"):
                self.write(json.dumps(arrived).encode())
                arrived.clear()
            else:
                self.take(request[end:])

    def take(self, body: bytes) -> None:
        text = _TEXT.search(body)
        assert text, body
        arrived[text[1].decode()] = time.monotonic()
        answer = b'{"data":{"id":"id-%s"}}' % text[1]
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.write, answer)
        else:
            self.write(answer)

    def write(self, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )


async def main(port: int, delay: float) -> None:
    Provider.delay = delay
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) / 1000))
