"""No room for files: what comes in waits for it, what goes out is refused in words; texts are not affected."""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from integrations.sandbox import Sandbox
from tests.installation import Separate, send, sign_in
from tests.processes import Process, wait_for

pytestmark = pytest.mark.services
ROOM = 200_000


def picture(side: int) -> bytes:
    """Noise, which nothing makes smaller: three bytes for each dot."""
    out = io.BytesIO()
    noise = random.Random(side).randbytes(3 * side * side)
    Image.frombytes("RGB", (side, side), noise).save(out, "PNG")
    return out.getvalue()


def give_room(process: Process, size: int) -> None:
    """No file of the running process, nor of its children, can grow beyond this size (-1: any)."""
    for folder in Path("/proc").iterdir():
        # Any process of this machine can end between being listed and being looked at.
        with contextlib.suppress(ProcessLookupError):
            if folder.name.isdigit() and os.getpgid(int(folder.name)) == process.popen.pid:
                resource.prlimit(int(folder.name), resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def files(patchbay: Separate) -> list[int]:
    """The sizes of what is in the media folder."""
    found = (patchbay.data / "media").rglob("*")
    return sorted(path.stat().st_size for path in found if path.is_file())


def test_no_room_for_files(
    separate: Callable[..., AbstractContextManager[Separate]], sandbox: Sandbox, settings: Any
) -> None:
    with separate() as patchbay:
        patchbay.redis.start()
        patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": 1})
        sandbox.webhook_url = f"{patchbay.url}/services/generic/a{patchbay.account}"
        settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, patchbay.url]
        web, worker = patchbay.web(), patchbay.worker()
        web.wait_until_ready(patchbay.url)
        alice = sign_in(patchbay.url, "alice@acme.example")
        wait_for(lambda: len(sandbox.received) == 1, 60, lambda: patchbay.output)
        thread = f"/inbox/{patchbay.one('SELECT id FROM messaging_conversation')}/"
        give_room(web, ROOM)
        give_room(worker, ROOM)

        for text, side in (("large", 400), ("small", 100)):
            sent = sandbox.picture("+61412000000", "+61855555501", text, picture(side), "image/png")
            assert sent == 200
        states = "SELECT state, count(*) FROM messaging_attachment WHERE problem LIKE %s GROUP BY state"
        wait_for(
            lambda: patchbay.query(states, "%cannot store the file%") == [("waiting", 1)],
            30,
            lambda: patchbay.output,
        )
        wait_for(lambda: patchbay.query(states, "") == [("kept", 1)], 30, lambda: patchbay.output)
        assert sorted(patchbay.texts_in()) == ["large", "small"]
        assert len(files(patchbay)) == 1

        upload = {"attachments": ("map.png", picture(400), "image/png")}
        refused = send(alice, patchbay.url, thread, text="the way to us", files=upload)
        assert refused.status_code == 422
        assert "cannot store the file" in refused.text
        assert "the way to us" in refused.text
        assert patchbay.one("SELECT count(*) FROM messaging_message WHERE direction = 'out'") == 1
        assert len(files(patchbay)) == 1
        assert send(alice, patchbay.url, thread, text="a text needs none").status_code == 200

        give_room(web, -1)
        give_room(worker, -1)
        patchbay.query("UPDATE messaging_attachment SET next_attempt_at = now() WHERE state = 'waiting'")
        assert send(alice, patchbay.url, thread, text="the way to us", files=upload).status_code == 200
        wait_for(lambda: patchbay.query(states, "") == [("kept", 3)], 30, lambda: patchbay.output)
        wait_for(lambda: len(sandbox.received) == 4, 30, lambda: patchbay.output)
        assert len(files(patchbay)) == 3
