from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.models import Account, Membership, User
from tests.conftest import person


@pytest.fixture
def make_reseller(db: None) -> Callable[[], User]:
    """Makes the administrator of another account."""

    def make() -> User:
        account = Account.objects.create(name="Northern Voice")
        return person("Nora", None, account=account, role=Membership.Role.ACCOUNT_ADMIN)

    return make
