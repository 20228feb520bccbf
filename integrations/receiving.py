"""The answers to ReceiveMessages, as the events of a template read them."""

from __future__ import annotations

from integrations.events import HttpResponse, InboundRequest
from integrations.language.methods import Method
from integrations.language.sections import MEDIA_TYPES


def as_request(method: Method, response: HttpResponse) -> InboundRequest:
    """An answer in the place of a webhook request, in the format that the method declares."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if method.response.format:
        headers["content-type"] = MEDIA_TYPES[method.response.format]
    return InboundRequest("POST", headers=headers, body=response.body, polled=True)
