"""Floods of requests that nobody has verified: a few are stored, the others counted, and what is right gets through."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging.models import Number, WebhookEvent, WebhookRequest
from portal.models import User
from tests.messaging.test_signed_service import number, signed  # noqa: F401 (fixtures)
from tests.messaging.test_webhooks import post, text, url  # noqa: F401 (a fixture)


def verdicts() -> list[tuple[str, str, int]]:
    return list(WebhookRequest.objects.order_by("pk").values_list("verdict", "ip", "more"))


@pytest.mark.parametrize(
    ("body", "verdict"), [(b'{"junk": %d}', "unmatched"), (b'{"junk": %d', "unparsable")]
)
def test_a_flood_is_sampled_and_counted(client: Client, url: str, body: bytes, verdict: str) -> None:  # noqa: F811
    sent = [post(client, url, body % count).status_code for count in range(25)]
    assert sent == [400] * 25
    assert verdicts() == [(verdict, "127.0.0.1", 0)] * 9 + [(verdict, "127.0.0.1", 15)]
    assert post(client, url, text()).status_code == 200
    assert (WebhookRequest.objects.count(), WebhookEvent.objects.count()) == (11, 1)


def test_each_address_has_its_own_share_and_all_have_one_together(client: Client, url: str) -> None:  # noqa: F811
    for address in range(8):
        for count in range(11):
            post(client, url, b'{"junk": %d}' % count, REMOTE_ADDR=f"192.0.2.{address}")
    shares = [(found, ip) for found, ip, _more in verdicts()]
    assert shares == [("unmatched", f"192.0.2.{address}") for address in range(5) for _ in range(10)]
    assert sum(more for _, _, more in verdicts()) == 38


def test_after_a_minute_it_is_stored_again(client: Client, url: str) -> None:  # noqa: F811
    for count in range(11):
        post(client, url, b'{"junk": %d}' % count)
    WebhookRequest.objects.update(received_at=F("received_at") - timedelta(seconds=61))
    post(client, url, b'{"junk": "later"}')
    assert WebhookRequest.objects.count() == 11


def test_texts_for_unknown_numbers_may_be_sent_again_later(client: Client, url: str) -> None:  # noqa: F811
    sent = [post(client, url, text("+61855555599", f"text {count}")).status_code for count in range(103)]
    assert sent == [200] * 100 + [429] * 3
    assert WebhookRequest.objects.filter(verdict="unknown_number").count() == 100
    assert WebhookRequest.objects.order_by("-pk")[0].more == 3


def test_what_a_key_has_verified_is_always_stored(number: Number) -> None:  # noqa: F811
    for count in range(15):
        body = json.dumps({"unknown": count}).encode()
        headers = {"X-Sig": hmac.new(b"secret", body, hashlib.sha256).hexdigest()}
        place = f"/services/signed/a{number.account.accountid}"
        sent = Client().post(place, body, content_type="application/json", headers=headers)
        assert sent.status_code == 200
    assert verdicts() == [("unmatched", "127.0.0.1", 0)] * 15


def test_a_flood_costs_the_same_number_of_queries(client: Client, url: str) -> None:  # noqa: F811
    counts = []
    for count in range(30):
        with CaptureQueriesContext(connection) as queries:
            post(client, url, b'{"junk": %d}' % count)
        counts.append(len(queries))
    assert len(set(counts[10:])) == 1
    assert counts[-1] <= counts[5]


def test_the_list_shows_how_many_there_were(client: Client, url: str, reseller: User) -> None:  # noqa: F811
    for count in range(13):
        post(client, url, b'{"junk": %d}' % count)
    client.force_login(reseller)
    page = client.get(reverse("admin:messaging_webhookrequest_changelist"))
    assert "(and 3 similar requests)" in page.content.decode()
