"""nginx with deploy/nginx.conf in front of real processes: TLS, limits, and requests that arrive as they were sent."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
import requests

from messaging.api.exceptions import TOO_LARGE, Problem
from tests.certificates import self_signed
from tests.faults.services import message
from tests.installation import Separate, nginx
from tests.processes import Process, free_port, wait_for

pytestmark = pytest.mark.services


def test_webhooks_come_through_as_they_were_sent(
    separate: Callable[..., AbstractContextManager[Separate]],
) -> None:
    with separate() as patchbay:
        patchbay.fill({"name": "acme", "url": "http://127.0.0.1:9/"})
        patchbay.redis.start()
        server = patchbay.behind_nginx()
        server.wait_until_ready(patchbay.url)
        url = f"{patchbay.url}/services/generic/a{patchbay.account}"

        def chunks() -> list[bytes]:
            body = json.dumps(message(1)).encode()
            return [body[:20], body[20:]]

        for path in ("", "/", "/a%2Fb?x=%41&y=1"):
            answer = requests.post(url + path, iter(chunks()), headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.content) == (200, b"")
        assert requests.post(url, b"x" * (1024 * 1024 + 1), timeout=10).status_code == 413
        assert requests.post(url, b"x" * (27 * 1024 * 1024), timeout=10).status_code == 413
        large = requests.post(f"{patchbay.url}/api/v1/messages", b"x" * (27 * 1024 * 1024), timeout=10)
        assert (large.status_code, large.headers["Content-Type"]) == (413, "application/problem+json")
        assert large.json() == Problem(TOO_LARGE, "The body is larger than 26 MiB.").as_json()
        for chunk in (b"zz\r\nx\r\n0\r\n\r\n", b"1\r\nxyz\r\n0\r\n\r\n"):
            assert status_of_chunks(patchbay.port, urlsplit(url).path, chunk) == b"HTTP/1.1 400 Bad Request"
        rows = patchbay.query("SELECT path, ip, verdict FROM messaging_webhookrequest ORDER BY id")
        assert rows == [
            ("", "127.0.0.1", "accepted"),
            ("/", "127.0.0.1", "accepted"),
            ("/a/b", "127.0.0.1", "accepted"),
        ]
        server.stop()


def status_of_chunks(port: int, path: str, chunks: bytes) -> bytes:
    """The status line for a request whose body is framed like this."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(head.encode() + chunks)
        return connection.recv(4096).partition(b"\r\n")[0]


class Echo(BaseHTTPRequestHandler):
    """Answers with what the proxy says of the caller, and keeps the bodies that it is sent."""

    posts: ClassVar[list[bytes]] = []
    names: ClassVar[list[list[str]]] = []

    def do_POST(self) -> None:
        self.posts.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def do_GET(self) -> None:
        self.names.append(list(self.headers))
        names = ("Host", "X-Forwarded-For", "X-Forwarded-Proto")
        body = json.dumps([self.headers.get(name) for name in names]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def certificate(folder: Path) -> None:
    """A certificate where nginx reads it."""
    made, key = self_signed()
    (folder / "fullchain.pem").write_bytes(made)
    (folder / "privkey.pem").write_bytes(key)


def test_it_ends_tls_and_says_who_called(tmp_path: Path) -> None:
    certificate(tmp_path)
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port = free_port()
    proxy = Process(nginx(tmp_path, port, upstream.server_port, tls=True), {}, tmp_path / "log")

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(listens, 60, lambda: proxy.output)
        answer = requests.get(
            f"https://localhost:{port}/",
            headers={"X-Forwarded-For": "192.0.2.1"},
            verify=str(tmp_path / "fullchain.pem"),
            timeout=10,
        )
        assert answer.json() == [f"localhost:{port}", "192.0.2.1, 127.0.0.1", "https"]
    finally:
        proxy.stop()
        upstream.shutdown()
        upstream.server_close()
