"""A provider that costs next to nothing: `python -m benchmarks.provider PORT`.

It answers a POST or GET of /messages with the id `id-<text>` after a delay; the text is a number. It
records when each text arrived, by path: Kannel also delivers inbound messages and reports here, which
are answered at once. /arrived returns `{path: {text: monotonic seconds}}` of everything since it was
last called; /delay/<milliseconds> sets the delay.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import defaultdict

_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_PATH = re.compile(rb"[A-Z]+ (/[^ ?]*)")
_TEXT = re.compile(rb'(?:"(?:content|text)": *"|[?&]text=)(\d+)')

arrived: defaultdict[str, dict[str, float]] = defaultdict(dict)


class Provider(asyncio.Protocol):
    """One persistent connection; requests come one after the other."""

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
            self.answer(request)

    def answer(self, request: bytes) -> None:
        found = _PATH.match(request)
        path = found[1].decode() if found else ""
        if path == "/arrived":
            self.write(json.dumps(arrived).encode())
            arrived.clear()
        elif path.startswith("/delay/"):
            Provider.delay = int(path.removeprefix("/delay/")) / 1000
            self.write(b"{}")
        else:
            self.take(path, request)

    def take(self, path: str, request: bytes) -> None:
        text = _TEXT.search(request)
        assert text, request
        arrived[path][text[1].decode()] = time.monotonic()
        answer = b'{"data":{"id":"id-%s"}}' % text[1]
        if self.delay and path == "/messages":
            asyncio.get_running_loop().call_later(self.delay, self.write, answer)
        else:
            self.write(answer)

    def write(self, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
