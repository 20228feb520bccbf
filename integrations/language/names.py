"""The names of variables that shapes may read or bind, by where they may."""

from __future__ import annotations

SENDING = frozenset(
    """
    from to content text url urls media text_with_media extension domain orgid userid username message_uuid
    webhook_url now nonce reply_to country part_no parts first_part last_part attempt_no access_token
    """.split()  # noqa: SIM905 (a list of names reads better without quotes)
)
# Variables of later versions: a document that was stored before may have a property with such a name.
RECENT = frozenset(["nonce"])
RESPONSE = frozenset(["response", "headers", "status", "body"])
BOUND = frozenset(
    """
    from to content text url urls messageid message_uuid date sendername status error_code error_text
    """.split()  # noqa: SIM905
)
EXCHANGE = frozenset(["request", "query", "headers", "body", "method"])
BUILT_IN = SENDING | BOUND | EXCHANGE | RESPONSE | {"event_key", "_"}
