"""The door over real connections: what it refuses never arrives, what it sends arrives once and verbatim."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from integrations import http
from integrations.events import Fault, HttpRequest, HttpResponse
from integrations.http import guard
from portal import __version__
from tests.certificates import self_signed
from tests.processes import free_port

Talk = Callable[[socket.socket, bytes], bool]
Ask = Callable[..., HttpResponse | Fault]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Counts connections and requests; `talk` answers a request and says whether the connection stays."""

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.talk, self.tls = talk, tls
        self.connections = 0
        self.requests: list[bytes] = []
        self.listener = socket.create_server((host, free_port()))
        self.port = self.listener.getsockname()[1]
        self.origin = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self) -> None:
        while not self.over.is_set():
            connection, _ = self.listener.accept()
            if self.over.is_set():
                connection.close()
                return
            self.connections += 1
            self.threads.append(threading.Thread(target=self.serve, args=(connection,)))
            self.threads[-1].start()

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            while request := read_request(connection):
                self.requests.append(request)
                if not self.talk(connection, request):
                    break
        connection.close()

    def close(self) -> None:
        self.over.set()
        with socket.socket() as last, suppress(OSError):
            last.connect(self.listener.getsockname())
        for thread in self.threads:
            thread.join(12)
        self.listener.close()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(4096)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


