"""Limits of services, measured at the provider: per credentials, per number, across processes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone

from integrations import holds
from integrations.models import Integration, PropertyValues, Template
from integrations.prepared import prepare
from integrations.sandbox import Sandbox
from messaging.engine import claim
from messaging.models import Message, Number
from messaging.outbound import dispatch
from messaging.statuses import QueueState, Status
from portal.models import Account, Organization
from tests.messaging import queues

pytestmark = pytest.mark.django_db(transaction=True)


def arrivals(sandbox: Sandbox) -> list[datetime]:
    return sorted(request.at for request in sandbox.received)


def most_within(times: Sequence[datetime], seconds: float) -> int:
    """How many fell into the fullest window of so many seconds."""
    window = timedelta(seconds=seconds)
    return max(sum(begin <= time < begin + window for time in times) for begin in times)


def test_a_backlog_drains_at_the_limit_and_never_above(
    sandbox: Sandbox, account: Account, acme: Organization
) -> None:
    template = queues.template_of(account, limits={"per_second": 10})
    number = queues.number_of(queues.integration_of(acme, template, sandbox.api_url), "+61855550001")
    queues.write_many(number, 25)
    dispatch.drain()
    times = arrivals(sandbox)
    assert len(times) == 25
    assert most_within(times, 1) <= 12  # a connection that takes its time may bring two close together
    assert 2.3 <= (times[-1] - times[0]).total_seconds() < 8
    assert Message.objects.filter(status=Status.SENT).count() == 25


def test_two_processes_share_a_limit(sandbox: Sandbox, account: Account, acme: Organization) -> None:
    """Claimed by threads with connections of their own, as two processes would."""
    template = queues.template_of(account, limits={"per_second": 20})
    number = queues.number_of(queues.integration_of(acme, template, sandbox.api_url), "+61855550001")
    queues.write_many(number, 40)
    times: list[datetime] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            found = claim.claim(8)
            times.extend(timezone.now() for _ in found.claims)
            over.wait(min(found.wait or 0.01, 0.05))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    over.wait(1.5)
    over.set()
    for thread in threads:
        thread.join()
    assert most_within(sorted(times), 1) <= 20 + 3
    assert len(times) > 15


def test_a_number_has_a_limit_of_its_own_and_does_not_hold_up_the_others(
    sandbox: Sandbox, account: Account, acme: Organization
) -> None:
    template = queues.template_of(account, limits={"per_number_per_second": 2})
    integration = queues.integration_of(acme, template, sandbox.api_url)
    first, second = (queues.number_of(integration, f"+6185555000{index}") for index in (1, 2))
    queues.write_many(first, 20)
    later = queues.write_many(second, 1)
    Message.objects.filter(pk=later[0].pk).update(next_attempt_at=Now())
    taken = claim.claim(64)
    numbers = Message.objects.filter(pk__in=[item.id for item in taken.claims])
    assert sorted(numbers.values_list("conversation__number", flat=True)) == [first.pk, second.pk]
    assert taken.wait is not None and 0.2 < taken.wait <= 0.5
    assert claim.claim(64).claims == []


def test_who_inherits_the_credentials_of_the_account_shares_their_limit(
    account: Account, acme: Organization, globex: Organization
) -> None:
    template = queues.template_of(account, limits={"per_second": 1})
    values = PropertyValues.objects.create(account=account, template=template, values={"Key": "shared"})
    inherits = [queues.integration_of(org, template, "http://a", key="") for org in (acme, globex)]
    holds.adopt()
    for index, integration in enumerate(inherits):
        queues.write_many(queues.number_of(integration, f"+6185555000{index}"), 3)
    assert {item.credentials for item in prepare([item.pk for item in inherits]).values()} == {values.pk}
    assert len(claim.claim(64).claims) == 1
    assert claim.claim(64).claims == []


def test_who_has_credentials_of_its_own_has_a_limit_of_its_own(
    account: Account, acme: Organization, globex: Organization
) -> None:
    template = queues.template_of(account, limits={"per_second": 1})
    PropertyValues.objects.create(account=account, template=template, values={"Key": "shared"})
    for index, organization in enumerate((acme, globex)):
        integration = queues.integration_of(organization, template, "http://a", key=f"own {index}")
        queues.write_many(queues.number_of(integration, f"+6185555000{index}"), 3)
    assert len({item.integration for item in claim.claim(64).claims}) == 2


def test_organizations_that_share_a_limit_take_turns(
    account: Account, acme: Organization, globex: Organization
) -> None:
    """What the one has queued long before does not come first each time."""
    template = queues.template_of(account, limits={"per_second": 1})
    PropertyValues.objects.create(account=account, template=template, values={"Key": "shared"})
    first, second = (queues.integration_of(org, template, "http://a", key="") for org in (acme, globex))
    holds.adopt()
    queues.write_many(queues.number_of(first, "+61855550001"), 50)
    late = queues.write_many(queues.number_of(second, "+61855550002"), 2)
    Message.objects.filter(pk__in=[item.pk for item in late]).update(next_attempt_at=Now())
    turns = []
    for _ in range(4):
        turns += [item.integration for item in claim.claim(64).claims]
        PropertyValues.objects.update(free_at=None)
    assert sorted(turns) == sorted([first.pk, second.pk] * 2)


def test_a_429_slows_everything_with_the_same_credentials(
    sandbox: Sandbox, account: Account, acme: Organization
) -> None:
    integration = queues.integration_of(acme, queues.template_of(account), sandbox.api_url)
    number = queues.number_of(integration, "+61855550001")
    throttled = queues.write_many(number, 1)[0]
    sandbox.answer_with("429", seconds=30)
    dispatch.drain()
    queues.write_many(number, 1)
    found = claim.claim(64)
    row = PropertyValues.objects.get(integration=integration)
    assert row.free_at is not None and found.claims == []
    said = float(throttled.delivery_attempts.get().answer_headers["retry-after"])
    assert found.wait is not None and said - 3 < found.wait <= said
    throttled.refresh_from_db()
    assert (throttled.status, throttled.queue_state) == (Status.SENDING, QueueState.WAITING)


def test_further_requests_of_a_message_count_too(
    sandbox: Sandbox, account: Account, acme: Organization
) -> None:
    template = queues.template_of(account, limits={"per_second": 2}, split={"max": 10, "unit": "characters"})
    integration = queues.integration_of(acme, template, sandbox.api_url)
    (message,) = queues.write_many(queues.number_of(integration, "+61855550001"), 1)
    Message.objects.filter(pk=message.pk).update(text="one two 3 four five 6 seven eight")
    dispatch.drain()
    free_at = PropertyValues.objects.get(integration=integration).free_at
    parts = len(sandbox.received)
    assert parts > 2
    assert free_at is not None
    assert (free_at - sandbox.received[0].at).total_seconds() > (parts - 1) * 0.5


def test_what_an_integration_sends_with_is_read_again_when_it_has_changed(
    sandbox: Sandbox, account: Account, acme: Organization, django_assert_num_queries: Any
) -> None:
    template = queues.template_of(account)
    integration = queues.integration_of(acme, template, sandbox.api_url)
    first = prepare([integration.pk])[integration.pk]
    with django_assert_num_queries(1):
        assert prepare([integration.pk])[integration.pk] is first
    PropertyValues.objects.get(integration=integration).save()
    assert prepare([integration.pk])[integration.pk] is not first
    template.revise(template.published.source.replace("Own", "Other"))  # type: ignore[union-attr]
    assert prepare([integration.pk])[integration.pk].compiled.name == "Other"
    Integration.objects.update(enabled=False)
    assert not prepare([integration.pk])[integration.pk].integration.enabled
    assert prepare([]) == {}


def test_an_integration_without_values_has_a_limit_nevertheless(account: Account, acme: Organization) -> None:
    template = queues.template_of(account)
    integration = Integration.objects.create(organization=acme, template=template)
    service = prepare([integration.pk])[integration.pk]
    assert PropertyValues.objects.get(integration=integration).pk == service.credentials
    assert isinstance(template, Template) and Number.objects.count() == 0
