"""Which messages are claimed: fair between organizations, a share for each service, by indexes alone."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging import drain
from messaging.engine import claim, due, queue, sweep
from messaging.models import Message, Number
from messaging.outbound import dispatch, record, render
from messaging.statuses import QueueState, Status
from messaging.wakeups import Task
from portal.models import Account, Organization
from tests.messaging import queues

pytestmark = pytest.mark.django_db(transaction=True)
DISPATCH = Task.DISPATCH_DUE


@pytest.fixture
def template(account: Account) -> Template:
    return queues.template_of(account)


def number_in(organization: Organization, template: Template, url: str, index: int = 1) -> Number:
    return queues.number_of(queues.integration_of(organization, template, url), f"+6185555{index:04d}")


def claimed(found: claim.Claimed) -> Counter[int | None]:
    return Counter(item.integration for item in found.claims)


def test_organizations_take_turns_whatever_they_have_queued(
    template: Template, acme: Organization, globex: Organization
) -> None:
    many, few = number_in(acme, template, "http://a", 1), number_in(globex, template, "http://a", 2)
    queues.write_many(many, 100)
    late = queues.write_many(few, 3)
    # SQLite's clock counts whole milliseconds: by it, a moment of now may still be to come.
    just_now = timezone.now() - timedelta(milliseconds=1)
    Message.objects.filter(pk__in=[item.pk for item in late]).update(next_attempt_at=just_now)
    taken = claim.claim(8)
    assert claimed(taken) == {many.integration_id: 5, few.integration_id: 3}
    texts = [
        Message.objects.get(pk=item.id).text
        for item in taken.claims
        if item.integration == many.integration_id
    ]
    assert texts == [f"text {index}" for index in range(5)]


def test_with_one_slot_whoever_waited_longest_for_a_turn_is_next(
    template: Template, acme: Organization, globex: Organization
) -> None:
    for index, organization in enumerate((acme, globex)):
        queues.write_many(number_in(organization, template, "http://a", index), 5)
    in_turn = [claim.claim(1).claims[0].integration for _ in range(6)]
    assert in_turn[:2] * 3 == in_turn
    assert in_turn[0] != in_turn[1]


@pytest.mark.parametrize(
    ("free", "held", "share"), [(1, 0, 1), (2, 0, 1), (4, 0, 3), (64, 0, 48), (16, 48, 0), (32, 16, 20)]
)
def test_an_integration_never_takes_all_slots(
    template: Template, acme: Organization, free: int, held: int, share: int
) -> None:
    number = number_in(acme, template, "http://a")
    queues.write_many(number, 64)
    assert number.integration_id is not None
    assert len(claim.claim(free, {number.integration_id: held}).claims) == share


def test_services_that_hang_leave_slots_to_the_next(template: Template, acme: Organization) -> None:
    number = number_in(acme, template, "http://a")
    queues.write_many(number, 64)
    assert len(claim.claim(4, {-1: 48, -2: 12}).claims) == 3


def test_a_burst_in_one_conversation_does_not_hold_up_the_others(
    template: Template, acme: Organization
) -> None:
    number = number_in(acme, template, "http://a")
    first, *others = queues.write_many(number, 4)
    Message.objects.filter(pk__in=[item.pk for item in others]).update(next_attempt_at=Now())
    burst = [
        Message(
            organization=acme, conversation=first.conversation, integration=number.integration, direction="out",
            expires_at=first.expires_at, next_attempt_at=first.next_attempt_at, text=f"burst {index}",
        )
        for index in range(40)
    ]  # fmt: skip
    Message.objects.bulk_create(burst)
    taken = claim.claim(8)
    assert ([item.id for item in taken.claims], taken.wait) == ([first.pk], 0)
    assert {item.id for item in claim.claim(7, {number.integration_id or 0: 1}).claims} == {
        item.pk for item in others
    }


def test_what_has_no_integration_fails_in_words(
    sandbox: Sandbox, template: Template, acme: Organization
) -> None:
    number = number_in(acme, template, sandbox.api_url)
    lost, fine = queues.write_many(number, 2)
    Message.objects.filter(pk=lost.pk).update(integration=None)
    assert DISPATCH in sweep.due_tasks()[0]
    dispatch.drain()
    lost.refresh_from_db()
    fine.refresh_from_db()
    assert (lost.status, lost.queue_state, fine.status) == (Status.FAILED, QueueState.DONE, Status.SENT)
    assert lost.status_text == "The number sends through no provider. Choose one on the number's page."
    assert len(sandbox.received) == 1
    assert DISPATCH not in sweep.due_tasks()[0]


def test_claims_of_several_processes_never_overlap_nor_share_a_conversation(
    template: Template, acme: Organization
) -> None:
    number = number_in(acme, template, "http://a")
    twice = queues.write_many(number, 30)
    for message in twice:
        message.pk, message.uuid = None, None
    Message.objects.bulk_create(
        Message(
            organization=acme, conversation_id=item.conversation_id, integration=number.integration,
            direction="out", expires_at=item.expires_at, next_attempt_at=item.next_attempt_at,
        )
        for item in twice
    )  # fmt: skip
    found: list[int] = []

    def work() -> None:
        while claims := claim.claim(4).claims:
            found.extend(item.id for item in claims)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 30
    of = Message.objects.filter(pk__in=found).values_list("conversation", flat=True)
    assert len(set(of)) == 30


def test_ten_thousand_of_one_organization_delay_no_other(
    sandbox: Sandbox, template: Template, acme: Organization, globex: Organization, settings: Any
) -> None:
    """While the one's provider answers slowly, the other's message is there within 5 seconds."""
    settings.SEND_SLOTS = 16
    slow = number_in(acme, queues.template_of(acme.account, "slow"), sandbox.api_url, 1)
    queues.fill(slow, 10_000)
    quick = number_in(globex, template, sandbox.api_url, 2)
    sandbox.answer_with(*["slow"] * 12, seconds=6)
    thread = threading.Thread(target=_drain)
    thread.start()
    while len(sandbox.received) < 12:
        time.sleep(0.01)
    (message,) = queues.write_many(quick, 1)
    began = time.monotonic()
    dispatch.drain()  # the wake-up that follows a commit
    while time.monotonic() - began < 5 and Message.objects.get(pk=message.pk).status != Status.SENT:
        time.sleep(0.02)
    waited = time.monotonic() - began
    dispatch.stop(0)
    thread.join()
    drain.start()
    assert Message.objects.get(pk=message.pk).status == Status.SENT
    assert waited < 5


def _drain() -> None:
    dispatch.drain()
    connections.close_all()


def test_no_statement_of_the_queue_reads_the_table(
    sandbox: Sandbox, template: Template, acme: Organization, globex: Organization
) -> None:
    """At 100,000 waiting messages: claim, look, recover and record go by indexes."""
    busy = number_in(acme, template, sandbox.api_url, 1)
    queues.fill(busy, 100_000)
    queues.write_many(number_in(globex, template, sandbox.api_url, 2), 10)
    with CaptureQueriesContext(connection) as captured:
        sweep.due_tasks()
        jobs = render.prepare(claim.claim(40).claims)
        record.record_unsent(jobs[:1])
        queue.record([queue.Change(job.message.pk, 1, queue.DONE, Status.SENT) for job in jobs])
        queue.advance([queue.Change(job.message.pk, 1, queue.DONE, Status.DELIVERED) for job in jobs])
        queue.abandoned(everything=False)
        queue.retry_now([busy.integration_id or 0])
        queue.fail_without_integration("no")
    assert len(jobs) == 40
    statements = [
        item["sql"]
        for item in captured
        if re.match(r"\s*(SELECT|UPDATE|WITH|INSERT)", item["sql"]) and "messaging_message" in item["sql"]
    ]
    assert len(statements) >= 8
    for statement in statements:
        assert not _reads_all(statement), statement


def _reads_all(statement: str) -> list[str]:
    """The steps of the plan that read the whole table of messages."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"EXPLAIN {statement}")
            steps = [row[0] for row in cursor.fetchall()]
            return [step for step in steps if "Seq Scan on messaging_message" in step]
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        steps = [row[3] for row in cursor.fetchall()]
        return [step for step in steps if re.match(r"SCAN (messaging_message|message|old|busy)\b", step)]


