"""`response`: how a webhook request is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from integrations.language.body_shapes import compile_body
from integrations.language.errors import child
from integrations.language.scope import Scope
from integrations.language.sections import check_keys, compile_headers, media_type
from integrations.language.shapes import Render
from integrations.language.values import Value, is_number, text

KEYS = {
    "status": "200 to 599; 200 by default",
    "content_type": "`json`, `form`, `xml`, `text`, or a full media type; by default JSON, or text for a "
    "text",
    "headers": "the headers of the response",
    "body": "the shape of the body",
}
OTHER_KEYS = {
    "ignored": "the response to requests that are quarantined, and to verified requests that match no event",
    "error": "the response to all other requests that match no event; its status is 400 by default",
}
LOWEST, HIGHEST = 200, 599


@dataclass(frozen=True)
class WebhookResponse:
    """The response to a webhook request: status, headers, and a body that is rendered."""

    status: int = 200
    content_type: str = ""
    headers: tuple[tuple[str, Render], ...] = ()
    body: Render | None = None


def compile_webhook_response(node: Value, scope: Scope, pointer: str, status: int = 200) -> WebhookResponse:
    """The compiled response; `status` is the default. Problems go to the scope."""
    if not isinstance(node, Mapping):
        scope.report(pointer, "A response must be an object with status, content_type, headers and body.")
        return WebhookResponse(status)
    check_keys(node, KEYS, scope, pointer)
    given = node.get("status", status)
    if not is_number(given) or not text(given).isdigit() or not LOWEST <= int(text(given)) <= HIGHEST:
        scope.report(child(pointer, "status"), f"The status must be from 200 to 599, not {text(given)!r}.")
        given = status
    named = node.get("content_type")
    kind = media_type(named, scope, child(pointer, "content_type")) if text(named) else ""
    headers = compile_headers(node.get("headers", {}), scope, child(pointer, "headers"))
    body = compile_body("body", node, kind, scope, pointer, answer=True)
    return WebhookResponse(int(text(given)), kind, headers, body)
