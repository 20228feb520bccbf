"""Wake-ups: at most one of a task waits in the broker, none comes before the commit, and a lost one is made good."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction

from messaging import tasks, wakeups, worker
from messaging.models import Message, Number
from messaging.outbound.submit import submit
from messaging.statuses import Status
from messaging.wakeups import Task
from portal.celery import app
from portal.models import User
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty(db: None) -> None:
    caches["broker"].clear()
    waiting()


def waiting() -> list[str]:
    """The names of the tasks that wait in the broker, which are taken out of it."""
    found = []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        while queue.qsize():
            message = queue.get_nowait()
            message.ack()
            found.append(message.headers["task"])
        queue.close()
    return found


def test_at_most_one_of_a_task_waits() -> None:
    for _ in range(250):
        assert wakeups.wake(Task.DISPATCH_DUE)
    assert wakeups.wake(Task.FILE_EVENTS)
    assert waiting() == ["messaging.dispatch_due", "messaging.file_events"]


def test_a_task_that_has_looked_can_be_woken_again() -> None:
    for task in (Task.DISPATCH_DUE, Task.FILE_EVENTS, Task.FETCH_MEDIA, Task.RENEW_TOKENS, Task.SEND_ALERTS):
        wakeups.wake(task)
        app.tasks[task].run()
        wakeups.wake(task)
        assert waiting() == [task, task]


def test_every_wake_up_is_a_task() -> None:
    assert {name for name in app.tasks if name.startswith("messaging.")} == set(Task)
    assert tasks.dispatch_due.name == Task.DISPATCH_DUE


def test_nobody_is_woken_before_the_commit() -> None:
    with transaction.atomic():
        wakeups.after_commit(Task.RESEND)
        assert waiting() == []
    assert waiting() == [Task.RESEND]
    with pytest.raises(LookupError), transaction.atomic():
        wakeups.after_commit(Task.RESEND)
        raise LookupError
    assert waiting() == []


def test_a_submission_wakes_dispatching(private: Number, alice: User) -> None:
    submit(alice, private, "+61412345678", text="Hello")
    assert waiting() == [Task.DISPATCH_DUE]


def _broken(*args: Any, **kwargs: Any) -> Any:
    raise ConnectionError("no broker")


def test_a_broker_that_is_away_is_left_alone_and_the_sweep_does_the_work(
    private: Number, alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[int] = []

    def away(*args: Any, **kwargs: Any) -> Any:
        asked.append(1)
        _broken()

    monkeypatch.setattr(app, "send_task", away)
    with caplog.at_level(logging.WARNING):
        submit(alice, private, "+61412345678", text="Hello")
        assert not wakeups.wake(Task.DISPATCH_DUE)
    assert [record.getMessage() for record in caplog.records] == [
        "The broker does not answer (ConnectionError); the sweep does without it."
    ]
    assert asked == [1]
    worker.sweep()
    wait_for(lambda: Message.objects.get().status == Status.SENT)


@pytest.mark.parametrize("lost", [lambda: waiting(), lambda: caches["broker"].clear()])
def test_the_sweep_wakes_what_was_lost(private: Number, alice: User, lost: Callable[[], Any]) -> None:
    submit(alice, private, "+61412345678", text="Hello")
    waiting()
    lost()
    caches["broker"].clear()  # the mark that one waits is gone after five seconds at the latest
    worker.sweep()
    assert waiting() == [Task.DISPATCH_DUE]