def test_a_claim_takes_as_many_queries_for_a_hundred_integrations_as_for_one(
    account: Account, template: Template
) -> None:
    counts = []
    for batch in (range(1), range(1, 2), range(2, 40)):
        for index in batch:
            organization = Organization.objects.create(
                account=account, name=f"O{index}", domain=f"o{index}.example"
            )
            queues.write_many(number_in(organization, template, "http://a", index), 2)
        claim.claim(1)  # keeps the services at hand
        claim.claim(64)
        Message.objects.update(queue_state=0, lease_until=None)
        with CaptureQueriesContext(connection) as captured:
            taken = claim.claim(256)
        assert len(taken.claims) == Message.objects.count()
        counts.append(len(captured))
        Message.objects.update(queue_state=2, lease_until=None)
        Message.objects.all().delete()
    assert counts[1] == counts[2]


def test_a_look_that_finds_nothing_is_one_statement(template: Template, acme: Organization) -> None:
    queues.write_many(number_in(acme, template, "http://a"), 1)
    claim.claim(5)
    with CaptureQueriesContext(connection) as captured:
        assert claim.claim(5) == claim.Claimed([])
    assert len(captured) == 1


@pytest.mark.parametrize("probing", [False, True])
def test_an_integration_whose_breaker_changes_after_the_look_gives_nothing(
    template: Template, acme: Organization, probing: bool
) -> None:
    """Another process has sent the one message that may try, or has found that the service works again."""
    number = number_in(acme, template, "http://a")
    queues.write_many(number, 2)
    now = timezone.now()
    past, future = now - timedelta(seconds=1), now + timedelta(minutes=1)
    Integration.objects.update(paused_until=past if probing else None)
    found, without = due.integrations()
    assert (found, without) == ([due.DueIntegration(number.integration_id or 0, acme.pk, probing)], False)
    assert len(due.candidates(found, 5)) == 2
    Integration.objects.update(paused_until=future)
    assert due.candidates(found, 5) == []
    Integration.objects.update(paused_until=None if probing else past)
    assert due.candidates(found, 5) == []


def test_integrations_with_nothing_due_are_skipped(template: Template, acme: Organization) -> None:
    number = number_in(acme, template, "http://a")
    queues.write_many(number, 2)
    Message.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert (due.integrations(), claim.claim(5).claims, DISPATCH in sweep.due_tasks()[0]) == (
        ([], False),
        [],
        False,
    )
    Integration.objects.update(enabled=False)
    assert due.integrations() == ([], False)
