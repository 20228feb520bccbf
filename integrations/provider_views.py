"""What the views have in common that providers call: any method, any content, and the body as it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpResponse, UnreadablePostError
from django.utils.encoding import escape_uri_path, iri_to_uri
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from integrations import events
from integrations.events import InboundRequest
from portal import callers
from portal.middleware import SANDBOX

# What these say is kept by browsers for all pages of the portal.
OF_THE_PORTAL = {
    "clear-site-data", "content-security-policy", "service-worker-allowed", "set-cookie",
    "strict-transport-security", "x-content-type-options",
}  # fmt: skip


class BrokenOff(Exception):
    """The caller has hung up within the body."""


class TooLarge(Exception):
    """The body is larger than the view takes."""


class AnyContent(BaseContentNegotiation):
    """Ignores what a provider says it accepts: the template decides how it is answered."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: Any = None
    ) -> tuple[None, str]:
        return None, ""


class ProviderView(APIView):
    """Calls `take` with a request by any method, and what its URL names.

    Nothing here authenticates, parses or limits, except for the `max_body` bytes that `inbound` reads.
    """

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = ()
    renderer_classes = ()
    content_negotiation_class = AnyContent
    schema = None
    max_body: ClassVar[int] = 1024 * 1024

    def take(self, request: Request, named: Mapping[str, str]) -> HttpResponse:
        """The answer to a request; `named` has what its URL names."""
        raise NotImplementedError

    def post(self, request: Request, **named: str) -> HttpResponse:
        return self.take(request, named)

    get = put = patch = delete = head = trace = post
    options = post  # type: ignore[assignment]
    http_method_not_allowed = post  # type: ignore[assignment]  # a provider may call by any method

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    def inbound(self, request: Request, path: str) -> InboundRequest:
        """The request as templates read it. Raises BrokenOff and TooLarge."""
        body, query = self._body(request), request.META.get("QUERY_STRING", "")
        return InboundRequest(
            method=request.method or "",
            path=path,
            query=query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            ip=callers.address_of(request),
            url=f"{settings.PUBLIC_URL}{escape_uri_path(request.path)}"
            + (f"?{iri_to_uri(query)}" if query else ""),
        )

    def _body(self, request: Request) -> bytes:
        stream = request._request
        declared = stream.META.get("CONTENT_LENGTH") or ""
        if declared.isdecimal() and int(declared) > self.max_body:
            raise TooLarge
        try:
            body = stream.read(self.max_body + 1)
        except (BadRequest, UnreadablePostError) as error:
            raise BrokenOff from error
        if len(body) > self.max_body:
            raise TooLarge
        return body


def plain(status: int, text: str) -> HttpResponse:
    """An answer in words, or without any."""
    response = HttpResponse(text, status=status, content_type="text/plain")
    # Spares a line in Django's log: what matters is counted, or stored with its reason.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def answered(answer: events.HttpResponse) -> HttpResponse:
    """The answer that a template has made, which means nothing to a browser: authors are not the portal."""
    response = plain(answer.status, "")
    response.content = answer.body
    for name, value in answer.headers.items():
        if name.casefold() not in OF_THE_PORTAL:
            response.headers[name] = value
    response.headers["Content-Security-Policy"] = SANDBOX
    return response