def say(answer: bytes, stay: bool = True) -> Talk:
    def talk(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(answer)
        return stay

    return talk


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def serve(settings: Any) -> Iterator[Callable[..., Server]]:
    """Starts servers; `allow=False` leaves the origin off the allow-list."""
    servers: list[Server] = []
    settings.PATCHBAY_ALLOWED_ORIGINS = []

    def start(talk: Talk | bytes = OK, allow: bool = True, **options: Any) -> Server:
        server = Server(say(talk) if isinstance(talk, bytes) else talk, **options)
        servers.append(server)
        if allow:
            settings.PATCHBAY_ALLOWED_ORIGINS = [*settings.PATCHBAY_ALLOWED_ORIGINS, server.origin]
        return server

    yield start
    http.stop()
    for server in servers:
        server.close()


def by_send(url: str, *, timeout: float = 5, **rest: Any) -> HttpResponse | Fault:
    method = rest.get("method", "GET")
    request = HttpRequest(method, url, rest.get("headers") or {}, rest.get("body"), timeout)
    return http.send(request).result(15)


def by_fetch(url: str, *, timeout: float = 5, **rest: Any) -> HttpResponse | Fault:
    return http.fetch(url, timeout=timeout, **{"max_bytes": 256 * 1024, **rest})


both = pytest.mark.parametrize("ask", [by_send, by_fetch])


def fault(answer: HttpResponse | Fault) -> Fault:
    assert isinstance(answer, Fault), answer
    return answer


def response(answer: HttpResponse | Fault) -> HttpResponse:
    assert isinstance(answer, HttpResponse), answer
    return answer


# --- what is sent, and what comes back


@both
def test_request_and_answer_are_verbatim(serve: Callable[..., Server], ask: Ask) -> None:
    server = serve(answer("429 Slow Down", "Retry-After: 7", "X-A: 1", "X-A: 2", body=b'{"a": 1}'))
    got = response(
        ask(
            server.origin + "/p?q=%2B+b",
            method="POST",
            headers={"X-Key": "clé"},
            body='{"t": "\U0001f600"}'.encode(),
        )
    )
    assert got.status == 429
    assert got.body == b'{"a": 1}'
    assert got.headers == {"content-length": "8", "retry-after": "7", "x-a": "1, 2"}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /p?q=%2B+b HTTP/1.1"
    assert "X-Key: clé".encode() in lines
    assert f"User-Agent: Patchbay/{__version__}".encode() in lines
    assert not any(line.lower().startswith((b"content-type", b"cookie", b"authorization")) for line in lines)
    assert body == '{"t": "\U0001f600"}'.encode()


def test_send_does_not_respell_the_url(serve: Callable[..., Server]) -> None:
    server = serve()
    response(by_send(server.origin + "/%41%2f~?a=%41&b=%c3%a9+x"))
    assert server.requests[0].startswith(b"GET /%41%2f~?a=%41&b=%c3%a9+x HTTP/1.1\r\n")


@both
def test_no_cookie_is_kept(serve: Callable[..., Server], ask: Ask) -> None:
    server = serve(answer("200 OK", "Set-Cookie: a=b; Path=/"))
    ask(server.origin)
    ask(server.origin)
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


@both
def test_no_proxy_and_no_netrc_from_the_environment(
    serve: Callable[..., Server], ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server, proxy = serve(), serve()
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.origin)
    assert response(ask(server.origin)).body == b"ok"
    assert proxy.connections == 0
    assert b"authorization" not in server.requests[0].lower()


def test_send_keeps_connections_open(serve: Callable[..., Server]) -> None:
    server = serve()
    for _ in range(3):
        response(by_send(server.origin))
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_connection_idle_for_4_seconds_is_closed(serve: Callable[..., Server]) -> None:
    closed = threading.Event()

    def talk(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(OK)
        if connection.recv(1) == b"":
            closed.set()
        return False

    response(by_send(serve(talk).origin))
    begun = time.monotonic()
    assert closed.wait(8)
    assert 3 < time.monotonic() - begun < 7


@both
def test_the_door_works_after_stop(serve: Callable[..., Server], ask: Ask) -> None:
    server = serve()
    response(ask(server.origin))
    http.stop()
    http.stop()
    assert response(ask(server.origin)).body == b"ok"


def test_stop_ends_what_is_in_flight_with_a_fault(serve: Callable[..., Server]) -> None:
    server = serve(lambda connection, request: connection.recv(1) != b"")
    future = http.send(HttpRequest("POST", server.origin, {}, b"x"))
    while not server.requests:
        time.sleep(0.01)
    http.stop()
    assert fault(future.result(0)).kind == "unanswered"


def test_a_forked_process_sends_by_a_loop_of_its_own(serve: Callable[..., Server]) -> None:
    server = serve()
    script = f"""
import os, warnings
from django.conf import settings
settings.configure(PATCHBAY_ALLOWED_ORIGINS=[{server.origin!r}])
from integrations import http
from integrations.events import HttpRequest
ask = lambda: http.send(HttpRequest("GET", {server.origin!r})).result(5).status
assert ask() == 200
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of every fork beside threads
child = os.fork()
if child == 0:
    os._exit(0 if ask() == 200 else 1)
assert os.waitpid(child, 0)[1] == 0
assert ask() == 200
"""
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=env,
        cwd=Path(guard.__file__).parents[2],
        capture_output=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (server.connections, len(server.requests)) == (2, 3)


# --- never twice


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_a_kept_connection_closed_after_reading_a_request_is_no_reason_to_repeat_it(
    serve: Callable[..., Server], method: str
) -> None:
    def talk(connection: socket.socket, request: bytes) -> bool:
        if b"/second" in request:
            return False
        connection.sendall(OK)
        return True

    server = serve(talk)
    response(by_send(server.origin + "/first"))
    assert fault(by_send(server.origin + "/second", method=method)).kind == "unanswered"
    time.sleep(0.2)
    assert [b"/second" in request for request in server.requests] == [False, True]
    assert server.connections == 1


@both
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"220 mail.example.com ESMTP\r\n",
        answer("200 OK", "Content-Encoding: gzip", body=b"not gzip at all"),
    ],
)
def test_a_broken_answer_is_unanswered_and_asked_once(
    serve: Callable[..., Server], ask: Ask, reply: bytes
) -> None:
    server = serve(say(reply, stay=False))
    assert fault(ask(server.origin)).kind == "unanswered"
    assert len(server.requests) == 1


