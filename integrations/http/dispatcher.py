"""Sends messages with aiohttp, on an event loop that runs in a daemon thread of the process."""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from integrations.events import Fault, HttpRequest, HttpResponse
from integrations.http import faults, guard

MAX_BYTES = 256 * 1024
MAX_CONNECTIONS, MAX_PER_HOST = 1024, 512
# Keeps aiohttp from guessing a content type. Set only for requests without one, since skipping takes time.
_NO_TYPE = ["Content-Type"]
IDLE_SECONDS = 4  # less than the 5 s of Node, so that the server never closes an idle connection first
STOP_SECONDS = 5
# Heads of responses that wait to be read: servers send one, and few before it (103 Early Hints).
MAX_HEADS = 20


def send(request: HttpRequest) -> Future[HttpResponse | Fault]:
    """The response, whatever its status, or the Fault in its place; the future raises no network error.

    Redirects are not followed. The request is written at most once. `request.timeout` (seconds) covers
    everything from waiting for a connection to the response's last byte. A response of more than 256 KiB is a
    Fault.
    """
    future: Future[HttpResponse | Fault] = Future()
    send_all([(request, future.set_result)])
    return future


def send_all(batch: Iterable[tuple[HttpRequest, Callable[[HttpResponse | Fault], None]]]) -> None:
    """Sends many requests, each as `send` does, and calls each one's function with its response.

    The functions must not block: the sending thread calls them, or this one at once for a refused request.
    Waking the sending thread costs more than anything else in starting a request, so it happens once.
    """
    permitted: list[_Submitted] = []
    for request, done in batch:
        try:
            origin, guarded = guard.permit(request.url)
        except guard.BlockedAddress as refusal:
            done(faults.blocked(str(refusal)))
            continue
        if reason := guard.check_headers(request.method, request.headers):
            done(faults.blocked(reason))
            continue
        permitted.append((request, origin, guarded, done))
    if not permitted:
        return
    with _lock:
        dispatcher = _dispatchers.get(os.getpid())
        if dispatcher is None:
            dispatcher = _dispatchers[os.getpid()] = _Dispatcher()
        dispatcher.submit(permitted)


def stop() -> None:
    """Ends all requests in flight with a Fault and closes connections and loop; `send` starts a new loop."""
    with _lock:
        dispatcher = _dispatchers.pop(os.getpid(), None)
    if dispatcher is not None:
        dispatcher.stop()


_Submitted = tuple[HttpRequest, guard.Origin, bool, Callable[[HttpResponse | Fault], None]]

# A forked child inherits neither the thread nor a right to the sockets. It starts a dispatcher of its own and
# leaves its parent's alone, because closing that one would affect the parent's epoll.
_dispatchers: dict[int, _Dispatcher] = {}
_lock = threading.Lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
atexit.register(stop)


@dataclass(slots=True)
class _Progress:
    """Whether there is a connection; from then on, the request may have been written."""

    connected: bool = False


_progress: ContextVar[_Progress] = ContextVar("_progress")


class _Protocol(ResponseHandler):
    """Hangs up on a server that sends heads of responses without end, which would halt all other requests."""

    def feed_data(self, data: Any, size: int = 0) -> None:
        if len(self._buffer) < MAX_HEADS:
            super().feed_data(data, size)
        else:
            self.close()


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # aiohttp has no public setting for what reads a connection.
        self._factory: Any = partial(_Protocol, loop=self._loop)

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(*args, **kwargs)
        _progress.get().connected = True
        return connection


