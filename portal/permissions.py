"""What a signed-in person may do, asked in one place."""

from __future__ import annotations

from django.db.models import Q

from portal.models import User


def in_reach_of(user: User, organization: str = "organization", account: str = "account") -> Q:
    """The condition for rows of the organizations and accounts that the user administers.

    `organization` and `account` are the lookups that lead to them; an empty one does not exist on the rows.
    Rows of an account as a whole (no organization) are in reach of that account's admins only.
    """
    if user.is_operator:
        return Q()
    condition = Q(pk__in=[])
    if organization:
        condition |= Q(**{f"{organization}__in": user.administered_organizations})
    if account:
        condition |= Q(**{f"{account}__in": user.administered_accounts})
    return condition