def test_an_answer_that_breaks_off_in_its_headers_is_unanswered(serve: Callable[..., Server]) -> None:
    server = serve(say(b"HTTP/1.1 200 OK\r\nContent-Le", stay=False))
    assert fault(by_send(server.origin)).kind == "unanswered"
    assert len(server.requests) == 1


def test_no_url_is_logged(serve: Callable[..., Server], caplog: pytest.LogCaptureFixture) -> None:
    server = serve(say(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", stay=False))
    by_send(server.origin + "/?key=hunter2")
    by_fetch(server.origin + "/?key=hunter2")
    assert len(server.requests) == 2
    assert "hunter2" not in caplog.text


@both
def test_a_reset_after_the_request_is_unanswered(serve: Callable[..., Server], ask: Ask) -> None:
    def talk(connection: socket.socket, request: bytes) -> bool:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False

    server = serve(talk)
    assert fault(ask(server.origin, method="POST", body=b"x")).kind == "unanswered"
    assert len(server.requests) == 1


def drip(start: bytes) -> Talk:
    def talk(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(start)
        for _ in range(100):
            connection.sendall(b"a")
            time.sleep(0.1)
        return False

    return talk


@both
@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
)
def test_the_deadline_holds_against_a_server_that_drips(
    serve: Callable[..., Server], ask: Ask, start: bytes
) -> None:
    server = serve(drip(start))
    begun = time.monotonic()
    got = fault(ask(server.origin, timeout=0.6))
    assert 0.5 < time.monotonic() - begun < 2
    assert got == Fault(
        "unanswered",
        f"127.0.0.1:{server.port} sent no complete response: it timed out after 0.6 seconds. "
        "It may have processed the request.",
    )
    assert len(server.requests) == 1


# --- caps


@both
@pytest.mark.parametrize("encoded", [True, False])
def test_an_answer_over_the_cap_is_a_fault(serve: Callable[..., Server], ask: Ask, encoded: bool) -> None:
    body = b"\0" * (200_000_000 if encoded else 256 * 1024 + 1)
    packed = gzip.compress(body, 1) if encoded else body
    server = serve(answer("200 OK", *(["Content-Encoding: gzip"] if encoded else []), body=packed))
    got = fault(ask(server.origin))
    assert got.kind == ("unanswered" if ask is by_send else "blocked")
    assert got.text == (f"The response of 127.0.0.1:{server.port} is larger than the limit of 262,144 bytes.")


@both
def test_a_few_interim_answers_come_before_an_answer(serve: Callable[..., Server], ask: Ask) -> None:
    server = serve(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK)
    assert response(ask(server.origin)).body == b"ok"


def test_a_server_that_sends_interim_answers_without_end_takes_no_time_of_others(
    serve: Callable[..., Server],
) -> None:
    server = serve(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 50_000 + OK)
    assert fault(by_send(server.origin)) == Fault(
        "unanswered",
        f"127.0.0.1:{server.port} sent no complete response: the connection was closed. "
        "It may have processed the request.",
    )


@both
def test_an_answer_of_exactly_the_cap_is_whole(serve: Callable[..., Server], ask: Ask) -> None:
    body = os.urandom(256 * 1024)
    packed = gzip.compress(body)
    server = serve(answer("200 OK", "Content-Encoding: gzip", body=packed))
    assert response(ask(server.origin)).body == body


# --- connections that fail before anything is written


@both
def test_a_refused_connection(settings: Any, ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings.PATCHBAY_ALLOWED_ORIGINS = [f"http://127.0.0.1:{port}"]
    got = fault(ask(f"http://127.0.0.1:{port}/"))
    assert got.kind == "connect"
    assert f"127.0.0.1:{port}" in got.text
    http.stop()


@both
def test_an_unknown_name(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert fault(ask("https://api.example.com/?key=secret")) == Fault(
        "connect",
        "The host name of api.example.com:443 was not found. Check the spelling, or try again later.",
    )
    http.stop()


@both
def test_a_connection_that_is_not_accepted_in_time(
    settings: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queued = [socket.socket() for _ in range(3)]
        for waiting in queued:
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        origin = f"http://127.0.0.1:{full.getsockname()[1]}"
        settings.PATCHBAY_ALLOWED_ORIGINS = [origin]
        got = fault(ask(origin, timeout=0.4))
        for waiting in queued:
            waiting.close()
    assert got.kind == "connect"
    assert "0.4 s" in got.text
    http.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    made, key = self_signed()
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(key + made)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return str(path), context


@both
def test_a_self_signed_certificate_is_refused(
    serve: Callable[..., Server], certificate: tuple[str, ssl.SSLContext], ask: Ask
) -> None:
    server = serve(tls=certificate[1])
    got = fault(ask(server.origin, method="POST", body=b"secret"))
    assert got.kind == "tls"
    assert f"Could not connect to 127.0.0.1:{server.port} securely: " in got.text
    assert server.requests == []


@both
def test_a_certificate_of_a_trusted_authority_is_accepted(
    serve: Callable[..., Server],
    certificate: tuple[str, ssl.SSLContext],
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.create_default_context(cafile=certificate[0])
    monkeypatch.setattr(guard, "tls_context", lambda: context)
    server = serve(tls=certificate[1])
    assert response(ask(server.origin)).body == b"ok"


@both
def test_a_server_without_tls_at_an_https_url(serve: Callable[..., Server], ask: Ask, settings: Any) -> None:
    server = serve(lambda connection, request: False)
    origin = server.origin.replace("http:", "https:")
    settings.PATCHBAY_ALLOWED_ORIGINS = [origin]
    got = fault(ask(origin, timeout=0.5, method="POST", body=b"secret"))
    assert got.kind in ("tls", "connect")
    assert server.requests == []


# --- the guard


@both
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001", "127.1"])
def test_this_machine_is_out_of_reach(serve: Callable[..., Server], ask: Ask, host: str) -> None:
    server = serve(allow=False)
    assert fault(ask(f"http://{host}:{server.port}/")).kind == "blocked"
    assert server.connections == 0


def resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Makes each look-up of a name give the next answer; returns the list of names looked up."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@both
@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::ffff:127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]],
)
def test_a_name_with_any_address_inside_is_refused(
    serve: Callable[..., Server], ask: Ask, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    server = serve(allow=False)
    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.2")
    resolver(monkeypatch, addresses)
    got = fault(ask(f"http://rebind.example.com:{server.port}/"))
    assert got.kind == "blocked"
    assert "PATCHBAY_ALLOWED_ORIGINS" in got.text
    assert server.connections == 0


@both
def test_the_connection_goes_to_the_address_that_was_checked(
    serve: Callable[..., Server], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = serve(answer("200 OK", body=b"public"), allow=False, host="127.0.0.2")
    inside = socket.create_server(("127.0.0.1", public.port))
    inside.setblocking(False)
    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.2")
    asked = resolver(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    got = response(ask(f"http://rebind.example.com:{public.port}/"))
    assert got.body == b"public"
    assert asked == ["rebind.example.com"]
    with pytest.raises(BlockingIOError):
        inside.accept()
    inside.close()


def test_a_literal_address_is_checked_again_where_the_socket_is_made(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(allow=False)
    monkeypatch.setattr(guard, "permit", lambda url, **_: (guard.origin_of(url), True))
    assert fault(by_send(server.origin)).kind == "blocked"
    assert fault(by_fetch(server.origin)).kind == "blocked"
    assert server.connections == 0


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("64:ff9b::5db8:d822", True),
        ("::ffff:93.184.216.34", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("127.9.9.9", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:0:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::5db8:d822", False),
        ("2002:7f00:1::", False),
        ("2001:0:5ef5:79fb::1", False),
        ("2001:db8::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert guard.is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "HTTPS://API.Example.com/v1?a=b#c",
        "http://api.example.com/",
        "https://api.example.com:443/",
        "https://api.example.com:1024?x",
        "https://api.example.com.:65535/",
        "https://93.184.216.34/",
        "https://[2606:4700::1111]:8443/",
        "https://xn--bcher-kva.example/",
        "https://my_host.example/",
        "https://1.example/",
        "https://example.com/@path?u=a:b@c",
    ],
)
def test_urls_that_may_be_called(settings: Any, url: str) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = []
    assert http.check_url(url) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not complete"),
        ("api.example.com", "not complete"),
        ("ftp://example.com/", "not complete"),
        ("file:///etc/passwd", "not complete"),
        ("https:///path", "not complete"),
        ("https://exa$mple.com/", "not complete"),
        ("https://example.com:/", "not complete"),
        ("https://example.com:123456/", "not complete"),
        ("https://[fe80::1%25eth0]/", "not complete"),
        ("https://user@example.com/", "user name or password"),
        ("https://user:pw@example.com/", "user name or password"),
        ("https://example.com\\@127.0.0.1/", "character '\\\\' at position 20"),
        ("https://example.com/a b", "character ' ' at position 22"),
        ("https://example.com/\r\nX: y", "character '\\r' at position 21"),
        ("https://example.com/é", "character 'é' at position 21"),
        ("https://１２７.0.0.1/", "character '１' at position 9"),
        ("https://example.com:22/", "Port 22 is not allowed"),
        ("https://example.com:0/", "Port 0 is not allowed"),
        ("https://example.com:65536/", "Port 65536 is not allowed"),
        ("https://a..example.com/", "not a valid host name"),
        (f"https://{'a' * 64}.example/", "not a valid host name"),
        ("https://localhost/", "this machine itself"),
        ("https://db.localhost./", "this machine itself"),
        ("http://10.0.0.1/", "not on the public internet"),
        ("http://[::1]/", "not on the public internet"),
        ("http://[::ffff:7f00:1]/", "not on the public internet"),
        ("http://2130706433/", "usual form"),
        ("http://0x7f.1/", "usual form"),
        ("http://0x7f000001/", "usual form"),
        ("http://017700000001/", "usual form"),
        ("http://0177.0.0.1/", "usual form"),
        ("http://127.1/", "usual form"),
        ("http://127.0.0.1./", "usual form"),
        ("http://[:::]/", "usual form"),
    ],
)
def test_urls_that_may_not_be_called(settings: Any, url: str, reason: str) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = []
    assert reason in (http.check_url(url) or "")
    assert fault(by_send(url)) == fault(by_fetch(url)) == Fault("blocked", http.check_url(url) or "")


def test_the_allow_list_lifts_the_rules_for_exactly_one_origin(settings: Any) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = ["http://Kannel.lan:22", "http://10.0.0.1:9100/"]
    assert http.check_url("http://kannel.lan:22/cgi-bin/sendsms?a=b") is None
    assert http.check_url("http://10.0.0.1:9100") is None
    for other in (
        "https://10.0.0.1:9100",
        "http://10.0.0.1:9101",
        "http://10.0.0.2:9100",
        "http://kannel.lan:23",
    ):
        assert http.check_url(other) is not None
    assert http.check_url("http://user@10.0.0.1:9100/") is not None


def test_a_malformed_allow_list_is_named(settings: Any) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = ["10.0.0.1:9100"]
    with pytest.raises(ImproperlyConfigured, match="PATCHBAY_ALLOWED_ORIGINS"):
        http.check_url("https://example.com")


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://api.example.com/", True),
        ("HTTP://api.example.com/", True),
        ("https://api.example.com/", False),
        ("http://10.0.0.1:9100/x", False),
        ("http://10.0.0.1:9101/x", True),
        ("http://user@10.0.0.1:9100/x", True),
        ("nonsense", True),
    ],
)
def test_is_plain_http(settings: Any, url: str, plain: bool) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = ["http://10.0.0.1:9100"]
    assert http.is_plain_http(url) is plain


@both
@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X-A": "a\r\nX-B: b"}),
        ("GET", {"X-A": "a\nb"}),
        ("GET", {"X-A": "a\0b"}),
        ("GET", {"X-A": "\ud800"}),
        ("GET", {"X-A\r\nX-B": "b"}),
        ("GET", {"": "b"}),
        ("GET", {"Content-Length": "0"}),
        ("GET", {"transfer-encoding": "chunked"}),
        ("GET", {"Host": "inside.lan"}),
        ("GET / HTTP/1.1\r\nX: ", {}),
        ("", {}),
    ],
)
def test_headers_that_would_break_the_request_are_refused(
    serve: Callable[..., Server], ask: Ask, method: str, headers: dict[str, str]
) -> None:
    server = serve()
    assert fault(ask(server.origin, method=method, headers=headers)).kind == "blocked"
    assert server.connections == 0


# --- redirects


def redirect(location: str, status: str = "307 Temporary Redirect") -> bytes:
    return answer(status, f"Location: {location}")


def test_send_returns_a_redirect_as_the_answer(serve: Callable[..., Server]) -> None:
    target = serve()
    server = serve(redirect(target.origin))
    got = response(by_send(server.origin))
    assert (got.status, got.headers["location"]) == (307, target.origin)
    assert target.connections == 0


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
def test_fetch_follows_and_keeps_headers_only_at_home(serve: Callable[..., Server], status: str) -> None:
    target = serve()

    def talk(connection: socket.socket, request: bytes) -> bool:
        location = "/second" if b"/first" in request else target.origin + "/third"
        connection.sendall(redirect(location, status))
        return False

    server = serve(talk)
    got = by_fetch(server.origin + "/first", headers={"Authorization": "Bearer hunter2"})
    assert response(got).body == b"ok"
    assert [b"hunter2" in request for request in server.requests] == [True, True]
    assert [b"hunter2" in request for request in target.requests] == [False]


def test_fetch_gives_no_credentials_back_on_the_way_home(serve: Callable[..., Server]) -> None:
    away = serve(lambda connection, request: say(redirect(server.origin + "/end"))(connection, request))
    server = serve(
        lambda connection, request: say(OK if b"/end" in request else redirect(away.origin))(
            connection, request
        )
    )
    response(by_fetch(server.origin, headers={"X-Key": "hunter2"}))
    assert [b"hunter2" in request for request in server.requests] == [True, False]


@pytest.mark.parametrize(
    "location", ["{blocked}", "file:///etc/passwd", "http://[", "http://u:p@example.com/"]
)
def test_fetch_guards_each_redirect(serve: Callable[..., Server], location: str) -> None:
    blocked = serve(allow=False)
    server = serve(redirect(location.format(blocked=blocked.origin)))
    assert fault(by_fetch(server.origin)).kind == "blocked"
    assert (len(server.requests), blocked.connections) == (1, 0)


@pytest.mark.parametrize("most", [1, 3])
def test_fetch_follows_so_many_redirects(serve: Callable[..., Server], most: int) -> None:
    server = serve(redirect("/again"))
    assert fault(by_fetch(server.origin, max_redirects=most)).kind == "blocked"
    assert len(server.requests) == most + 1


@pytest.mark.parametrize("options", [{"method": "POST", "body": b"x"}, {"max_redirects": 0}])
def test_fetch_gives_a_redirect_as_the_answer(serve: Callable[..., Server], options: dict[str, Any]) -> None:
    server = serve(redirect("/again"))
    assert response(by_fetch(server.origin, **options)).status == 307
    assert len(server.requests) == 1
