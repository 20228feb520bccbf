"""Saved views on the pages of lists: links above the list, saving what it is filtered by, and deleting."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from portal import audit
from portal.administration.lists import RefusedQuery
from portal.models import Account, Organization, SavedView, User
from portal.models.views import LONGEST_QUERY

MOST_VIEWS = 50  # of a list that one person sees
_OF_A_PAGE = ("p", "all", "before", "e", "_changelist_filters")


class SavedViews:
    """Mixed into the page of a list: people save what it is filtered by, for themselves or other admins."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        user = _user_of(request)
        query = _filters_of(request.GET)
        context = {
            "saved_views": list(self._saved(user)[:MOST_VIEWS]),
            "query_to_save": query,
            "shared_with": _shares(user) if query else [],
            "viewer": user,
            **(extra_context or {}),
        }
        found: HttpResponse = super().changelist_view(request, context)  # type: ignore[misc]
        return found

    def get_urls(self) -> list[URLPattern]:
        view, meta = self.admin_site.admin_view, self.opts  # type: ignore[attr-defined]
        name = f"{meta.app_label}_{meta.model_name}"
        return [
            path("views/save/", view(require_POST(self.save_view)), name=f"{name}_save_view"),
            path(
                "views/<int:view>/delete/", view(require_POST(self.delete_saved)), name=f"{name}_delete_view"
            ),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def save_view(self, request: HttpRequest) -> HttpResponse:
        """Saves what the list is filtered by, if it has such filters, and shows the list so."""
        user = _user_of(request)
        if not self.in_reach(request, None):  # type: ignore[attr-defined]
            raise Http404
        query = _filters_of(QueryDict(request.POST.get("query", "")[: 4 * LONGEST_QUERY]))
        name = request.POST.get("name", "").replace("\0", "").strip()[:60]
        share = dict(_shares(user)).get(request.POST.get("share", "")) if request.POST.get("share") else None
        if request.POST.get("share") and share is None:
            raise Http404
        if not name or not query or len(query) > LONGEST_QUERY or "%00" in query:
            raise RefusedQuery(_("A view needs a name, and a list that is filtered."))
        self._check(request, query)
        if self._saved(user).count() >= MOST_VIEWS:
            raise RefusedQuery(
                _("There are %(number)d views of this list. Delete one first.") % {"number": MOST_VIEWS}
            )
        kind, _colon, key = request.POST.get("share", "").partition(":")
        organization = Organization.objects.get(pk=key) if kind == "organization" else None
        account_key = organization.account_id if organization else int(key) if kind == "account" else None
        with transaction.atomic(), audit.covered():
            row = SavedView.objects.create(
                owner=user,
                account_id=account_key,
                organization=organization,
                page=self.opts.label_lower,  # type: ignore[attr-defined]
                name=name,
                query=query,
            )
            audit.record(audit.Action.ADDED, row)
        messages.success(request, _("The view was saved."))
        return redirect(f"{self._list()}?{query}")

    def delete_saved(self, request: HttpRequest, view: int) -> HttpResponse:
        """Deletes a view: the own one, or one that is shared with the admins of what the user administers."""
        if not self.in_reach(request, None):  # type: ignore[attr-defined]
            raise Http404
        row = get_object_or_404(self._saved(_user_of(request)), pk=view)
        with transaction.atomic(), audit.covered():
            audit.record(audit.Action.DELETED, row)
            row.delete()
        messages.success(request, _("The view was deleted."))
        return redirect(self._list())

    def _saved(self, user: User) -> Any:
        return SavedView.objects.for_user(user).filter(page=self.opts.label_lower)  # type: ignore[attr-defined]

    def _check(self, request: HttpRequest, query: str) -> None:
        """Raises RefusedQuery for filters that the list does not have."""
        asked, request.GET = request.GET, QueryDict(query)
        try:
            self.get_changelist_instance(request)  # type: ignore[attr-defined]
        finally:
            request.GET = asked

    def _list(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")  # type: ignore[attr-defined]


def _user_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _filters_of(given: QueryDict) -> str:
    """The filters and the search of a URL, without its page."""
    kept = QueryDict(mutable=True)
    for name, values in given.lists():
        if name not in _OF_A_PAGE and any(values):
            kept.setlist(name, [value for value in values if value])
    return kept.urlencode()


def _shares(user: User) -> list[tuple[str, str]]:
    """With whom the user may share a view: the admins of each account or organization that is theirs."""
    accounts = Account.objects.filter(pk__in=user.administered_accounts).values_list("pk", "name")
    organizations = Organization.objects.filter(pk__in=user.administered_organizations)
    return [
        *((f"account:{pk}", _("Admins of %(name)s") % {"name": name}) for pk, name in accounts[:MOST_VIEWS]),
        *(
            (f"organization:{pk}", _("Admins of %(name)s") % {"name": name})
            for pk, name in organizations.values_list("pk", "name")[:MOST_VIEWS]
        ),
    ]
