"""Integrations as they are prepared for sending: many in as many queries as one."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations import holds
from integrations.models import Integration, Template
from integrations.prepared import prepare
from portal.models import Account, Organization


def test_many_integrations_are_read_in_as_many_queries_as_one(account: Account, generic: Template) -> None:
    integrations = []
    for number in range(101):
        organization = Organization.objects.create(
            account=account, name=f"Organization {number}", domain=f"o{number}.example"
        )
        integrations.append(Integration.objects.create(organization=organization, template=generic))
        holds.enter(integrations[-1], {"API URL": "https://example.com", "API key": f"secret {number}"})

    def queries(keys: list[int]) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert prepare(keys).keys() == set(keys)
        return len(captured)

    first, *others = [integration.pk for integration in integrations]
    once = queries([first])
    assert queries(others) == once
    assert queries(others) == 1  # until something changes
