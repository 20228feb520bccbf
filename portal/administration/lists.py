"""What the URLs of the administration's lists may ask for: what the pages declare, and nothing else.

Django would filter a list by any field of its model, and sort it by any column: `?password__startswith=`
guesses secrets, and `?text__regex=` can keep the database busy for minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin, ShowFacets
from django.contrib.admin.exceptions import DisallowedModelAdminLookup, DisallowedModelAdminToField
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR, ChangeListSearchForm
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from unfold.templatetags import unfold_list
from unfold.views import ChangeList

from portal.administration.pagination import CappedPaginator

LONGEST_SEARCH = 100


def _drawn_once(headers: Callable[[ChangeList], Iterable[Any]]) -> Callable[[ChangeList], list[Any]]:
    """The headers of a list, which Unfold draws anew for each of its rows, from the first drawing."""

    @wraps(headers)
    def drawn(changes: ChangeList) -> list[Any]:
        if not hasattr(changes, "drawn_headers"):
            changes.drawn_headers = list(headers(changes))
        return changes.drawn_headers

    return drawn


unfold_list.result_headers = _drawn_once(unfold_list.result_headers)


class RefusedQuery(BadRequest):
    """A list does not have what its URL asks for; the text is for the person who opened it."""


class _SearchForm(ChangeListSearchForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Each word is a condition, and databases limit how many a statement may have.
        field = forms.CharField(required=False, strip=False, max_length=LONGEST_SEARCH)
        field.error_messages["max_length"] = _("Search for at most %(limit_value)d characters.")
        self.fields[SEARCH_VAR] = field


class _DeclaredChangeList(ChangeList):  # type: ignore[misc]
    """A list that is filtered by its own filters and sorted by its own columns.

    Raises RefusedQuery for a filter or column that the list does not have, and IncorrectLookupParameters for
    a value that makes no sense.
    """

    search_form_class = _SearchForm

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        try:
            found: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        except (ValueError, OverflowError, ValidationError) as error:
            raise IncorrectLookupParameters(error) from error
        return found

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if isinstance(self.paginator, CappedPaginator) and not (self.show_all and self.can_show_all):
            rows = self.apply_select_related(self.root_queryset)
            self.result_list = self.paginator.rows_of(self.page_num if self.multi_page else 1, rows)

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        # The filters have taken their parameters. A date hierarchy leaves the bounds of what it shows.
        bounds = {f"{self.date_hierarchy}__{end}" for end in ("gte", "lt")}
        for name in found[2]:
            if name not in bounds:
                raise RefusedQuery(_("The list cannot be filtered by “%(name)s”.") % {"name": name[:100]})
        return found

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        sortable = {str(place) for place, name in enumerate(self.list_display) if name in self.sortable_by}
        places = [term.removeprefix("-") for term in self.params.get(ORDER_VAR, "").split(".") if term]
        if len(set(places)) < len(places) or not sortable.issuperset(places):
            raise RefusedQuery(_("The list cannot be sorted in this way."))
        found: list[Any] = super().get_ordering(request, queryset)
        return found


class _DeclaredLists:
    """Mixed into each ModelAdmin before its own classes, so that none can forget it."""

    show_facets = ShowFacets.NEVER  # one more count of all rows for each choice of each filter

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _DeclaredChangeList

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            return super().get_changelist_instance(request)  # type: ignore[misc]
        except (DisallowedModelAdminLookup, DisallowedModelAdminToField, IncorrectLookupParameters) as error:
            # Django would open the whole list instead, as if it were what the URL asks for.
            raise RefusedQuery(_("The list has no such filter, value or page.")) from error

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.run_validators(self.opts.pk.to_python(key))  # type: ignore[attr-defined]
        except ValidationError as error:
            raise RefusedQuery(_("The list has no such row.")) from error
        return super().response_action(request, queryset)  # type: ignore[misc]


def declared_only(admin_class: type[ModelAdmin[Any]]) -> type[ModelAdmin[Any]]:
    """The class, with lists that obey only what it declares."""
    names = {"__module__": admin_class.__module__, "__qualname__": admin_class.__qualname__}
    return type(admin_class.__name__, (_DeclaredLists, admin_class), names)


class DeclaredAutocomplete(AutocompleteJsonView):
    """Suggestions for the fields that a page declares as `autocomplete_fields`; 403 for any other field."""

    def process_request(self, request: HttpRequest) -> Any:
        term, model_admin, source, to_field = super().process_request(request)
        if source.name not in self._declared(request, source.model):
            raise PermissionDenied
        return term[:LONGEST_SEARCH], model_admin, source, to_field

    def _declared(self, request: HttpRequest, model: type[Model]) -> set[str]:
        """The autocomplete fields of the model, in its own pages and in inlines of other pages."""
        assert self.admin_site is not None
        pages: list[Any] = list(self.admin_site._registry.values())
        pages += [inline for page in pages for inline in page.get_inline_instances(request)]
        return {
            name for page in pages if page.model is model for name in page.get_autocomplete_fields(request)
        }
