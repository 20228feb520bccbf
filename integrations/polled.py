"""The answers to ReceiveMessages, as the events of a template read them."""

from __future__ import annotations

from integrations import bodies
from integrations.events import HttpResponse, InboundRequest
from integrations.language.methods import Method
from integrations.language.receiving import Receiving
from integrations.language.sections import MEDIA_TYPES


def as_request(method: Method, response: HttpResponse) -> InboundRequest:
    """An answer in the place of a webhook request, in the format that the method declares."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if method.response.format:
        headers["content-type"] = MEDIA_TYPES[method.response.format]
    return InboundRequest("POST", headers=headers, body=response.body, polled=True)


def is_nothing(receiving: Receiving, response: HttpResponse) -> bool:
    """Whether an answer that has no event only says that nothing has arrived."""
    if not response.body.strip():
        return True
    try:
        kind = response.headers.get("content-type", "")
        return receiving.is_empty(bodies.parse(response.body, kind, strict=False))
    except ValueError:
        return False
