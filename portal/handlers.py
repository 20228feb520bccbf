"""Django's WSGI handler, made robust against malformed Content-Type headers and bodies in chunks."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import LimitedStream, WSGIHandler, WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class _WholeBody(LimitedStream):
    """Raises BadRequest where a body ends before its Content-Length, which not every server refuses."""

    def read(self, size: int | None = -1, /) -> bytes:
        left: int = self.limit - self._pos  # type: ignore[attr-defined]
        wanted = left if size is None or size < 0 else min(size, left)
        data = b""
        while len(data) < wanted:
            piece: bytes = super().read(wanted - len(data))
            if not piece:
                raise BadRequest("The request ended before its body was complete.")
            data += piece
        return data


def _in_one_piece(stream: Any) -> dict[str, Any]:
    """What the environment of a body in chunks says instead; broken chunks are a body that was cut off."""
    try:
        body = stream.read(settings.MAX_BODY_BYTES + 1)
    except Exception:  # each server has errors of its own
        return {"CONTENT_LENGTH": "1", "wsgi.input": BytesIO()}
    return {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}


class Request(WSGIRequest):
    """A request that is always read as UTF-8, whatever its Content-Type says, and never in part."""

    def __init__(self, environ: dict[str, Any]) -> None:
        # An asterisk marks an RFC 2231 parameter. None is needed here, and Python raises on some of them.
        if "*" in (content_type := environ.get("CONTENT_TYPE", "")):
            environ["CONTENT_TYPE"] = content_type.replace("*", "")
        # A body in chunks has no Content-Length, and Django would read nothing; but the server knows its end.
        if environ.get("wsgi.input_terminated") and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", ""):
            environ |= _in_one_piece(environ["wsgi.input"])
        super().__init__(environ)
        length: int = self._stream.limit  # type: ignore[attr-defined]
        self._stream = _WholeBody(environ["wsgi.input"], length)  # type: ignore[assignment]

    @property
    def encoding(self) -> str:
        return "utf-8"

    @encoding.setter
    def encoding(self, charset: str) -> None:
        """Ignores the charset: Python's codecs include hex and zlib, which do not decode text."""


class Handler(WSGIHandler):
    """The WSGI application. Every response has a length, and none to HEAD has a body."""

    request_class = Request

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        response = super().__call__(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD":
            response.close()
            return []
        return response

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response = super().get_response(request)
        # CommonMiddleware does this for pages. Without it a server ends the connection, or sends chunks.
        if not response.streaming and not response.has_header("Content-Length"):
            response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
        return response
