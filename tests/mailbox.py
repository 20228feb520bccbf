"""A mail server on a real port, which keeps what it gets."""

from __future__ import annotations

import email
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message


class Mailbox:
    """`letters` are the messages in the order in which they came; letters to the `refused` are not taken.

    Of more than `most`, none is taken: the connection breaks off.
    """

    def __init__(self) -> None:
        self.port = 0
        self.letters: list[Message] = []
        self.refused: set[str] = set()
        self.most: int | None = None


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        owner: Mailbox = self.server.owner  # type: ignore[attr-defined]
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            if word == b"RCPT" and any(address.encode() in line for address in owner.refused):
                self.wfile.write(b"550 no such mailbox\r\n")
                continue
            if word == b"DATA":
                if owner.most is not None and len(owner.letters) >= owner.most:
                    return
                self.wfile.write(b"354 go on\r\n")
                content = b"".join(iter(self.rfile.readline, b".\r\n"))
                owner.letters.append(email.message_from_bytes(content))
            self.wfile.write(b"250 fine\r\n")


@contextmanager
def running() -> Iterator[Mailbox]:
    owner = Mailbox()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
    server.owner, owner.port = owner, server.server_address[1]  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield owner
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
