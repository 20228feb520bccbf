"""All outgoing connections are opened here: to permitted addresses only, with size limits and deadlines."""

from integrations.http.dispatcher import send, send_all, stop
from integrations.http.guard import (
    BlockedAddress,
    allowed_origins,
    check_url,
    escaped,
    is_allowed,
    is_plain_http,
    origin_of,
)
from integrations.http.session import fetch

__all__ = [
    "BlockedAddress",
    "allowed_origins",
    "check_url",
    "escaped",
    "fetch",
    "is_allowed",
    "is_plain_http",
    "origin_of",
    "send",
    "send_all",
    "stop",
]
