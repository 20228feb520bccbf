"""The network between Patchbay and its database or broker, as it fails."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress

# With a linger of nothing a close is a reset.
RESET = struct.pack("ii", 1, 0)


class _Link:
    """A connection through the proxy; once `muted`, what the server says no longer arrives."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.muted = False
        self.said = 0  # of the words that the proxy waits for

    def close(self, *, reset: bool = False) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Forwards what comes to `port`, until it is told to fail.

    It reads what clients say, so that it can fail at exactly one step: `before` or `after` certain words.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._links: list[_Link] = []
        self._lock = threading.Lock()
        self._passing = threading.Event()
        self._passing.set()
        self._words: list[bytes] = []
        self._arrives = False
        self.tripped = threading.Event()
        self.port = 0
        self._listen()

    def refuse(self) -> None:
        """Nobody listens any more, and whoever was connected is cut off."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def blackhole(self) -> None:
        """Connections stay, and new ones are taken, but nothing comes through."""
        self._passing.clear()

    def restore(self) -> None:
        """All is well again; what was held back comes through."""
        if self._listener.fileno() < 0:
            self._listen()
        self._words = []
        self._passing.set()

    def cut(self) -> None:
        """Resets all connections; what they held back is lost."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.close(reset=True)

    def fail_before(self, *words: bytes) -> None:
        """Whoever says these, one after the other, is not heard any more from the last on: `tripped` is set."""
        self._arm(words, arrives=False)

    def fail_after(self, *words: bytes) -> None:
        """Whoever says these is heard, but gets no answer to the last, nor later: `tripped` is set."""
        self._arm(words, arrives=True)

    def stop(self) -> None:
        """Closes everything."""
        self._passing.set()
        if self._listener.fileno() >= 0:
            self.refuse()

    def _arm(self, words: Sequence[bytes], *, arrives: bool) -> None:
        self.tripped.clear()
        with self._lock:
            for link in self._links:
                link.said = 0
        self._arrives, self._words = arrives, [*words]

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                link = _Link(client, socket.create_connection(self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._links.append(link)
            for outward in (True, False):
                threading.Thread(target=self._forward, args=[link, outward], daemon=True).start()

    def _reached(self, link: _Link, said: bytes) -> bool:
        """Whether a client has just said the last of the words that the proxy waits for."""
        while self._words and link.said < len(self._words) and self._words[link.said] in said:
            said = said.partition(self._words[link.said])[2]
            link.said += 1
        reached = bool(self._words) and link.said == len(self._words)
        if reached:
            self._words = []
        return reached

    def _forward(self, link: _Link, outward: bool) -> None:
        source, target = (link.client, link.server) if outward else (link.server, link.client)
        with suppress(OSError):
            while data := source.recv(65536):
                heard = True
                if outward and self._reached(link, data):
                    link.muted, heard = True, self._arrives
                    if not heard:
                        self.tripped.set()
                self._passing.wait()
                if heard and not (link.muted and not outward):
                    target.sendall(data)
                elif not outward and link.muted:
                    self.tripped.set()  # the server has done what it was told
        # Whoever is left behind hears of it, as from the kernel of a process that died.
        link.close()
