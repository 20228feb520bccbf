"""The worst that people and strangers may send at once costs a bounded amount of memory."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import requests
from PIL import Image

from integrations.sandbox import Sandbox
from tests.installation import Embedded, sign_in
from tests.processes import Process

MOST_MIB = 128


def bomb() -> bytes:
    """A picture of 49.7 million pixels in 205 KiB."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((7050, 7050)).convert("1").save(out, "PNG")
    return out.getvalue()


def photo() -> bytes:
    """A photo as large as is decoded as a whole, of a type that has to become another."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((3600, 2700)).convert("RGBA").save(out, "PNG")
    return out.getvalue()


class Memory:
    """The most memory that a process and its children have had at once, in MiB, shared memory counted once."""

    def __init__(self, process: Process) -> None:
        self._session = process.popen.pid
        self.most, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def now(self) -> float:
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) != self._session:
                    continue
                rollup = (folder / "smaps_rollup").read_text()
            except OSError:
                continue  # it has ended
            total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])  # type: ignore[index]
        return total / 1024

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.most = max(self.most, self.now())


def test_pictures_bodies_documents_and_webhooks_at_once(
    embedded: Callable[..., AbstractContextManager[Embedded]], sandbox: Sandbox
) -> None:
    pictures = [bomb(), photo()]
    nested = json.dumps([[{"a": [1, "x", {}]}] * 20] * 2000)[: 1024 * 1024 - 1]
    many = ("[" + "{},0.5," * 150_000)[: 1024 * 1024 - 1] + "]"
    with embedded() as patchbay:
        patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": 1})
        server = patchbay.serve()
        server.wait_until_ready(patchbay.url)
        patchbay.settled()
        alice = sign_in(patchbay.url, "alice@acme.example")
        thread = f"/inbox/{patchbay.one('SELECT min(id) FROM messaging_conversation')}/"
        hook = f"{patchbay.url}/services/generic/a{patchbay.account}"

        def picture(index: int) -> int:
            form = {"uuid": str(uuid4()), "text": "", "csrfmiddlewaretoken": alice.cookies["csrftoken"]}
            files = {"files": (f"{index}.png", pictures[index % 2], "image/png")}
            url = f"{patchbay.url}{thread}"
            return alice.post(url, data=form, files=files, headers={"Referer": patchbay.url}).status_code

        def webhook(index: int) -> int:
            body = (nested, many)[index % 2]
            return requests.post(hook, body, headers={"Content-Type": "application/json"}).status_code

        def program(_index: int) -> int:
            headers = {"Authorization": "Bearer pb_wrong", "Content-Type": "application/json"}
            return requests.post(f"{patchbay.url}/api/v1/messages/batch", many, headers=headers).status_code

        assert alice.get(f"{patchbay.url}{thread}").status_code == 200
        webhook(0), picture(1)
        memory = Memory(server)
        before, slowest = memory.now(), 0.0
        with memory, ThreadPoolExecutor(48) as pool:
            work = [pool.submit(what, index) for index in range(30) for what in (picture, webhook, program)]
            while not all(item.done() for item in work):
                begun = time.monotonic()
                assert requests.get(f"{patchbay.url}/healthz", timeout=30).status_code == 200
                slowest = max(slowest, time.monotonic() - begun)
        statuses = {item.result() for item in work}
        assert not {status for status in statuses if status >= 500}
        print(
            f"{before:.0f} MiB before, {memory.most:.0f} at most; the slowest other request: {slowest:.2f} s"
        )
        assert memory.most - before <= MOST_MIB
        server.stop()
