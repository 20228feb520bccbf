"""The web server of `serve`: uvicorn in a thread of this process, with `portal.asgi` as in the container."""

from __future__ import annotations

import asyncio
import socket
import threading

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from portal.asgi import application

HEAD_BYTES = 64 * 1024
IDLE_SECONDS = 60
STOP_SECONDS = 5


class WebServer:
    """Answers the requests that come to a bound socket."""

    def __init__(self, listener: socket.socket) -> None:
        # An answer is written in two pieces, and the second would wait until the first is acknowledged, which
        # many callers put off for 40 ms (RFC 896, RFC 1122). Connections inherit this.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = Server(
            Config(
                application,
                loop="asyncio",
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # anybody can make it warn
                access_log=False,
                proxy_headers=False,  # PATCHBAY_BEHIND_PROXY decides
                server_header=False,
                h11_max_incomplete_event_size=HEAD_BYTES,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=[[listener]], name="web", daemon=True)

    def start(self) -> None:
        """Serves from a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the socket, and each connection once its request is answered, or STOP_SECONDS are over."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 1)


class _Connection(H11Protocol):
    """Hangs up on who for IDLE_SECONDS does not get to the end of a request's head."""

    _clock: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look(())

    def connection_lost(self, exc: Exception | None) -> None:
        self._clock.cancel()
        super().connection_lost(exc)

    def _look(self, before: object) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.cycle is before:
            self.transport.close()
        else:
            self._clock = self.loop.call_later(IDLE_SECONDS, self._look, self.cycle)
