"""Caddy with deploy/Caddyfile in front of real processes: TLS, limits, slow callers, and who called."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.faults.services import message
from tests.faults.test_nginx import Echo
from tests.installation import Separate, caddy
from tests.processes import free_port, wait_for

pytestmark = pytest.mark.services


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def shakes_hands(port: int) -> bool:
    """Say whether Caddy serves its certificate; the file is written a moment before it does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            context.wrap_socket(plain, server_hostname="localhost").close()
    except OSError:
        return False
    return True


@pytest.fixture
def upstream() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_it_ends_tls_and_says_who_called(tmp_path: Path, upstream: ThreadingHTTPServer) -> None:
    port = free_port()
    proxy = caddy(tmp_path, f"https://localhost:{port}", upstream.server_port)
    try:
        root = tmp_path / "caddy/pki/authorities/local/root.crt"
        wait_for(lambda: root.exists() and shakes_hands(port), 60, lambda: proxy.output)
        answer = requests.get(
            f"https://localhost:{port}/",
            headers={
                "X-Forwarded-For": "192.0.2.1",
                "X-Forwarded-Proto": "http",
                "X_Forwarded_For": "192.0.2.2",
                "X-Forwarded_For": "192.0.2.3",
            },
            verify=str(root),
            timeout=10,
        )
        # What the caller claims is gone, however it is spelled.
        assert answer.json() == [f"localhost:{port}", "127.0.0.1", "https"]
        assert not [name for name in Echo.names[-1] if "_" in name]
        weak = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        weak.check_hostname, weak.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning):
            weak.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", port)) as plain:
            weak.wrap_socket(plain, server_hostname="localhost")
    finally:
        proxy.stop()


def test_a_slow_caller_holds_no_thread_of_the_application(
    tmp_path: Path, upstream: ThreadingHTTPServer
) -> None:
    port = free_port()
    proxy = caddy(tmp_path, f"http://localhost:{port}", upstream.server_port)
    try:
        wait_for(lambda: listens(port), 60, lambda: proxy.output)
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(
                f"POST / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 9\r\n\r\nhalf".encode()
            )
            assert requests.get(f"http://localhost:{port}/", timeout=10).status_code == 200
            assert not Echo.posts
            slow.sendall(b"-done")
            assert slow.recv(100).startswith(b"HTTP/1.1 200")
        assert Echo.posts == [b"half-done"]
    finally:
        Echo.posts.clear()
        Echo.names.clear()
        proxy.stop()


def test_webhooks_come_through_as_they_were_sent(
    separate: Callable[..., AbstractContextManager[Separate]], tmp_path: Path
) -> None:
    with separate() as patchbay:
        patchbay.fill({"name": "acme", "url": "http://127.0.0.1:9/"})
        patchbay.redis.start()
        port = free_port()
        server = patchbay.web(port, PATCHBAY_TRUSTED_PROXIES="1")
        patchbay.processes.append(caddy(tmp_path, patchbay.url, port))
        server.wait_until_ready(patchbay.url)
        url = f"{patchbay.url}/services/generic/a{patchbay.account}"
        body = json.dumps(message(1)).encode()
        for path in ("", "/", "/a%2Fb?x=%41&y=1"):
            answer = requests.post(
                url + path, iter([body[:20], body[20:]]), headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.content) == (200, b"")
        assert requests.post(url, b"x" * (1024 * 1024 + 1), timeout=10).status_code == 413
        # Caddy 2.6 says 502 for what is larger than its own limit.
        assert requests.post(url, b"x" * (27 * 1024 * 1024), timeout=10).status_code in (413, 502)
        rows = patchbay.query("SELECT path, ip, verdict FROM messaging_webhookrequest ORDER BY id")
        assert rows == [(path, "127.0.0.1", "accepted") for path in ("", "/", "/a/b")]
