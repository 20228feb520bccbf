"""kill -9 while messages are on their way: none is lost, none goes out twice, few stay in doubt."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from integrations.sandbox import Sandbox
from messaging.models import Message
from messaging.statuses import Status
from tests.processes import Process, free_port, wait_for

MESSAGES, SLOTS = 100, 8


def _rows(data: Path) -> list[Any]:
    with sqlite3.connect(data / "patchbay.sqlite3") as connection:
        rows = connection.execute("SELECT text, status, queue_state FROM messaging_message")
        return rows.fetchall()


@pytest.mark.parametrize("after", [0, 40])
def test_kill_9_loses_nothing_and_sends_nothing_twice(after: int, tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.reports = False
    sandbox.answer_with(*["slow"] * MESSAGES, seconds=0.1)
    data, port = tmp_path / "data", free_port()
    environment = {
        "PATCHBAY_DATA": str(data),
        "PATCHBAY_SEND_SLOTS": str(SLOTS),
        "PATCHBAY_ALLOWED_ORIGINS": sandbox.origin,
    }
    log = tmp_path / "log"
    Process.manage("migrate", "-v0", environment=environment, log=log).finish()
    Process(
        [sys.executable, "-m", "tests.faults.fill", sandbox.api_url, str(MESSAGES)], environment, log
    ).finish()

    serving = Process.manage("serve", "--port", str(port), environment=environment, log=log)
    try:
        wait_for(lambda: len(sandbox.received) > after, 30, lambda: serving.output)
    finally:
        serving.kill()
    before = len(sandbox.received)
    assert before < MESSAGES
    serving = Process.manage("serve", "--port", str(port), environment=environment, log=log)
    try:
        wait_for(
            lambda: all(state == Message.Queue.DONE for _, _, state in _rows(data)),
            60,
            lambda: serving.output,
        )
        assert serving.stop() == 0
    finally:
        serving.kill()

    rows = _rows(data)
    arrived = Counter(json.loads(request.body)["content"] for request in sandbox.received)
    status = {text: status for text, status, _ in rows}
    in_doubt = {text for text, rank in status.items() if rank == Status.UNKNOWN}
    assert set(status) == {f"text {index}" for index in range(MESSAGES)}
    assert {text: times for text, times in arrived.items() if times > 1} == {}
    assert set(status.values()) <= {Status.SENT, Status.UNKNOWN}
    assert {text for text, rank in status.items() if rank == Status.SENT} <= set(arrived)
    assert len(in_doubt) <= SLOTS
