"""A threaded web server in this process (waitress), for `serve` and for the sandbox."""

from __future__ import annotations

import socket
import threading
import time
from io import BytesIO
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import RequestEntityTooLarge

CONNECTIONS = 1000
IDLE_SECONDS = 60
# A request must have arrived after this time: 25 MiB at 0.7 Mbit/s, but not a byte a second for ever.
REQUEST_SECONDS = 300
STOP_SECONDS = 5
LARGE_BODY = 64 * 1024


class _Refusal(WSGITask):  # type: ignore[misc]
    """Says what is wrong with a request, or has the application say that its body is too large."""

    def execute(self) -> None:
        told = self.request.path.startswith(self.channel.server.told_of_large_bodies)
        if told and isinstance(self.request.error, RequestEntityTooLarge):
            self.set_close_on_finish()
            super().execute()
        else:
            self.complete = True
            ErrorTask.execute(self)

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        length = str(self.channel.adj.max_request_body_size + 1)
        return environ | {"CONTENT_LENGTH": length, "wsgi.input": BytesIO()}


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection, which is closed if a request takes too long to arrive."""

    error_task_class = _Refusal
    _began = 0.0

    def received(self, data: bytes) -> Any:
        now = time.monotonic()
        if self.request is None:
            self._began = now
        elif now - self._began > REQUEST_SECONDS:
            self.will_close = True
            return False
        return super().received(data)


class _Dispatcher:
    """Threads of their own for requests with large bodies: these take long, and wait for each other."""

    def __init__(self, threads: int, large: int) -> None:
        self._others, self._large = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        self._others.set_thread_count(threads - large)
        self._large.set_thread_count(large)

    def add_task(self, channel: HTTPChannel) -> None:
        is_large = channel.requests[0].body_bytes_received > LARGE_BODY
        (self._large if is_large else self._others).add_task(channel)

    def shutdown(self, cancel_pending: bool = True, timeout: float = STOP_SECONDS) -> None:
        end = time.monotonic() + timeout
        for threads in (self._others, self._large):
            threads.set_thread_count(0)
        for threads in (self._others, self._large):
            threads.shutdown(cancel_pending, max(end - time.monotonic(), 0))


class WebServer:
    """Serves a WSGI application on a bound socket.

    It reads a request completely before a thread handles it, so a slow client occupies no thread. A body of
    more than `max_body` bytes gets the response 413; below the paths `told_of_large_bodies`, the application
    gives it, and sees CONTENT_LENGTH but no body. A connection is closed after 60 s without activity, and if
    a request takes 300 s to arrive.
    With `large_threads`, so many of the `threads` handle requests with bodies of more than 64 KiB and nothing
    else, and these wait for no others: there is always a thread for the rest.
    With `watch_clients`, `waitress.client_disconnected` in the environment tells whether the client is gone.
    """

    def __init__(
        self,
        application: WSGIApplication,
        listener: socket.socket,
        *,
        threads: int,
        large_threads: int = 0,
        max_body: int,
        watch_clients: bool = False,
        told_of_large_bodies: tuple[str, ...] = (),
    ) -> None:
        self._server = create_server(
            application,
            sockets=[listener],
            threads=threads,
            _dispatcher=_Dispatcher(threads, large_threads) if large_threads else None,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=IDLE_SECONDS // 4,
            channel_request_lookahead=int(watch_clients),
            max_request_header_size=64 * 1024,
            max_request_body_size=max_body,
            asyncore_use_poll=True,  # select() is limited to 1,024 sockets
            clear_untrusted_proxy_headers=False,  # portal/callers.py decides
            ident=None,
        )
        self._server.channel_class = _Channel
        self._server.told_of_large_bodies = told_of_large_bodies
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Starts serving, in threads."""
        self._thread.start()

    def stop(self) -> None:
        """Finishes the requests in progress, within 5 s, then closes the socket and every connection."""
        # The workers stop first: a later response would wake a server that is closed.
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=STOP_SECONDS)
        # Only the server's own thread may touch its sockets, and without sockets its loop ends. The thread
        # may already be awake and close the pipe before the wake-up is written, hence one lock for both.
        trigger = self._server.trigger
        with trigger.lock:
            trigger.thunks.append(lambda: wasyncore.close_all(self._server._map))
            trigger._physical_pull()
        self._thread.join(STOP_SECONDS)
