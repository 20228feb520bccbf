"""The messages and pictures on the phones, in memory; only the newest are kept."""

from __future__ import annotations

import mimetypes
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any, Literal

MESSAGES = 1_000
FILE_BYTES = 100 * 1024 * 1024
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")

State = Literal["", "waiting", "accepted", "failed"]


@dataclass(slots=True)
class PhoneMessage:
    """A message on a phone; `mine` if it was written there, else it came from the portal.

    `number` is whom the phone talks with; in a group all others, with commas between, and `sender` wrote it.
    `state` and `note` show the result of its webhook request or of its delivery report. `message_uuid` is the
    portal's own id of it, if the portal sends that.
    """

    id: int
    contact: str
    number: str
    mine: bool
    text: str
    messageid: str
    message_uuid: str
    file: str
    at: float
    sender: str = ""
    state: State = ""
    note: str = ""
    changed: int = 0


class Store:
    """The newest 1,000 messages and 100 MiB of files, with a cursor to ask for changes; thread-safe."""

    def __init__(self) -> None:
        # A page that outlives the process has a cursor of another run, and gets everything again.
        self._run = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._changed = 0
        self._last_id = 0
        self._messages: OrderedDict[int, PhoneMessage] = OrderedDict()
        self._files: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._file_bytes = 0

    def touch(self) -> None:
        """Moves the cursor after a change that is not in a message."""
        with self._lock:
            self._changed += 1

    def add(
        self,
        *,
        contact: str,
        number: str,
        mine: bool,
        text: str,
        messageid: str = "",
        message_uuid: str = "",
        file: str = "",
        sender: str = "",
        state: State = "",
    ) -> PhoneMessage:
        """Adds a message, and drops the oldest beyond 1,000."""
        with self._lock:
            self._changed += 1
            self._last_id += 1
            message = PhoneMessage(
                id=self._last_id,
                contact=contact,
                number=number,
                mine=mine,
                text=text,
                messageid=messageid,
                message_uuid=message_uuid,
                file=file,
                at=time.time(),
                sender=sender,
                state=state,
                changed=self._changed,
            )
            self._messages[message.id] = message
            if len(self._messages) > MESSAGES:
                self._messages.popitem(last=False)
            return message

    def change(
        self,
        message: PhoneMessage,
        *,
        state: State | None = None,
        note: str | None = None,
        file: str | None = None,
    ) -> None:
        """Changes a message and moves the cursor."""
        with self._lock:
            self._changed += 1
            message.changed = self._changed
            if state is not None:
                message.state = state
            if note is not None:
                message.note = note
            if file is not None:
                message.file = file

    def get(self, message_id: int) -> PhoneMessage | None:
        with self._lock:
            return self._messages.get(message_id)

    def sent_as(self, messageid: str) -> PhoneMessage | None:
        """The message from the portal that has this id."""
        with self._lock:
            return next((m for m in reversed(self._messages.values()) if m.messageid == messageid), None)

    def since(self, cursor: str) -> dict[str, Any] | None:
        """The messages that have changed since `cursor`, and the new cursor; None if nothing has changed.

        `reset` is true if the cursor is from another run; the messages are then all there are.
        """
        run, _, position = cursor.partition("-")
        with self._lock:
            reset = run != self._run or not position.isdecimal()
            seen = -1 if reset else int(position)
            if seen == self._changed:
                return None
            changed = [asdict(m) for m in self._messages.values() if m.changed > seen]
            return {"cursor": f"{self._run}-{self._changed}", "reset": reset, "messages": changed}

    def keep(self, content: bytes, content_type: str) -> str:
        """Keeps a file and returns its unguessable name; drops the oldest files beyond 100 MiB."""
        name = secrets.token_urlsafe(16) + (mimetypes.guess_extension(content_type) or ".bin")
        with self._lock:
            self._files[name] = (content_type, content)
            self._file_bytes += len(content)
            while self._file_bytes > FILE_BYTES and len(self._files) > 1:
                _, (_, oldest) = self._files.popitem(last=False)
                self._file_bytes -= len(oldest)
        return name

    def file(self, name: str) -> tuple[str, bytes] | None:
        """A file's content type and content."""
        with self._lock:
            return self._files.get(name)
