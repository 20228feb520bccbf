"""A threaded web server in this process (waitress), for `serve` and for the sandbox."""

from __future__ import annotations

import socket
import threading
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.server import create_server

CONNECTIONS = 1000
IDLE_SECONDS = 60
STOP_SECONDS = 5


class WebServer:
    """Serves a WSGI application on a bound socket.

    It reads a request completely before a thread handles it, so a slow client occupies no thread. A body of
    more than `max_body` bytes gets the response 413, and a connection is closed after 60 s without activity.
    With `watch_clients`, `waitress.client_disconnected` in the environment tells whether the client is gone.
    """

    def __init__(
        self,
        application: WSGIApplication,
        listener: socket.socket,
        *,
        threads: int,
        max_body: int,
        watch_clients: bool = False,
    ) -> None:
        self._server = create_server(
            application,
            sockets=[listener],
            threads=threads,
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
