"""Django's WSGI handler, made robust against malformed Content-Type headers and bodies in chunks."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


class Request(WSGIRequest):
    """A request that is always read as UTF-8, whatever its Content-Type says."""

    def __init__(self, environ: dict[str, Any]) -> None:
        # An asterisk marks an RFC 2231 parameter. None is needed here, and Python raises on some of them.
        if "*" in (content_type := environ.get("CONTENT_TYPE", "")):
            environ["CONTENT_TYPE"] = content_type.replace("*", "")
        super().__init__(environ)
        # A body in chunks has no Content-Length, and Django would read nothing; but the server knows its end.
        if environ.get("wsgi.input_terminated") and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", ""):
            self._stream = environ["wsgi.input"]

    @property
    def encoding(self) -> str:
        return "utf-8"

    @encoding.setter
    def encoding(self, charset: str) -> None:
        """Ignores the charset: Python's codecs include hex and zlib, which do not decode text."""


class Handler(WSGIHandler):
    """The WSGI application."""

    request_class = Request
