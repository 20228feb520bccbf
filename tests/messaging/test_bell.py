"""The bell: one look is enough however often it was rung, and what is not heard is left for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from messaging.bell import Bell

from messaging import bell, wakeups, worker
from tests.installation import Redis

PLACES = [
    "near",
    pytest.param("redis", marks=pytest.mark.services),
]


@pytest.fixture(params=PLACES)
def dispatching(
    request: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bell]:
    """The bell of dispatching, in this process or in a Redis of the test's own."""
    redis = Redis(tmp_path)
    if request.param == "redis":
        redis.start()
    settings.REDIS_URL = redis.url if request.param == "redis" else ""
    monkeypatch.setattr(bell, "WAIT_SECONDS", 1)
    bell.of.cache_clear()
    yield bell.of("dispatch")
    bell.of.cache_clear()
    redis.stop()


def test_many_rings_are_heard_once(dispatching: Bell) -> None:
    for _ in range(250):
        dispatching.ring()
    assert dispatching.heard()
    assert not dispatching.heard()


def test_each_has_its_own(dispatching: Bell) -> None:
    bell.of("file").ring()
    assert not dispatching.heard()
    assert bell.of("file").heard()


def test_who_waits_hears_it_at_once(dispatching: Bell) -> None:
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(dispatching.heard()))
    thread.start()
    time.sleep(0.1)
    dispatching.ring()
    thread.join(0.8)
    assert heard == [True]


def test_a_worker_works_at_each_ring_until_it_is_stopped(
    dispatching: Bell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "_stopped", threading.Event())
    done = threading.Semaphore(0)

    def work() -> None:
        done.release()
        raise ValueError("this time")

    thread = threading.Thread(target=worker._listen, args=["dispatch", work])
    thread.start()
    for _ in range(2):
        assert wakeups.wake("dispatch")
        assert done.acquire(timeout=5)
    worker._stopped.set()
    dispatching.ring()
    thread.join(5)
    assert not thread.is_alive()
    assert not done.acquire(blocking=False)
    assert dispatching.heard()  # by another process
    assert [record.message for record in caplog.records] == [
        "What the bell of dispatch has called for failed; the sweep tries it again."
    ] * 2
