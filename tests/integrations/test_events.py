"""Events as they are stored between the receipt of a webhook and their filing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.events import Consent, InboundMessage, StatusUpdate, from_json, to_json

PLAIN = InboundMessage("message", "+61412345678", ("+61855555555",), "Hello")
WHOLE = InboundMessage(
    "mms",
    "+61412345678",
    ("+61855555555",),
    text="Look",
    urls=("https://example.com/1.jpg",),
    messageid="m1",
    date=datetime(2026, 11, 26, 9, 30, tzinfo=UTC),
    sender_name="Ann",
    concat_id="7",
    concat_part=2,
    concat_count=3,
    media_auth=True,
    members=("+61498765432",),
)


@pytest.mark.parametrize(
    ("event", "stored"),
    [
        # The workers of 0.1.0 know no `members`: they read a message that has none.
        (
            PLAIN,
            {
                "kind": "message",
                "type": "message",
                "sender": "+61412345678",
                "recipients": ("+61855555555",),
                "text": "Hello",
            },
        ),
        (StatusUpdate("delivered", "m1"), {"kind": "status", "status": "delivered", "messageid": "m1"}),
        (
            Consent("optOut", "+61412345678", ("+61855555555",)),
            {
                "kind": "consent",
                "type": "optOut",
                "sender": "+61412345678",
                "recipients": ("+61855555555",),
            },
        ),
    ],
)
def test_what_has_its_default_is_not_stored(event: Any, stored: dict[str, Any]) -> None:
    assert to_json(event) == stored
    assert from_json(stored) == event


def test_what_is_given_is_stored() -> None:
    assert to_json(WHOLE)["members"] == ("+61498765432",)
    assert from_json(to_json(WHOLE)) == WHOLE
