"""What the sandbox asks of the portal: its webhooks, and the files of its messages."""

from __future__ import annotations

import filetype

from integrations import http
from integrations.events import Fault, InboundRequest
from integrations.sandbox.store import PICTURES, State

MEDIA_BYTES = 25 * 1024 * 1024


class PictureError(Exception):
    """Why there is nothing to look at, in a sentence; `state` is "failed" if the file did not come at all."""

    def __init__(self, state: State, note: str) -> None:
        super().__init__(note)
        self.state = state


def post(request: InboundRequest) -> tuple[int, str]:
    """The status of the portal's answer, 0 without one, and what went wrong in a sentence."""
    answer = http.fetch(
        request.url,
        method=request.method,
        headers=request.headers,
        body=request.body or None,
        max_bytes=64 * 1024,
        max_redirects=0,
    )
    if isinstance(answer, Fault):
        return 0, f"Patchbay was not reached: {answer.text}"
    if 200 <= answer.status < 300:
        return answer.status, ""
    said = answer.body[:200].decode(errors="replace").strip()
    return answer.status, f"Patchbay answered {answer.status}" + (f": {said}" if said else "")


def picture(source: str | bytes) -> tuple[bytes, str]:
    """A picture, from its URL or as it came, and its type. Raises PictureError."""
    declared, body = "unknown type", source
    if isinstance(body, str):
        answer = http.fetch(body, max_bytes=MEDIA_BYTES)
        if isinstance(answer, Fault):
            raise PictureError("failed", f"The file could not be fetched: {answer.text}")
        if answer.status != 200:
            raise PictureError("failed", f"The file's URL answered {answer.status}.")
        body, declared = answer.body, answer.headers.get("content-type", declared)
    kind = filetype.guess(body)
    if kind is None or kind.mime not in PICTURES:
        raise PictureError("", f"A file came: {declared}, {len(body):,} bytes.")
    return body, kind.mime
