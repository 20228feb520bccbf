"""The one door out: every outgoing connection is opened here, guarded, capped and held to a deadline."""

from integrations.http.dispatcher import send, send_all, stop
from integrations.http.guard import check_url, is_allowed, is_plain_http
from integrations.http.session import fetch

__all__ = ["check_url", "fetch", "is_allowed", "is_plain_http", "send", "send_all", "stop"]
