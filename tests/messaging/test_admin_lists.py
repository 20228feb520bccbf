"""Lists of 100,000 rows: no more is counted or read than a page needs, and indexes answer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import Integration, Template
from messaging.models import Conversation, DeliveryAttempt, Message, Number, WebhookRequest
from portal.administration.pagination import CappedPaginator, LogPaginator
from portal.encryption import encrypt
from portal.models import Account, Organization, User
from tests.messaging.queues import fill, number_of

MANY = 100_000
BIG = ("message", "deliveryattempt", "webhookrequest", "webhookevent", "contact", "conversation")


@pytest.mark.django_db
def test_counting_ends_at_its_limit(private: Number, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CappedPaginator, "MAX_COUNTED", 20)
    fill(private, 20)
    rows = Message.objects.order_by("-pk")
    exact = CappedPaginator(rows, 10)
    assert (exact.count, exact.more, exact.num_pages) == (20, False, 2)
    last = rows.last()
    assert last is not None
    Message.objects.create(
        organization=last.organization,
        conversation=last.conversation,
        direction="out",
        expires_at=timezone.now(),
    )
    more = CappedPaginator(rows, 10)
    assert (more.count, more.more, more.num_pages) == (20, True, 2)
    assert more.last_key == rows[19].pk


@pytest.mark.django_db
def test_a_list_goes_on_behind_what_is_counted(
    private: Number, operator: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogPaginator, "MAX_COUNTED", 100)
    fill(private, 250)
    client.force_login(operator)
    seen: list[int] = []
    url, pages = "/admin/messaging/message/", 0
    while url:
        page = client.get(url)
        seen += [row.pk for row in page.context["cl"].result_list]
        pages += 1
        text = page.content.decode()
        assert ("more than 100 messages" in text) == page.context["cl"].paginator.more
        older = re.search(r'href="([^"]*before=\d+[^"]*)">show older ones', text)
        if page.context["cl"].page_num < page.context["cl"].paginator.num_pages:
            url = _with(page, page.context["cl"].page_num + 1)
        else:
            url = f"/admin/messaging/message/{older[1].replace('&amp;', '&')}" if older else ""
    assert seen == list(Message.objects.order_by("-pk").values_list("pk", flat=True))
    assert pages == 5


def _with(page: Any, number: int) -> str:
    return "/admin/messaging/message/" + str(page.context["cl"].get_query_string({"p": number}))


@dataclass
class Crowd:
    """Acme with a tenth of the rows, and a stranger's organization with the others."""

    message: Message
    attempt: DeliveryAttempt
    request: WebhookRequest
    integration: Integration


