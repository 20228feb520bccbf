"""The pages of the gallery: for one organization, and for many of an account at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import gallery, logos, properties, setup
from integrations.gallery import GallerySearch
from integrations.models import Template
from integrations.search import LONGEST
from portal.administration.base import user_of
from portal.ids import key_of
from portal.models import Account, Organization
from portal.permissions import in_reach_of

SHOWN = 50
CHOICES = 500  # check boxes of a form: Django reads at most 1,000 fields


def choose(request: HttpRequest) -> HttpResponse:
    """Whom to set up a provider for: the organizations in reach, found by name, and the accounts."""
    user = user_of(request)
    organizations = Organization.objects.administered_by(user)
    accounts = Account.objects.filter(in_reach_of(user, "", "pk"))
    search = _search(request)
    for word in search.split():
        organizations = organizations.filter(Q(name__icontains=word) | Q(domain__icontains=word))
    found = organizations.select_related("account").annotate(providers=Count("integrations"))
    rows = list(found[: SHOWN + 1])
    if not search and len(rows) == 1 and not accounts.exists():
        return redirect("admin:integrations_gallery", rows[0].pk)
    context = {
        "title": _("Set up a provider"),
        "organizations": rows[:SHOWN],
        "more": len(rows) > SHOWN,
        "accounts": accounts[:SHOWN],
        "search": search,
    }
    return _page(request, "choose", context)


def of_organization(request: HttpRequest, pk: int) -> HttpResponse:
    """All providers that the organization can set up, as cards."""
    organization = get_object_or_404(Organization.objects.administered_by(user_of(request)), pk=pk)
    wanted, templates = GallerySearch.of(request.GET), gallery.providers(organization.account)
    context = {
        "title": _("Integrations of %(organization)s") % {"organization": organization},
        "organization": organization,
        "cards": gallery.cards(organization, templates, wanted),
    }
    return _gallery(request, context, templates, wanted)


def of_account(request: HttpRequest, pk: int) -> HttpResponse:
    """All providers that the account's organizations can set up, as cards: one is chosen for many."""
    account = _account(request, pk)
    wanted, templates = GallerySearch.of(request.GET), gallery.providers(account)
    context = {
        "title": _("Providers for the organizations of %(account)s") % {"account": account},
        "account": account,
        "cards": gallery.account_cards(account, templates, wanted),
    }
    return _gallery(request, context, templates, wanted)


def organizations(request: HttpRequest, pk: int, template: int) -> HttpResponse:
    """The account's organizations, of which one chooses those that get a provider."""
    account = _account(request, pk)
    chosen = get_object_or_404(Template.objects.published_in(account), pk=template)
    search = _search(request)
    if request.method == "POST":
        _enable(request, account, chosen, search)
        return redirect(request.get_full_path())
    rows, count = gallery.rows(account, chosen, search, CHOICES)
    context = {
        "title": _("%(provider)s for organizations of %(account)s")
        % {"provider": chosen, "account": account},
        "account": account,
        "template": chosen,
        "logo": logos.url_of(chosen),
        "rows": rows,
        "count": count,
        "without": sum(not row.state for row in rows),
        "used": any(row.state for row in rows),
        "lacking": _lacking(account, chosen),
        "search": search,
    }
    return _page(request, "organizations", context)


def _lacking(account: Account, chosen: Template) -> list[str]:
    """The required values that the account does not have."""
    assert chosen.published is not None
    compiled = chosen.published.compiled
    known = properties.shown(compiled, setup.account_row(account, chosen))
    filled = known.saved | known.values.keys()
    return [item.label for item in compiled.properties if item.required and item.label not in filled]


def _enable(request: HttpRequest, account: Account, chosen: Template, search: str) -> None:
    lacking = gallery.without(account, chosen, search)
    if request.POST.get("do") != "all":
        wanted = {key_of(item) for item in request.POST.getlist("organization")}
        lacking = [key for key in lacking if key in wanted]
    count = setup.enable(chosen, lacking, user_of(request))
    if not count:
        messages.warning(request, _("Choose organizations that have not set it up."))
        return
    if _lacking(account, chosen):
        done = ngettext(
            "%(provider)s is set up for %(count)d organization. Enter what it needs, then add its numbers.",
            "%(provider)s is set up for %(count)d organizations. Enter what they need, then add their "
            "numbers.",
            count,
        )
    else:
        done = ngettext(
            "%(provider)s is set up for %(count)d organization. Invite its people and add its numbers next.",
            "%(provider)s is set up for %(count)d organizations. Invite their people and add their numbers "
            "next.",
            count,
        )
    messages.success(request, done % {"provider": chosen, "count": count})


def _account(request: HttpRequest, pk: int) -> Account:
    return get_object_or_404(Account.objects.filter(in_reach_of(user_of(request), "", "pk")), pk=pk)


def _search(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()[:LONGEST]


def _gallery(
    request: HttpRequest, context: Mapping[str, Any], templates: list[Template], wanted: GallerySearch
) -> HttpResponse:
    shared = {"wanted": wanted, "countries": gallery.countries(templates)}
    return _page(request, "gallery", {**shared, **context})


def _page(request: HttpRequest, name: str, context: Mapping[str, Any]) -> HttpResponse:
    trail = [(_("Integrations"), reverse("admin:integrations_integration_changelist"))]
    context = {**admin.site.each_context(request), "breadcrumbs": trail, **context}
    return render(request, f"admin/integrations/{name}.html", context)
