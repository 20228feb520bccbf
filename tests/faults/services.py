"""Documents of services, and what they post."""

from __future__ import annotations

from typing import Any


def own(service_id: str, **send: Any) -> dict[str, Any]:
    """A service with message ids in both directions; `send` are keys of its SendMessage."""
    return {
        "id": service_id,
        "name": "Own",
        "properties": [{"name": "URL", "type": "url", "secret": False}],
        "API": {
            "SendMessage": {
                "request_url": "$URL$",
                "request_parameters": {"to": "$to$", "content": "$content$"},
                "response_map": {"data": {"id": "$messageid$"}},
                **send,
            }
        },
        "Webhook": {
            "event_key": "message",
            "event_type": "message",
            "request_parameters": {
                "method": "$event_key$",
                "params": {"id": "$messageid$", "from": "$from$", "to": "$to$", "content": "$content$"},
            },
        },
    }


def message(index: int, to: str = "+61855555501") -> dict[str, Any]:
    """A webhook of this service, or of the generic one, which reads no id: "in <index>", from somebody new."""
    sender = f"+61412{index:06d}"
    params = {"id": f"in-{index}", "from": sender, "to": to, "content": f"in {index}"}
    return {"method": "message", "params": params}
