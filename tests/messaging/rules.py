"""A contact who texts, for the tests of what conversations do by themselves."""

from __future__ import annotations

import json

from django.test import Client

from messaging.inbound import file_events
from messaging.models import Message, Number

CONTACT = "+61412345678"


def accept(number: Number, text: str, messageid: str = "", sender: str = CONTACT) -> None:
    """A text of the contact comes in."""
    params = {"from": sender, "to": number.number, "content": text}
    if messageid:
        params["messageid"] = messageid
    body = json.dumps({"method": "message", "params": params})
    url = f"/services/generic/a{number.account.accountid}"
    assert Client().post(url, body, content_type="application/json").status_code == 200


def receive(number: Number, text: str, messageid: str = "", sender: str = CONTACT) -> None:
    """A text of the contact comes in and is filed."""
    accept(number, text, messageid, sender)
    file_events.drain()


def answers() -> list[tuple[str, str]]:
    """What Patchbay wrote by itself: why, and the text."""
    found = Message.objects.filter(direction="out", author=None).order_by("pk")
    return list(found.values_list("automatic", "text"))
