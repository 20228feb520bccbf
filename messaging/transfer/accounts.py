"""Accounts as files name them."""

from __future__ import annotations

from collections import Counter

from django.utils.translation import gettext as _

from messaging.transfer.kinds import Row, Wrong
from portal.models import Account, User
from portal.permissions import in_reach_of


class Accounts:
    """The accounts that somebody administers as a whole, by their ids and by the names of only one."""

    def __init__(self, user: User) -> None:
        self._all = list(Account.objects.filter(in_reach_of(user, "", "pk")))
        times = Counter(account.name for account in self._all)
        self._found = {account.name: account for account in self._all if times[account.name] == 1}
        self._found |= {account.accountid: account for account in self._all}

    def named(self, row: Row) -> Account | None:
        """The account that the row names, if any. Raises Wrong for one out of reach."""
        given = row.get("account")
        if not given:
            return None
        if found := self._found.get(given):
            return found
        raise Wrong("account", _("You administer no single account “%(account)s”.") % {"account": given})

    def only(self, row: Row) -> Account:
        """The account that the row names, or the only one. Raises Wrong."""
        if found := self.named(row):
            return found
        if len(self._all) == 1:
            return self._all[0]
        raise Wrong("account", _("You administer several accounts. Write which one is meant."))

    def name_of(self, account: Account) -> str:
        """How a file names the account; empty for somebody who does not administer it."""
        if self._found.get(account.name) == account:
            return account.name
        return account.accountid if account.accountid in self._found else ""
