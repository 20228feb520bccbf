"""Pictures drawn anew: without metadata, in the types and sizes that a provider accepts, and as small logos.

One picture at a time is drawn, by a process of its own that has limits (`drawing`), so that no picture costs
this process memory, time, or its life.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess  # nosec B404 # for a module of ours, without a shell
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.utils.translation import gettext as _

from integrations import drawing
from portal import process

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 30  # for a picture, whatever else the machine does
MOST_WAITING = 8

is_type = drawing.is_type


class PictureError(Exception):
    """A picture cannot be converted; the text is a sentence for a person."""


class Busy(PictureError):
    """No picture can be converted now; it may be tried again."""


class _Drawing:
    """The one process that draws now, and how many wait for it to end."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.waiting = threading.BoundedSemaphore(MOST_WAITING)
        self.current: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def run(self, command: Sequence[str], source: IO[bytes], made: IO[bytes]) -> str:
        """What the command says last, "" if it was ended by its limits. Raises Busy."""
        if not self.waiting.acquire(blocking=False):
            raise Busy(_("Many pictures are being converted. Try again in a minute."))
        try:
            with self.turn:
                if self.stopped:
                    raise Busy(_("Patchbay is being stopped. Try again in a minute."))
                self.current = subprocess.Popen(  # nosec B603 # a module of ours
                    command, stdin=source, stdout=made, stderr=subprocess.PIPE, cwd=ROOT, env=_environment()
                )
                with self.current as child:
                    try:
                        said = child.communicate(timeout=SECONDS)[1]
                    except subprocess.TimeoutExpired:
                        child.kill()
                        return ""
                if self.stopped:
                    raise Busy(_("Patchbay is being stopped. Try again in a minute."))
                return said.decode(errors="replace").split("\n")[-2] if child.returncode == 0 else ""
        finally:
            self.waiting.release()

    def close(self) -> None:
        self.stopped = True
        if self.current is not None:
            self.current.kill()


def stop() -> None:
    """Ends the picture that is being drawn, and begins no other."""
    process.get(_Drawing).close()


def fitted(source: IO[bytes], types: Sequence[str], most: int) -> tuple[File[Any], str]:
    """The picture in one of `types`, in at most `most` bytes, upright and without metadata; and its type.

    A picture that fits keeps its type and its quality. A GIF may move; of other animations the first picture
    is taken. Raises PictureError.
    """
    return _drawn(source, "fit", types, most)


def logo(body: bytes, side: int = 128) -> bytes:
    """A PNG of at most `side` by `side` pixels. Raises PictureError."""
    made, _kind = _drawn(io.BytesIO(body), "logo", (), side)
    with made:
        return bytes(made.read())


def _drawn(source: IO[bytes], do: str, types: Sequence[str], most: int) -> tuple[File[Any], str]:
    request = json.dumps({"do": do, "types": list(types), "most": most})
    command = [sys.executable, "-W", "ignore", "-m", "integrations.drawing", request]
    with ExitStack() as stack:
        given = stack.enter_context(tempfile.TemporaryFile())
        made = stack.enter_context(tempfile.TemporaryFile())
        source.seek(0)
        shutil.copyfileobj(source, given)
        given.seek(0)
        said = process.get(_Drawing).run(command, given, made)
        if not said or said.startswith("!"):
            raise PictureError(_reason(said.removeprefix("!") or "memory"))
        stack.pop_all()
        given.close()
    made.seek(0)
    return File(made), said


def _environment() -> dict[str, str]:
    """What Python needs; whoever takes over the process by a picture finds no secret."""
    return {
        name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ
    }


def _reason(word: str) -> str:
    return {
        "pixels": _("The picture has more than %(most)d million pixels.")
        % {"most": drawing.MAX_PIXELS // 1_000_000},
        "memory": _("The picture is too large to be converted."),
        "type": _("The provider accepts no pictures of this type."),
        "animated": _("Animated pictures cannot be made smaller."),
        "bytes": _("Even a small copy of low quality is too large."),
        "unreadable": _("The file cannot be read as a picture. Use a JPEG, PNG, GIF or WebP file."),
    }[word]