@pytest.fixture
def crowd(private: Number, generic: Template) -> Iterator[Crowd]:
    account = Account.objects.create(name="Others")
    organization = Organization.objects.create(account=account, name="Others", domain="others.example")
    other = Integration.objects.create(organization=organization, template=generic)
    theirs = number_of(other, "+61855550001")
    if _postgres():  # begins with new files: in the gaps that other tests left, rows would lie in any order
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE messaging_message, messaging_webhookrequest CASCADE")
    fill(private, MANY // 10)
    fill(theirs, MANY - MANY // 10)
    uuid_of = "replace(gen_random_uuid()::text, '-', '')" if _postgres() else "lower(hex(randomblob(16)))"
    nothing, empty = encrypt(b""), encrypt(b"{}")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_message SET status = 50, queue_state = 2")
        cursor.execute("UPDATE messaging_message SET status = 40 WHERE id % 1000 = 0")
        cursor.execute(
            f"""INSERT INTO messaging_deliveryattempt (message_id, organization_id, integration_id, part, parts,
            fence, started_at, milliseconds, method, url, headers, body, answer_headers, answer_body,
            result, code, text, provider_id, status)
            SELECT id, organization_id, integration_id, 1, 1, 1, created_at, 50, 'POST', '', '{{}}', '', '{{}}',
            '', CASE WHEN status = 40 THEN 'failed' ELSE 'sent' END, '', '', {uuid_of}, 30
            FROM messaging_message ORDER BY id"""
        )
        cursor.execute(
            f"""INSERT INTO messaging_webhookrequest (account_id, organization_id, template_id, integration_id,
            owner, ip, method, path, query, headers, body, digest, verdict, reason, tried, answer_status,
            answer_headers, answer_body, more, received_at)
            SELECT o.account_id, o.id, {generic.pk}, m.integration_id, '', '', 'POST', '', %s, %s,
            %s, CAST(m.id AS text), CASE WHEN m.status = 40 THEN 'unmatched' ELSE 'accepted' END, '', '[]', 200, '{{}}',
            '', 0, m.created_at
            FROM messaging_message m JOIN portal_organization o ON o.id = m.organization_id ORDER BY m.id""",
            [nothing, empty, nothing],
        )
        cursor.execute("ANALYZE")
        cursor.execute(
            """INSERT INTO messaging_webhookevent (request_id, organization_id, type, payload, provider_id,
            part_of, message_uuid, message_id, state, reason, created_at, consent)
            SELECT r.id, r.organization_id, 'status', %s, a.provider_id, '', m.uuid, m.id, 'done', '',
            r.received_at, ''
            FROM messaging_webhookrequest r
            JOIN messaging_message m ON m.id = CAST(r.digest AS bigint)
            JOIN messaging_deliveryattempt a ON a.message_id = m.id""",
            [empty],
        )
        cursor.execute("ANALYZE")
    attempt = DeliveryAttempt.objects.filter(organization=private.organization).order_by("pk")[500]
    request = WebhookRequest.objects.get(events__provider_id=attempt.provider_id)
    yield Crowd(attempt.message, attempt, request, other)
    assert Message.objects.count() == MANY


def _postgres() -> bool:
    return connection.vendor == "postgresql"


def plans_of(queries: Any) -> list[tuple[str, str]]:
    """Each statement that reads a big table, with how the database goes about it."""
    found = []
    for query in queries:
        sql = query["sql"]
        if sql.startswith("SELECT") and any(f'"messaging_{name}"' in sql for name in BIG):
            with connection.cursor() as cursor:
                cursor.execute(
                    ("EXPLAIN " if _postgres() else "EXPLAIN QUERY PLAN ") + sql.replace("%", "%%"), []
                )
                found.append((sql, "\n".join(str(row) for row in cursor.fetchall())))
    return found


def reads_all(plan: str) -> bool:
    """Whether a big table is read from end to end, without an index."""
    if _postgres():
        return any(f"Seq Scan on messaging_{name} " in plan for name in BIG)
    # SQLite calls the walk along the primary key, newest first, a scan too: nothing is sorted then.
    scanned = re.search(rf"SCAN messaging_({'|'.join(BIG)})\b(?! USING)", plan)
    return scanned is not None and "USE TEMP B-TREE FOR ORDER BY" in plan


@pytest.mark.django_db
def test_indexes_answer_for_everybody(
    crowd: Crowd, operator: User, reseller: User, admin_of_acme: User
) -> None:
    messages, attempts, webhooks = (
        f"/admin/messaging/{name}/" for name in ("message", "deliveryattempt", "webhookrequest")
    )
    address = Conversation.objects.get(pk=crowd.message.conversation_id).contact.address
    assert address.startswith("fill")
    pages = {
        messages: None,
        f"{messages}?outcome=problem": None,
        f"{messages}?outcome=waiting": 0,
        f"{messages}?direction__exact=out": None,
        f"{messages}?before={crowd.message.pk}": None,
        f"{messages}?q={crowd.message.uuid}": 1,
        f"{messages}?q={crowd.attempt.provider_id}": 1,
        f"{messages}?q={address}": None,
        f"{messages}?q={uuid.uuid4()}": 0,
        f"{messages}?q=text": None,
        f"{messages}?q=nowhere": 0,
        f"{messages}?created_at_from=2026-01-01&created_at_to=2026-01-31": 0,
        f"{messages}?number={crowd.message.conversation.number.number.replace('+', '%2B')}": None,
        f"{messages}?service={crowd.message.integration_id}": 50,
        f"{messages}?code=nothing": 0,
        f"{messages}?author=1": 0,
        f"{attempts}?started_at_from=2026-01-01&started_at_to=2026-01-31": 0,
        f"{attempts}?http=500": 0,
        f"{attempts}?service={crowd.attempt.integration_id}": 50,
        f"{attempts}?q={address}": None,
        f"{webhooks}?received_at_from=2026-01-01&received_at_to=2026-01-31": 0,
        f"{webhooks}?verdict__exact=unmatched": None,
        f"{webhooks}?quarantine=cleared": 0,
        attempts: None,
        f"{attempts}?result=problem": None,
        f"{attempts}?q={crowd.attempt.provider_id}": 1,
        f"{attempts}?q={crowd.message.uuid}": 1,
        webhooks: None,
        f"{webhooks}?quarantine=yes": None,
        f"{webhooks}?q={crowd.attempt.provider_id}": 1,
        f"/admin/messaging/webhookrequest/{crowd.request.pk}/change/": None,
        f"/admin/messaging/message/{crowd.message.pk}/change/": None,
        "/admin/messaging/number/": None,
    }
    bad = []
    for user in (admin_of_acme, reseller, operator):
        client = Client()
        client.force_login(user)
        for url, expected in pages.items():
            with CaptureQueriesContext(connection) as captured:
                page = client.get(url)
            assert page.status_code == 200, url
            if expected is not None:
                assert len(page.context["cl"].result_list) == expected, (user.name, url)
            bad += [(user.name, url, *found) for found in plans_of(captured) if reads_all(found[1])]
    assert bad == []


@pytest.mark.django_db
def test_health_reads_its_day_by_indexes(crowd: Crowd, operator: User, client: Client) -> None:
    older = DeliveryAttempt.objects.annotate(rest=F("pk") % 20).filter(rest__gt=0)
    older.update(started_at=timezone.now() - timedelta(days=30))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client.force_login(operator)
    with CaptureQueriesContext(connection) as captured:
        page = client.get("/admin/messaging/servicehealth/")
    found = {row.integration.pk: row for row in page.context["found"]}
    assert found[crowd.integration.pk].attempts == (MANY - MANY // 10) // 20
    plans = plans_of(captured)
    assert [plan for plan in plans if reads_all(plan[1])] == []
    of_day = [plan for sql, plan in plans if "messaging_deliveryattempt" in sql]
    assert len(of_day) == 2
    assert [plan for plan in of_day if not re.search(r"attempt_(of_service|age)\b", plan)] == []
