"""Processes that could not work with the others refuse to start, with one sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from portal import startup
from tests.processes import Process, free_port

COMMANDS = {
    "worker": ["-m", "celery", "-A", "portal", "worker", "--pool", "threads"],
    "beat": ["-m", "celery", "-A", "portal", "beat"],
    "web": ["-m", "granian", "--interface", "wsgi", "portal.wsgi:application"],
}


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "REDIS_URL is not set."),
        (
            {"REDIS_URL": "redis://127.0.0.1:9/0", "PATCHBAY_METRICS_TOKEN": "secret-for-prometheus"},
            "PROMETHEUS_MULTIPROC_DIR is not",
        ),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_they_say_what_is_missing(
    tmp_path: Path, name: str, environment: dict[str, str], sentence: str
) -> None:
    port = ["--port", str(free_port())] if name == "web" else []
    environment = {"PATCHBAY_DATA": str(tmp_path / "data"), **environment}
    process = Process([sys.executable, *COMMANDS[name], *port], environment, tmp_path / "log")
    try:
        assert process.popen.wait(30) != 0
    finally:
        process.kill()
    said = [line for line in process.output.splitlines() if line.startswith("Error: ")]
    assert len(said) >= 1 and all(sentence in line for line in said)
    assert name == "web" or len(said) == 1  # the web server starts its worker again
    assert "Traceback" not in process.output
    assert "secret-for-prometheus" not in process.output


def test_only_the_doorway_ends_the_process(settings: Any) -> None:
    settings.REDIS_URL = ""
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL is not set\."):
        startup.separate_process()
    with pytest.raises(SystemExit, match=r"^Error: REDIS_URL is not set\."), startup.in_words():
        startup.separate_process()


def test_a_database_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OperationalError("connection failed: Connection refused\n\tIs it running?")

    monkeypatch.setattr(BaseDatabaseWrapper, "close", lambda _: None)
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", refuse)
    with pytest.raises(SystemExit) as ended, startup.in_words():
        refuse()
    assert ended.value.code == (
        "Error: The database cannot be reached (connection failed: Connection refused). "
        "See whether it runs, and DATABASE_URL."
    )
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", lambda _: None)
    with pytest.raises(OperationalError), startup.in_words():
        raise OperationalError("no such column: x")  # a defect keeps its trace
