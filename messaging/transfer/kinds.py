"""What all kinds of rows have in common: how a row of a file becomes a change, or a problem with a column."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from messaging.models.erasures import masked
from portal import audit
from portal.models import Organization, User

YES, NO = "yes", "no"
_SHORTENED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)  # how spreadsheets write what is long


class Verdict(StrEnum):
    """What becomes, or became, of a row."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    WRONG = "wrong"
    INVITED = "invited"


class Wrong(Exception):
    """What is wrong with a cell, in a sentence that says what to try."""

    def __init__(self, column: str, sentence: Any) -> None:
        super().__init__(str(sentence))
        self.column = column


@dataclass(frozen=True)
class Column:
    """A column of a file: its name in the header, what it holds, and cells of a sample."""

    name: str
    help: Any
    examples: tuple[str, ...]
    required: bool = False
    read_only: bool = False  # it is exported, and skipped by imports


@dataclass
class Row:
    """A row of a file, by the names of the columns that the file has."""

    number: int
    cells: Mapping[str, str]

    def get(self, column: str) -> str:
        """The cell; empty if the file does not have the column."""
        return self.cells.get(column, "")

    def need(self, column: str) -> str:
        """The cell. Raises Wrong if it is empty or missing."""
        if value := self.get(column):
            return value
        raise Wrong(column, _("This cell is needed. Fill it in."))

    def need_number(self, column: str) -> str:
        """The cell as a telephone number is written. Raises Wrong, also for one that has lost its digits."""
        given = self.need(column)
        if _SHORTENED.fullmatch(given):  # in some countries it could be read as a number, of somebody else
            shortened = _("A spreadsheet has shortened the number to %(number)s.") % {"number": given[:40]}
            raise Wrong(column, shortened + " " + _("Format its column as text, and enter it again."))
        return given


@dataclass
class Plan:
    """What a row will do: which row of ours it is about, and what changes, by column."""

    verdict: Verdict
    name: str
    row: Any = None
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)  # what only the kind knows


class Kind(ABC):
    """A kind of rows, as one person may import and export them.

    `load` reads whatever a batch of rows needs in a constant number of queries, `plan` decides about one of
    them without any, and `store` writes the plans of a batch. An object is used for one file or one batch.
    """

    name: ClassVar[str]
    model: ClassVar[type[Model]]
    columns: ClassVar[tuple[Column, ...]]

    def __init__(self, user: User) -> None:
        self.user = user
        self._seen: dict[Any, int] = {}

    @classmethod
    def header(cls) -> list[str]:
        return [column.name for column in cls.columns]

    @abstractmethod
    def load(self, rows: Sequence[Row]) -> None:
        """Reads what the rows need."""

    @abstractmethod
    def plan(self, row: Row) -> Plan:
        """What the row will do. Raises Wrong."""

    @abstractmethod
    def store(self, plans: Sequence[Plan]) -> None:
        """Writes what is new and changed, and records it, in the caller's transaction."""

    @classmethod
    @abstractmethod
    def exported(cls, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        """The rows with all that `lines` reads, in a constant number of queries."""

    @abstractmethod
    def lines(self, row: Any) -> Iterable[Sequence[str]]:
        """A row as cells, in the order of the columns; one row of ours may be several of a file."""

    # --- For the kinds ---

    def load_organizations(self, rows: Sequence[Row]) -> None:
        """Finds the organizations that the rows name by their domains, within the user's reach."""
        domains = {row.get("organization").lower() for row in rows}
        mine = Organization.objects.administered_by(self.user).filter(domain__in=domains)
        self.organizations = {each.domain: each for each in mine.select_related("account")}

    def organization(self, row: Row) -> Organization:
        """The organization of the row. Raises Wrong for one out of reach, as for one that does not exist."""
        domain = row.need("organization")
        if found := self.organizations.get(domain.lower()):
            return found
        raise Wrong(
            "organization",
            _("You have no organization with the domain “%(domain)s”. The list of organizations shows them.")
            % {"domain": domain},
        )

    def once(self, row: Row, key: Any, column: str) -> None:
        """Raises Wrong if an earlier row of the file is about the same."""
        first = self._seen.setdefault(key, row.number)
        if first != row.number:
            raise Wrong(column, _("Row %(row)d is about the same. Delete one of them.") % {"row": first})

    def differing(self, row: Row, before: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """The cells that differ from what an export would say."""
        writable = {column.name for column in self.columns if not column.read_only}
        return {
            name: (before.get(name, ""), value)
            for name, value in row.cells.items()
            if name in writable and value != before.get(name, "").strip()
        }

    def record(self, plans: Sequence[Plan], scope: Any = None, *, private: bool = False) -> None:
        """Records the plans as if they had been made by hand; `private` ones without values and numbers."""
        verbs = {Verdict.NEW: audit.Action.ADDED, Verdict.CHANGED: audit.Action.CHANGED}
        audit.record_rows(
            [
                (
                    verbs[plan.verdict],
                    plan.row,
                    dict.fromkeys(plan.changes) if private else plan.changes,
                    scope(plan) if scope else None,
                )
                for plan in plans
                if plan.verdict in verbs
            ],
            self.user,
            name=(lambda row: masked(row.address)) if private else None,
        )

    @cached_property
    def whole_accounts(self) -> set[int]:
        """The accounts that the user administers as a whole; of an operator none are listed."""
        return set(self.user.administered_accounts)


def yes_or_no(row: Row, column: str, default: bool) -> bool:
    """The cell as a truth value. Raises Wrong."""
    value = row.get(column).lower()
    if not value:
        return default
    if value in ("yes", "true", "1", "y", "on", "x", "wahr", "ja", "oui", "si", "sí"):
        return True
    if value in ("no", "false", "0", "n", "off", "falsch", "nein", "non"):
        return False
    raise Wrong(column, _("Write yes or no."))


def valid(instance: Model, field_name: str, value: str, column: str) -> str:
    """The value, checked as the form of the administration does it. Raises Wrong."""
    checked: Any = instance._meta.get_field(field_name)
    try:
        return str(checked.clean(value, instance))
    except ValidationError as error:
        raise Wrong(column, " ".join(error.messages)) from None
