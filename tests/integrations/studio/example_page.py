"""What the tests of the page Build by example share: a template, a client, and the page's address."""

from __future__ import annotations

import pytest
from django.test import Client

from integrations.models import Template
from portal.models import Organization, User
from tests.integrations.studio.conftest import signed_in


@pytest.fixture
def template(acme: Organization) -> Template:
    """A template of Acme's account without any document."""
    return Template.objects.create(account=acme.account)


@pytest.fixture
def client(reseller: User) -> Client:
    """Signed in as an administrator of the account."""
    return signed_in(reseller)


def url_of(template: Template) -> str:
    return f"/admin/integrations/template/{template.pk}/studio/example/"
