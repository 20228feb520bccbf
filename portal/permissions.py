"""Which rows an administrator may see and change."""

from __future__ import annotations

from django.db.models import Q

from portal.models import User


def in_reach_of(user: User, organization: str = "organization", account: str = "account") -> Q:
    """The condition for rows of the organizations and accounts that the user administers.

    `organization` and `account` are the lookups from a row to them; an empty one means that rows have none.
    Rows without an organization belong to the account as a whole and are in reach of its admins only.
    """
    if user.is_operator:
        return Q()
    condition = Q(pk__in=[])
    if organization:
        condition |= Q(**{f"{organization}__in": user.administered_organizations})
    if account:
        condition |= Q(**{f"{account}__in": user.administered_accounts})
    return condition
