"""The webhook endpoint: providers call it in any way that their templates describe."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpResponse, UnreadablePostError
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.translation import gettext as _
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from integrations.events import InboundRequest
from messaging.webhooks import accept, refusals
from portal import callers, tracing

MAX_BODY = 1024 * 1024
# Why a request that was read is answered with an error, by its status.
REASONS = {401: "bad signature", 429: "too many that are not accepted"}

logger = logging.getLogger(__name__)


class AnyContent(BaseContentNegotiation):
    """Ignores what a provider says it accepts: the template decides how it is answered."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: Any = None
    ) -> tuple[None, str]:
        return None, ""


class WebhookView(APIView):
    """Stores what a provider sends, by any method, and answers as its template says.

    Who calls is for the template's `verify` to say, so nothing here authenticates, parses or limits.
    """

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = ()
    renderer_classes = ()
    content_negotiation_class = AnyContent
    schema = None

    def post(self, request: Request, service_id: str, owner: str, path: str = "") -> HttpResponse:
        place = f"{request.method} {request.path[:200]!r} from {callers.address_of(request)}"
        try:
            body = self._body(request)
        except (BadRequest, UnreadablePostError):  # the caller has hung up
            refusals.count("broken off", place)
            return _plain(400, _("The request broke off.\n"))
        if body is None:
            refusals.count("larger than 1 MiB", place)
            return _plain(413, _("The body is larger than 1 MiB.\n"))
        try:
            with tracing.span("webhook.accept", {"patchbay.service": service_id}):
                answer = accept.accept(service_id, owner, self._inbound(request, path, body))
        except Exception:
            logger.exception("Could not store the request to %r.", request.path)
            refusals.count("could not be stored", place)
            return _plain(500, _("The request could not be stored. Please send it again.\n"))
        if answer is None:
            refusals.count("unknown service or account", place)
            return _plain(404, _("There is no such webhook.\n"))
        if answer.status >= 400:
            refusals.count(REASONS.get(answer.status, "not accepted"), place)
        response = _plain(answer.status, "")
        response.content = answer.body
        for name, value in answer.headers.items():
            response.headers[name] = value
        return response

    get = put = patch = delete = head = trace = post
    options = post  # type: ignore[assignment]
    http_method_not_allowed = post  # type: ignore[assignment]  # a provider may call by any method

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    def _body(self, request: Request) -> bytes | None:
        """The bytes as they came; None if there are too many."""
        stream = request._request
        declared = stream.META.get("CONTENT_LENGTH") or ""
        if declared.isdecimal() and int(declared) > MAX_BODY:
            return None
        body = stream.read(MAX_BODY + 1)
        return body if len(body) <= MAX_BODY else None

    def _inbound(self, request: Request, path: str, body: bytes) -> InboundRequest:
        query = request.META.get("QUERY_STRING", "")
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


def _plain(status: int, text: str) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type="text/plain")
    # Spares a line in Django's log: refusals are counted, everything else is stored with its reason.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
