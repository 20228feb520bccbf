"""What services report of opt-outs, in the words of the catalogue's cases, closes the number for the contact."""

from __future__ import annotations

import json
from typing import Any

import pytest
import time_machine
from django.test import Client

from integrations import catalog, holds
from integrations.models import Integration, Template
from messaging.models import Message, Number, OptOut
from messaging.outbound.submit import Refused, submit
from messaging.statuses import Direction
from portal.models import Organization, User

REPORTED = {
    "telnyx": ("+13125550001", "+13125550002"),
    "bandwidth": ("+12025550001", "+12025550002"),
    "vonage": ("+447700900000", "+447700900001"),
}


@pytest.mark.parametrize("slug", REPORTED)
def test_a_reported_opt_out_closes_the_number(
    slug: str, acme: Organization, built_in: None, alice: User
) -> None:
    ours, theirs = REPORTED[slug]
    held: Any = json.loads((catalog.FOLDER / slug / "cases" / "opt-out.json").read_text())
    case = held[0] if isinstance(held, list) else held
    template = Template.objects.get(account=None, service_id=slug)
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, case["properties"])
    number = Number.objects.create(organization=acme, integration=integration, number=ours)
    number.assignments.create(user=alice)
    request = case["request"]
    with time_machine.travel(case["now"], tick=False):
        answer = Client().post(
            f"/services/{slug}/a{acme.orgid}/{request.get('path', '')}".rstrip("/"),
            request.get("json") or request["text"],
            content_type="application/json",
            headers={k: v for k, v in request["headers"].items() if k.lower() != "content-type"},
        )
    assert answer.status_code == 200
    # Noted in the commit of the webhook itself: no worker runs here.
    assert list(OptOut.objects.values_list("number", "address")) == [(number.pk, theirs)]
    with pytest.raises(Refused, match="opted out"):
        submit(alice, number, theirs, text="hello")
    assert Message.objects.filter(direction=Direction.OUT, author=alice).count() == 0
