"""What the sandbox asks of the portal: its webhooks, and the files of its messages."""

from __future__ import annotations

from integrations import http
from integrations.events import Fault, InboundRequest

MEDIA_BYTES = 25 * 1024 * 1024


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


def file(url: str) -> tuple[bytes, str, str]:
    """A file's bytes and its declared type, and what went wrong in a sentence."""
    answer = http.fetch(url, max_bytes=MEDIA_BYTES)
    if isinstance(answer, Fault):
        return b"", "", f"The file could not be fetched: {answer.text}"
    if answer.status != 200:
        return b"", "", f"The file's URL answered {answer.status}."
    return answer.body, answer.headers.get("content-type", "unknown type"), ""