class _GuardedResolver(aiohttp.ThreadedResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await super().resolve(host, port, family)
        for result in results:
            guard.require_public(result["host"])
        return results


def _guarded_socket(addr_info: Any) -> socket.socket:
    # The resolver is not called for literal addresses, but every address passes here right before connecting.
    family, kind, protocol, _, address = addr_info
    guard.require_public(address[0])
    return socket.socket(family, kind, protocol)


class _Dispatcher:
    """The loop's thread and two connection pools: one checks addresses, one is for allow-listed origins."""

    def __init__(self) -> None:
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="http-dispatcher", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def submit(self, batch: list[_Submitted]) -> None:
        self._loop.call_soon_threadsafe(self._begin, batch)

    def _begin(self, batch: list[_Submitted]) -> None:
        for request, origin, guarded, done in batch:
            task = self._loop.create_task(self._exchange(request, origin, guarded, done))
            self._tasks.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.close()

    async def _open(self) -> None:
        self._guarded = _session(resolver=_GuardedResolver(), socket_factory=_guarded_socket)
        self._allowed = _session()

    async def _close(self) -> None:
        self._stopping = True
        await asyncio.sleep(
            0
        )  # lets requests that were just submitted start, so that they end with a Fault, too
        exchanges = asyncio.all_tasks() - {asyncio.current_task()}
        for exchange in exchanges:
            exchange.cancel()
        await asyncio.gather(*exchanges, return_exceptions=True)
        for session in (self._guarded, self._allowed):
            await session.close()
        await asyncio.sleep(0)  # transports close their sockets in the next iteration of the loop

    async def _exchange(
        self,
        request: HttpRequest,
        origin: guard.Origin,
        guarded: bool,
        done: Callable[[HttpResponse | Fault], None],
    ) -> None:
        done(await self._ask(request, origin, guarded))

    async def _ask(self, request: HttpRequest, origin: guard.Origin, guarded: bool) -> HttpResponse | Fault:
        progress = _Progress()
        _progress.set(progress)
        session = self._guarded if guarded else self._allowed
        place = origin.place
        try:
            async with asyncio.timeout(request.timeout):
                return await _response(session, request, place)
        except TimeoutError:
            return faults.timed_out(place, request.timeout, connected=progress.connected)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            why = "Patchbay was stopped"
            return faults.unanswered(place, why) if progress.connected else faults.no_connection(place, why)
        except aiohttp.ClientSSLError as error:
            return faults.bad_certificate(place, _reason(error.os_error))
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, guard.BlockedAddress):
                return faults.blocked(str(error.os_error))
            if isinstance(error, aiohttp.ClientConnectorDNSError):
                return faults.not_found(place)
            return faults.no_connection(place, _reason(error.os_error))
        # Whatever went wrong, a request that may have been written must not look as if nothing was sent.
        except Exception as error:
            why = _reason(error)
            return faults.unanswered(place, why) if progress.connected else faults.no_connection(place, why)


def _session(**options: Any) -> aiohttp.ClientSession:
    connector = _Connector(
        ssl=guard.tls_context(),
        limit=MAX_CONNECTIONS,
        limit_per_host=MAX_PER_HOST,
        keepalive_timeout=IDLE_SECONDS,
        **options,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": guard.USER_AGENT},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
    )
    # aiohttp repeats a GET, PUT or DELETE if an idle connection was closed, and has no public setting for it.
    session._retry_connection = False
    return session


async def _response(session: aiohttp.ClientSession, request: HttpRequest, place: str) -> HttpResponse | Fault:
    async with session.request(
        request.method,
        URL(request.url, encoded=True),
        headers=request.headers,
        data=request.body,
        skip_auto_headers=None if _has_content_type(request) else _NO_TYPE,
        allow_redirects=False,
    ) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BYTES:
                response.close()
                return Fault("unanswered", faults.too_large(place, MAX_BYTES))
        headers: dict[str, str] = {}
        for name, value in response.headers.items():
            name, value = name.lower(), value.encode(errors="surrogateescape").decode(errors="replace")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return HttpResponse(response.status, headers, bytes(body))


def _has_content_type(request: HttpRequest) -> bool:
    return request.body is None or any(name.lower() == "content-type" for name in request.headers)


def _reason(error: BaseException) -> str:
    """The reason in the error, without the URLs that the transports add."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return {
        "ServerDisconnectedError": "the connection was closed",
        "ClientPayloadError": "the response was incomplete or invalid",
    }.get(type(error).__name__, type(error).__name__)
