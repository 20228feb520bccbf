"""Pages of long lists, which are counted only up to a limit."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Reads the keys of at most `MAX_COUNTED` rows, and counts these.

    One statement finds the keys for the count and all pages. It reads nothing else, so that indexes suffice.
    """

    MAX_COUNTED = 10_000
    template_name = "admin/portal/pagination.html"

    @cached_property
    def keys(self) -> list[int]:
        """The primary keys in the order of the list; one more than are counted if there are more."""
        rows: Any = self.object_list
        return list(rows.values_list("pk", flat=True)[: self.MAX_COUNTED + 1])

    @cached_property
    def count(self) -> int:
        return min(len(self.keys), self.MAX_COUNTED)

    @property
    def more(self) -> bool:
        """Whether there are more rows than are counted."""
        return len(self.keys) > self.MAX_COUNTED

    @property
    def last_key(self) -> int:
        """The primary key of the last row that has a page; `OlderFilter` lists the rows before it."""
        return self.keys[self.count - 1]

    def rows_of(self, number: int, rows: QuerySet[Any]) -> list[Any]:
        """The page of this number, read from `rows`, which need not be filtered again."""
        keys = self.keys[: self.count][(number - 1) * self.per_page : number * self.per_page]
        found = rows.in_bulk(keys)
        return [found[key] for key in keys if key in found]


class LogPaginator(CappedPaginator):
    """Counts fewer rows: there may be millions, few of which a filter lets through."""

    MAX_COUNTED = 1000
