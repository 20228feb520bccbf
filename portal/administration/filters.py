"""Filters of long lists: by days, and by rows of which there may be too many for a menu."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter
from unfold.contrib.filters.forms import AutocompleteDropdownForm, SearchForm

from portal.administration.base import LISTED, OrganizationFilter
from portal.ids import key_of


class DaysFilter(RangeDateFilter):  # type: ignore[misc]
    """Filters by days, in the user's time zone, the last one included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (self._day(each) for each in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.field_path}__gte": _midnight(first)})
        if last is not None:
            queryset = queryset.filter(**{f"{self.field_path}__lt": _midnight(last + timedelta(days=1))})
        return self.narrowed(queryset, first, last)

    def narrowed(self, queryset: QuerySet[Any], first: date | None, last: date | None) -> QuerySet[Any]:
        """The same rows, found faster."""
        return queryset

    def _day(self, end: str) -> date | None:
        try:
            day = date.fromisoformat(self.used_parameters.get(f"{self.parameter_name}_{end}") or "")
        except ValueError:
            return None
        return day if 1970 <= day.year < 3000 else None


class LogDaysFilter(DaysFilter):
    """The same for a list in the order of primary keys, which are in the order of the times, but for an hour.

    With bounds for the keys, the index of the list leads to the days.
    """

    def narrowed(self, queryset: QuerySet[Any], first: date | None, last: date | None) -> QuerySet[Any]:
        hour, name = timedelta(hours=1), self.field_path
        rows = queryset.model._default_manager.order_by(name)
        if first is not None:
            since = rows.filter(**{f"{name}__gte": _midnight(first) - hour}).values_list("pk", flat=True)[:1]
            queryset = queryset.filter(pk__gte=since[0]) if since else queryset.none()
        if last is not None:
            end = _midnight(last + timedelta(days=1)) + hour
            until = rows.filter(**{f"{name}__gte": end}).values_list("pk", flat=True)[:1]
            queryset = queryset.filter(pk__lte=until[0]) if until else queryset
        return queryset


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


class OrganizationDropdown(OrganizationFilter, DropdownFilter):  # type: ignore[misc]
    """Filters by one of the organizations in reach."""


class RowFilter(DropdownFilter):  # type: ignore[misc]
    """Filters by one of the rows that `rows` returns, with a search in the menu if there are many.

    `field` is the foreign key to such a row whose suggestions the menu shows then; its page declares it in
    `autocomplete_fields`. Without one, the value is typed.
    """

    field: Any = None
    many = False

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.request, self.model_admin = request, model_admin
        super().__init__(request, params, model, model_admin)

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        """What may be chosen."""
        raise NotImplementedError

    def value_of(self, row: Any) -> str:
        """What the URL says for a row."""
        return str(row.pk)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        found = list(self.rows(request)[: LISTED + 1])
        self.many = len(found) > LISTED
        return [(self.value_of(row), str(row)) for row in found[:LISTED]]

    def choices(self, changelist: Any) -> Any:
        if not self.many:
            yield from super().choices(changelist)
            return
        name, key = str(self.parameter_name), self.key
        label = _("By %(filter_title)s") % {"filter_title": self.title}
        if self.field is None:
            yield {"form": SearchForm(name=name, label=label, data={name: (self.value() or "")[:60]})}
            return
        form = AutocompleteDropdownForm(
            request=self.request,
            label=label,
            name=name,
            choices=(),
            field=self.field,
            model_admin=self.model_admin,
            data={name: key or ""},
        )
        form.fields[name].queryset = self.rows(self.request)  # the one that is chosen has its name here
        yield {"form": form}

    @property
    def key(self) -> int | None:
        """The chosen row's key, also if it is out of reach: the list has no such rows then."""
        return key_of(self.value() or "") or None


class ValueFilter(DropdownFilter):  # type: ignore[misc]
    """Filters by one of the values that `values` returns: those that occur."""

    def values(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        """What may be chosen, with its name."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        found = list(self.values(request, model_admin))
        chosen = str(self.used_parameters.get(str(self.parameter_name)) or "")[:60]
        if chosen and chosen not in dict(found):
            found.append((chosen, chosen))
        return found
