"""The connection to PostgreSQL is asked after only where there is reason to."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.database import plans
from portal.models import Account


def begin() -> None:
    """What Django does before each request."""
    connection.close_if_unusable_or_obsolete()


@pytest.mark.django_db(transaction=True)
def test_a_server_that_closed_the_connection_is_asked_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL")
    asked: list[bool] = []
    is_usable = connection.is_usable

    def noted() -> bool:
        asked.append(is_usable())
        return asked[-1]

    monkeypatch.setattr(connection, "is_usable", noted)
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)
    connection.close()
    assert Account.objects.count() == 0
    held = connection.connection
    begin()
    assert (Account.objects.count(), asked) == (0, [])
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [held.info.backend_pid])
    other.close()
    begin()
    with CaptureQueriesContext(connection) as captured:
        assert Account.objects.count() == 0
    assert (asked, len(captured)) == ([False], 1)
    assert connection.connection is not held


@pytest.mark.django_db
def test_a_statement_that_is_planned_for_its_values_is_not_prepared() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL")

    def look_up(times: int) -> None:
        for key in range(times):
            Account.objects.filter(pk=key).first()

    def prepared() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE '%%portal_account%%'", []
            )
            (number,) = cursor.fetchone()
        return int(number)

    with plans.for_these_values():
        look_up(10)
    assert prepared() == 0
    look_up(10)
    assert prepared() == 1
