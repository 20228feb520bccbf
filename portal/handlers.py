"""Django's WSGI handler, for requests whose Content-Type is nonsense, or whose length nobody knows."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


class Request(WSGIRequest):
    """A request in UTF-8, as all of ours are, whatever its Content-Type says."""

    def __init__(self, environ: dict[str, Any]) -> None:
        # RFC 2231 marks parameters by asterisks. None is of use here, and Python raises on some.
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
        """Ignores what the Content-Type says: Python also knows hex and zlib, which decode no text."""


class Handler(WSGIHandler):
    """The WSGI application."""

    request_class = Request
