"""Rows that travel as JSON arrive as the ORM would have written them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from messaging.models import Contact, Number, WebhookEvent, WebhookRequest
from portal.database import bulk
from portal.models import Organization

ODD = "a'\"\\ $x$ %s %% \n\t🙂 \u202e é"


def request(number: Number, **fields: Any) -> WebhookRequest:
    return WebhookRequest(
        account=number.account,
        template=number.integration.template if number.integration else None,
        method="POST",
        query=b"\xff\x00",
        headers={"x": ODD},
        body=bytes(range(256)),
        digest="d",
        verdict="accepted",
        answer_status=200,
        **fields,
    )


def test_every_kind_of_column(private: Number) -> None:
    moment = datetime(2026, 7, 8, 9, 10, 11, 121314, tzinfo=timezone(timedelta(hours=10)))
    first = request(
        private, replayed_at=moment, path=ODD, tried=[["/0", ODD]], answer_headers={ODD: "1"}, more=7
    )
    second = request(private, tried=[], integration=private.integration)
    (one,), (two,) = bulk.insert([first, second], "id")
    assert one < two
    kept = WebhookRequest.objects.get(pk=one)
    assert (kept.path, kept.tried, kept.answer_headers, kept.more) == (ODD, [["/0", ODD]], {ODD: "1"}, 7)
    assert (bytes(kept.query), kept.headers, bytes(kept.body)) == (b"\xff\x00", {"x": ODD}, bytes(range(256)))
    assert (kept.integration, kept.replayed_at, kept.organization) == (None, moment, None)
    assert WebhookRequest.objects.filter(replayed_at=moment, replayed_at__hour=23).get() == kept
    assert kept.received_at is not None
    assert WebhookRequest.objects.get(pk=two).integration == private.integration
    event = WebhookEvent(request=kept, type="message", payload={"a": [1, ODD]}, number=private)
    bulk.insert([event])
    stored = WebhookEvent.objects.get()
    assert (stored.payload, stored.message_uuid, stored.key) == ({"a": [1, ODD]}, event.message_uuid, None)
    assert WebhookEvent.objects.filter(message_uuid=event.message_uuid).exists()


def test_a_conflict_is_passed_over_where_that_is_wanted(acme: Organization) -> None:
    rows = [Contact(organization=acme, address=address) for address in ("+1", "+2", "+1")]
    assert bulk.insert(rows, "address", ignore_conflicts=True) == [("+1",), ("+2",)]
    assert bulk.insert(rows[:1], "address", ignore_conflicts=True) == []
    with pytest.raises(IntegrityError):
        bulk.insert(rows[:1])


def test_an_update_touches_its_rows_and_columns_only(acme: Organization) -> None:
    rows = [Contact(organization=acme, address=address, name="old") for address in ("+1", "+2", "+3")]
    Contact.objects.bulk_create(rows)
    for row in rows[:2]:
        row.name, row.address = f"new {row.address} {ODD}", "+9"
    bulk.update(rows[:2], "name")
    assert list(Contact.objects.order_by("pk").values_list("address", "name")) == [
        ("+1", f"new +1 {ODD}"),
        ("+2", f"new +2 {ODD}"),
        ("+3", "old"),
    ]


def test_nothing_is_no_statement(acme: Organization) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert bulk.insert([]) == []
        bulk.update([], "name")
    assert len(captured) == 0


def test_a_thousand_rows_are_one_statement(acme: Organization) -> None:
    rows = [Contact(organization=acme, address=f"+{number}") for number in range(1000)]
    with CaptureQueriesContext(connection) as captured:
        found = bulk.insert(rows, "address")
    assert len(captured) == 1
    assert found == [(row.address,) for row in rows]
