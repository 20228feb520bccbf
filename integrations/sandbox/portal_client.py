"""The sandbox's requests to the portal: webhooks, and the files of messages."""

from __future__ import annotations

import filetype

from integrations import http
from integrations.events import Fault, HttpResponse, InboundRequest
from integrations.sandbox.store import PICTURES, State

MEDIA_BYTES = 25 * 1024 * 1024


class FileError(Exception):
    """A file cannot be shown; the text is a sentence. `state` is "failed" if it could not be fetched."""

    def __init__(self, state: State, note: str) -> None:
        super().__init__(note)
        self.state = state


def ask(request: InboundRequest) -> HttpResponse | Fault:
    """The portal's response to a webhook request."""
    return http.fetch(
        request.url,
        method=request.method,
        headers=request.headers,
        body=request.body or None,
        max_bytes=64 * 1024,
        max_redirects=0,
    )


def post(request: InboundRequest) -> tuple[int, str]:
    """The status of the portal's response, or 0 without one, and the problem in a sentence, or ""."""
    response = ask(request)
    if isinstance(response, Fault):
        return 0, f"Patchbay could not be reached: {response.text}"
    if 200 <= response.status < 300:
        return response.status, ""
    said = response.body[:200].decode(errors="replace").strip()
    return response.status, f"Patchbay responded with status {response.status}" + (
        f": {said}" if said else ""
    )


def picture(source: str | bytes) -> tuple[bytes, str]:
    """A picture, from its URL or its bytes, and its media type. Raises FileError."""
    declared, body = "unknown type", source
    if isinstance(body, str):
        response = http.fetch(body, max_bytes=MEDIA_BYTES)
        if isinstance(response, Fault):
            raise FileError("failed", f"The file could not be fetched: {response.text}")
        if response.status != 200:
            raise FileError("failed", f"The file's URL returned status {response.status}.")
        body, declared = response.body, response.headers.get("content-type", declared)
    kind = filetype.guess(body)
    if kind is None or kind.mime not in PICTURES:
        raise FileError("", f"Received a file: {declared}, {len(body):,} bytes.")
    return body, kind.mime
