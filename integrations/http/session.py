"""Makes single requests with the library requests, such as for files, each on its own connection."""

from __future__ import annotations

import errno
import io
import logging
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from functools import partial
from typing import IO, Any, Self, cast
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from integrations.events import Fault, HttpResponse
from integrations.http import faults, guard

REDIRECTS = frozenset({301, 302, 303, 307, 308})
CHUNK = 64 * 1024
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# urllib3 logs the URL of a response with a malformed header, and a URL may contain secrets.
logging.getLogger("urllib3").setLevel(logging.ERROR)


def fetch(
    url: str,
    *,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
    timeout: float = 30,
    max_redirects: int = 3,
    into: IO[bytes] | None = None,
    trusted: Iterable[str] = (),
) -> HttpResponse | Fault:
    """The response, whatever its status, or the Fault in its place; raises no network error.

    With `into`, an empty file, its body is written there instead of being held in memory; a full disk raises
    OSError.

    `timeout` (seconds) covers everything including redirects, except the resolution of names, which the
    system limits. GET and HEAD follow at most `max_redirects`, whose URLs are checked, too, and send no
    `headers` to another origin; other methods return the redirect. A decoded body of more than `max_bytes` is
    a Fault "blocked". The origins of the `trusted` URLs may be at whatever address.
    """
    headers = dict(headers or {})
    if reason := guard.check_headers(method, headers):
        return faults.blocked(reason)
    deadline = time.monotonic() + timeout
    home: guard.Origin | None = None
    for _ in range(max_redirects + 1):
        try:
            origin, guarded = guard.permit(url, trusted=trusted)
        except guard.BlockedAddress as refusal:
            return faults.blocked(str(refusal))
        home = home or origin
        if origin != home:
            headers = {}
        with _Exchange(origin, guarded, deadline, timeout) as exchange:
            response = exchange.run(method, url, headers, body, max_bytes, into)
        if isinstance(response, Fault) or method not in ("GET", "HEAD") or max_redirects == 0:
            return response
        if response.status not in REDIRECTS or "location" not in response.headers:
            return response
        try:
            url = guard.escaped(urljoin(url, response.headers["location"]))
        except ValueError:
            return faults.blocked(f"{origin.place} redirects to an invalid URL.")
    return faults.blocked(f"{origin.place} redirects more than {max_redirects} times.")


class _Exchange:
    """One request on one connection, which is cut at the deadline, whatever it is doing."""

    def __init__(self, origin: guard.Origin, guarded: bool, deadline: float, timeout: float) -> None:
        self.place, self.guarded, self.timeout = origin.place, guarded, timeout
        self.deadline = deadline
        self.refusal: str | None = None
        self.not_found = self.connected = self.writing = self.expired = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(self.remaining(), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def remaining(self) -> float:
        return max(self.deadline - time.monotonic(), 0.001)

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to one of the host's addresses, all of which are checked first. Raises OSError."""
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if self.guarded:
            for *_, address in addresses:
                guard.require_public(str(address[0]))
        failure = OSError("the host name has no address")
        for family, kind, protocol, _, address in addresses:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(self.remaining())
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
            else:
                # TLS takes over the socket; the timer can close a duplicate.
                self._socket = connection.dup()
                self.connected = True
                if self.expired:
                    self._cut()
                return connection
        raise failure

    def run(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        into: IO[bytes] | None,
    ) -> HttpResponse | Fault:
        sent = {
            "User-Agent": guard.USER_AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
            **headers,
        }
        encoded = cast("Mapping[str, str]", {name: value.encode() for name, value in sent.items()})
        try:
            request = requests.Request(method, url, headers=encoded, data=body).prepare()
            with closing(_Adapter(self)) as adapter:
                response = adapter.send(request, stream=True, timeout=self.remaining(), verify=True)
                with response:
                    found = self._read(response, max_bytes, into or io.BytesIO())
        except (requests.RequestException, OSError, UnicodeError) as error:
            if isinstance(error, OSError) and error.errno in FULL_DISK:
                raise  # `into` cannot be written
            return self._fault(error)
        if self.expired:  # a body that ends with its connection looks complete when the timer cuts it
            return faults.timed_out(self.place, self.timeout, connected=True)
        return found

    def _read(self, response: requests.Response, max_bytes: int, file: IO[bytes]) -> HttpResponse | Fault:
        file.seek(0)
        file.truncate()  # a redirect may have had a body
        for chunk in response.iter_content(min(CHUNK, max_bytes + 1)):
            file.write(chunk)
            if file.tell() > max_bytes:
                return faults.blocked(faults.too_large(self.place, max_bytes))
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = file.getvalue() if isinstance(file, io.BytesIO) else b""
        return HttpResponse(response.status_code, headers, body)

    def _fault(self, error: Exception) -> Fault:
        if self.refusal is not None:
            return faults.blocked(self.refusal)
        if self.not_found:
            return faults.not_found(self.place)
        written = self.connected and self.writing
        if isinstance(error, requests.exceptions.SSLError) and not written:
            return faults.bad_certificate(self.place, "its certificate or TLS version was rejected")
        if self.expired or isinstance(error, requests.Timeout):
            return faults.timed_out(self.place, self.timeout, connected=written)
        if written:
            return faults.unanswered(self.place, "the connection was closed or the response was invalid")
        return faults.no_connection(self.place, "the connection was refused or lost")

    def _cut(self) -> None:
        self.expired = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Connection:
    """Makes a urllib3 connection connect through its exchange."""

    def __init__(self, *args: Any, exchange: _Exchange, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exchange = exchange

    def _new_conn(self) -> socket.socket:
        me = cast("HTTPConnection", self)
        try:
            return self._exchange.connect(me._dns_host, me.port)
        # urllib3 turns a plain OSError into a broken connection, which hides that nothing was sent.
        except guard.BlockedAddress as refusal:
            self._exchange.refusal = str(refusal)
            raise NewConnectionError(me, str(refusal)) from refusal
        except socket.gaierror as error:
            self._exchange.not_found = True
            raise NameResolutionError(me.host, me, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(me, str(error)) from error
        except OSError as error:
            raise NewConnectionError(me, str(error)) from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._exchange.writing = True
        return super().request(*args, **kwargs)  # type: ignore[misc, no-any-return]


class _HTTPConnection(_Connection, HTTPConnection):
    pass


class _HTTPSConnection(_Connection, HTTPSConnection):
    pass


class _Adapter(HTTPAdapter):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=guard.tls_context(), **kwargs)

    def cert_verify(self, *_: Any) -> None:
        """Does nothing: the context verifies already, and loading the authorities again would take 10 ms."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        connection = _HTTPSConnection if pool.scheme == "https" else _HTTPConnection
        pool.ConnectionCls = partial(connection, exchange=self._exchange)
        return pool
