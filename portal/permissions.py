"""What a signed-in person may do, asked in one place."""

from __future__ import annotations

from django.db.models import Q

from portal.models import Account, Organization, User


def accounts_of(user: User) -> set[int]:
    """Keys of the accounts that the user administers as a whole; an operator is asked for apart."""
    return set(user.administered_accounts)


def may_administer_account(user: User, account: Account) -> bool:
    """Whether the user may change what belongs to the account as a whole: templates, account-wide values."""
    return user.is_active and (user.is_operator or account.pk in accounts_of(user))


def may_administer(user: User, organization: Organization) -> bool:
    """Whether the user may change the organization's integrations, numbers and people."""
    return user.is_active and (
        user.is_operator
        or organization.pk in user.administered_organizations
        or organization.account_id in accounts_of(user)
    )


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
