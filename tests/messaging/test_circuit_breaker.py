"""The breaker: opens after failures in a row or refused credentials, probes, closes, and tells the admins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from integrations import setup
from integrations.models import Integration
from integrations.sandbox import Sandbox
from messaging import alerts, worker
from messaging.engine import circuit_breaker, claim, sweep
from messaging.models import Alert, Message, Number, OptOut
from messaging.outbound import dispatch
from messaging.statuses import Status
from messaging.wakeups import Task
from portal.models import User
from tests.messaging.queues import write_many

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> None:
    settings.BREAKER_FAILURES = 5


def pause_left(service: Integration) -> float:
    service.refresh_from_db()
    return -1.0 if service.paused_until is None else (service.paused_until - timezone.now()).total_seconds()


def end_the_pause() -> None:
    Integration.objects.update(paused_until=timezone.now() - timedelta(seconds=1))


def test_it_opens_after_failures_in_a_row_and_what_waits_burns_no_attempt(
    sandbox: Sandbox, private: Number, service: Integration
) -> None:
    sandbox.answer_with(*["500"] * 5)
    write_many(private, 5)
    dispatch.drain()
    assert 25 < pause_left(service) <= 30
    assert (service.failures, service.pause_seconds) == (5, 30)
    assert (
        service.trouble.startswith("The provider responded with status 500")
        and service.trouble_since is not None
    )
    waiting = write_many(private, 3)
    dispatch.drain()
    assert len(sandbox.received) == 5
    assert set(Message.objects.filter(pk__in=[m.pk for m in waiting]).values_list("attempts", "status")) == {
        (0, Status.QUEUED)
    }
    assert Task.DISPATCH_DUE not in sweep.due_tasks()[0]


@pytest.mark.parametrize("between", ["ok", "refuse"])
def test_failures_that_are_not_in_a_row_or_refusals_do_not_open_it(
    sandbox: Sandbox, private: Number, service: Integration, between: Any
) -> None:
    sandbox.answer_with(*["500"] * 4, between, *(["500"] * 4 if between == "ok" else ["refuse"] * 20))
    for message in write_many(private, 9):
        Message.objects.filter(pk=message.pk).update(next_attempt_at=Now())
        Message.objects.exclude(pk=message.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
        dispatch.drain()
    assert (pause_left(service), service.failures, service.trouble) == (-1, 4, "")


def test_a_429_is_no_failure(sandbox: Sandbox, private: Number, service: Integration) -> None:
    sandbox.answer_with(*["429"] * 6)
    write_many(private, 6)
    dispatch.drain()
    assert (pause_left(service), service.failures) == (-1, 0)


@pytest.mark.parametrize(("mode", "result"), [("refuse_connection", "retry"), ("garbage", "unknown")])
def test_connections_and_answers_that_fail_open_it(
    sandbox: Sandbox, private: Number, service: Integration, mode: str, result: str
) -> None:
    if mode == "garbage":
        sandbox.answer_with(*["garbage"] * 5)
    else:
        sandbox.stop()
    write_many(private, 5)
    dispatch.drain()
    if mode != "garbage":
        sandbox.start()
    assert pause_left(service) > 0
    assert set(Message.objects.values_list("delivery_attempts__result", flat=True)) == {result}


def test_one_401_opens_it(sandbox: Sandbox, private: Number, service: Integration) -> None:
    sandbox.answer_with("401")
    write_many(private, 1)
    dispatch.drain()
    assert pause_left(service) > 25
    assert service.trouble.startswith("The provider responded with status 401")


def test_the_pause_doubles_with_each_probe_and_one_message_goes_at_a_time(
    sandbox: Sandbox, private: Number, service: Integration
) -> None:
    sandbox.answer_with(*["401"] * 8)
    write_many(private, 1)
    dispatch.drain()
    write_many(private, 20)
    pauses = []
    for _ in range(6):
        end_the_pause()
        before = len(sandbox.received)
        dispatch.drain()
        assert len(sandbox.received) == before + 1
        service.refresh_from_db()
        pauses.append(service.pause_seconds)
    assert pauses == [60, 120, 240, 480, 600, 600]
    assert 590 < pause_left(service) <= 600


def test_only_one_process_probes(sandbox: Sandbox, private: Number, service: Integration) -> None:
    sandbox.answer_with("401")
    write_many(private, 1)
    dispatch.drain()
    write_many(private, 5)
    end_the_pause()
    (probe,) = claim.claim(10).claims
    assert probe.probing
    assert claim.claim(10).claims == []


def test_the_first_success_closes_it_and_everything_goes(
    sandbox: Sandbox, private: Number, service: Integration
) -> None:
    sandbox.answer_with("401")
    write_many(private, 1)
    dispatch.drain()
    write_many(private, 10)
    end_the_pause()
    dispatch.drain()
    service.refresh_from_db()
    assert (service.paused_until, service.pause_seconds, service.failures) == (None, 0, 0)
    assert (service.trouble, service.trouble_since) == ("", None)
    assert Message.objects.filter(status=Status.SENT).count() == 10
    assert service.last_sent_at is not None


def test_a_late_failure_of_another_message_does_not_lengthen_the_pause(
    private: Number, service: Integration
) -> None:
    with transaction.atomic():
        circuit_breaker.record({service.pk: circuit_breaker.Tally(failures=5, reason="down")})
    first = pause_left(service)
    with transaction.atomic():
        circuit_breaker.record({service.pk: circuit_breaker.Tally(failures=3, reason="down")})
    assert pause_left(service) <= first
    assert (service.pause_seconds, service.failures) == (30, 8)


def test_a_probe_that_could_not_be_sent_leaves_its_turn_to_the_next(
    sandbox: Sandbox, private: Number, service: Integration
) -> None:
    sandbox.answer_with("401")
    write_many(private, 1)
    dispatch.drain()
    refused, fine = write_many(private, 2)
    Message.objects.filter(attempts=1).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    OptOut.objects.create(
        organization=private.organization, number=private, address=refused.conversation.contact.address
    )
    end_the_pause()
    for _ in range(2):  # the sweep looks again within a second
        dispatch.drain()
    refused.refresh_from_db()
    fine.refresh_from_db()
    assert (refused.status, fine.status) == (Status.FAILED, Status.SENT)
    assert pause_left(service) == -1


def test_what_expires_during_a_pause_is_given_up(
    sandbox: Sandbox, private: Number, service: Integration
) -> None:
    sandbox.answer_with("401", "401")
    write_many(private, 1)
    dispatch.drain()
    (old,) = write_many(private, 1)
    Message.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    end_the_pause()
    dispatch.drain()
    old.refresh_from_db()
    assert (old.status, old.status_text) == (Status.FAILED, "Not sent before it expired.")
    assert old.attempts == 0


def test_new_credentials_close_it_at_once(sandbox: Sandbox, private: Number, service: Integration) -> None:
    sandbox.answer_with("401")
    (message,) = write_many(private, 1)
    dispatch.drain()
    found = Integration.objects.ready().get(pk=service.pk)
    setup.save(found, setup.Entered(found.own_values, {}))
    assert (pause_left(service), service.failures, service.trouble) == (-1, 0, "")
    dispatch.drain()
    message.refresh_from_db()
    assert message.status == Status.SENT


def test_the_last_success_is_noted_at_most_every_few_seconds(
    sandbox: Sandbox, private: Number, service: Integration
) -> None:
    for _ in range(2):
        write_many(private, 1)
        dispatch.drain()
        service.refresh_from_db()
        assert service.last_sent_at is not None
        first = service.last_sent_at
        write_many(private, 1)
        dispatch.drain()
        service.refresh_from_db()
        assert service.last_sent_at == first
        Integration.objects.update(last_sent_at=F("last_sent_at") - timedelta(seconds=6))


def test_admins_are_told_once_that_it_opened_and_once_that_it_closed(
    sandbox: Sandbox,
    private: Number,
    service: Integration,
    admin_of_acme: User,
    admin_of_globex: User,
    reseller: User,
    operator: User,
) -> None:
    sandbox.answer_with("401", "401")
    write_many(private, 1)
    dispatch.drain()
    assert Task.SEND_ALERTS in sweep.due_tasks()[0]
    alerts.send_due()
    alerts.send_due()
    assert sorted(to for item in mail.outbox for to in item.to) == sorted(
        [admin_of_acme.email, reseller.email]
    )
    opened = mail.outbox[0]
    assert opened.subject == f"{service.template.name} is paused for Acme"
    assert "The provider responded with status 401" in str(opened.body)
    assert f"/organization/{service.organization_id}/{service.template_id}/" in str(opened.body)
    assert "sandbox-key" not in str(opened.body)
    end_the_pause()
    Message.objects.update(next_attempt_at=Now())
    dispatch.drain()
    alerts.send_due()
    assert len(mail.outbox) == 2
    end_the_pause()
    Message.objects.update(next_attempt_at=Now())
    dispatch.drain()
    alerts.send_due()
    assert [item.subject for item in mail.outbox[2:]] == [
        f"{service.template.name} has recovered for Acme"
    ] * 2
    assert Task.SEND_ALERTS not in sweep.due_tasks()[0]


def test_an_email_that_is_not_taken_is_tried_again_and_holds_nothing_up(
    sandbox: Sandbox,
    private: Number,
    service: Integration,
    admin_of_acme: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.answer_with("401")
    write_many(private, 1)
    dispatch.drain()

    def away(*_: Any) -> int:
        raise ConnectionRefusedError("no mail server")

    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", away)
        worker.sweep()
        alerts.send_due()
    assert mail.outbox == []
    alert = Alert.objects.get()
    assert alert.tell_at is not None and alert.tell_at > timezone.now() + timedelta(minutes=4)
    Alert.objects.update(tell_at=timezone.now() - timedelta(seconds=1))
    alerts.send_due()
    assert len(mail.outbox) == 1
