"""Django's WSGI handler, for requests whose Content-Type may be nonsense."""

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

    @property
    def encoding(self) -> str:
        return "utf-8"

    @encoding.setter
    def encoding(self, charset: str) -> None:
        """Ignores what the Content-Type says: Python also knows hex and zlib, which decode no text."""


class Handler(WSGIHandler):
    """The WSGI application."""

    request_class = Request
