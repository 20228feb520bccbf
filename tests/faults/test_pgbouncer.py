"""PgBouncer, which pools transactions, between real processes and PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from integrations.sandbox import Sandbox
from tests.faults.services import message
from tests.installation import Separate, pgbouncer, texts
from tests.processes import wait_for

pytestmark = pytest.mark.services
MakesSeparate = Callable[..., AbstractContextManager[Separate]]


def through(port: int, patchbay: Separate, query: str) -> str:
    """The installation's database behind the pooler."""
    name = urlsplit(patchbay.database).path
    return f"postgresql://postgres@127.0.0.1:{port}{name}{query}"


def test_everything_works_behind_a_pooler_of_transactions(
    separate: MakesSeparate, sandbox: Sandbox, tmp_path: Path
) -> None:
    pooler, port = pgbouncer(tmp_path, os.environ["PATCHBAY_TEST_SERVER"])
    try:
        with separate() as patchbay:
            patchbay.redis.start()
            patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": 40})
            patchbay.environment["DATABASE_URL"] = through(port, patchbay, "?server_side_binding=false")
            patchbay.run("manage.py", "install", "-v0").finish()
            patchbay.web().wait_until_ready(patchbay.url)
            patchbay.worker()
            with ThreadPoolExecutor(16) as pool:
                answers = pool.map(lambda index: patchbay.webhook(message(index)), range(80))
                assert set(answers) == {200}
            patchbay.settled()
            assert sorted(texts(sandbox)) == sorted(f"acme {index}" for index in range(40))
            wait_for(lambda: len(patchbay.texts_in()) == 80, 30, lambda: patchbay.output)
            assert set(patchbay.texts_in()) == {f"in {index}" for index in range(80)}
            assert "prepared statement" not in patchbay.output
    finally:
        pooler.stop()


def test_a_pooler_that_loses_prepared_statements_is_refused_at_start(
    separate: MakesSeparate, tmp_path: Path
) -> None:
    pooler, port = pgbouncer(tmp_path, os.environ["PATCHBAY_TEST_SERVER"])
    try:
        with separate() as patchbay:
            patchbay.environment["DATABASE_URL"] = through(port, patchbay, "")
            refused = patchbay.run("manage.py", "install", "-v0")
            assert refused.popen.wait(60) == 1
            assert "loses prepared statements between transactions" in refused.output
            assert "?server_side_binding=false" in refused.output
    finally:
        pooler.stop()
