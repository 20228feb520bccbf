"""The admin pages of templates and of integrations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations import credentials, gallery_pages, holds, logos, oauth, origins, setup, views
from integrations.forms import ValuesForm
from integrations.language.api_methods import SUBSCRIBE
from integrations.models import Integration, Template, TemplateRevision
from integrations.properties import ACCESS_TOKEN
from integrations.studio.start import views as start
from integrations.studio.trial import views as trial
from integrations.studio.urls import studio_urls
from portal.administration.base import OrganizationFilter, PortalAdmin, user_of
from portal.ids import key_of
from portal.models import Account, Organization, User
from portal.permissions import in_reach_of


@admin.register(Template)
class TemplateAdmin(PortalAdmin):
    """Templates: an account's own are changed in the studio, built-in ones only viewed and copied."""

    organization_lookup, account_lookup = "", "account"
    list_display = ["name", "service_id", "owner", "state", "studio"]
    list_select_related = ["account", "published", "draft"]
    search_fields = ["name", "service_id"]
    fields = readonly_fields = ["name", "service_id", "document_text"]
    change_form_before_template = "admin/integrations/built_in.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = Template.objects.copied_by(user_of(request)).select_related("account", "published", "draft")
        mine = Organization.objects.administered_by(user_of(request))
        users = Count("integrations", filter=Q(integrations__organization__in=mine))
        return rows.annotate(users=users, changeable=Value(user_of(request).is_operator))

    def in_reach(self, request: HttpRequest, obj: Any) -> bool:
        user = request.user
        if not isinstance(user, User) or not user.administers_accounts:
            return False
        return super().in_reach(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        built_in = obj is not None and obj.account_id is None
        return self.in_reach(request, obj) and (user_of(request).is_operator or not built_in)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """What a new template begins with."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return start.start(request)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        found = self.get_object(request, object_id)
        if found is not None and self.has_change_permission(request, found):
            return redirect("admin:integrations_studio_document", found.pk)
        return super().change_view(request, object_id, *args, **kwargs)

    @admin.display(description=gettext_lazy("owner"))
    def owner(self, template: Template) -> str:
        return str(template.account or _("built in"))

    @admin.display(description=gettext_lazy("state"))
    def state(self, template: Any) -> str:
        return " · ".join(_states(template, template.users))

    @admin.display(description=gettext_lazy("studio"))
    def studio(self, template: Any) -> str:
        if template.account_id is not None or template.changeable:
            url = reverse("admin:integrations_studio_document", args=[template.pk])
            return format_html('<a href="{}">{}</a>', url, _("Open in the studio"))
        look = reverse("admin:integrations_template_change", args=[template.pk])
        copy = reverse("admin:integrations_template_add") + f"?from=copy&template={template.pk}"
        links = [(look, _("Look at it")), (copy, _("Copy"))]
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.display(description=gettext_lazy("document"))
    def document_text(self, template: Template) -> str:
        return format_html(
            '<pre class="document" tabindex="0">{}</pre>',
            template.published.source if template.published else "",
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revision_view)
        own: list[URLPattern] = [
            path("<int:pk>/revisions/<int:number>/", view, name="integrations_template_revision"),
            *studio_urls(self.admin_site.admin_view),
        ]
        return own + super().get_urls()

    def revision_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """One revision, as it was written."""
        reach = self.get_queryset(request) if self.in_reach(request, None) else Template.objects.none()
        revisions = TemplateRevision.objects.select_related("template", "author")
        if not user_of(request).is_operator:  # the drafts of built-in templates are for operators
            published = Q(number__lte=F("template__published__number"))
            revisions = revisions.filter(published | Q(template__account__isnull=False))
        revision = get_object_or_404(
            revisions,
            template__in=reach,
            number=number,
            template=pk,
        )
        context = {**self.admin_site.each_context(request), "revision": revision, "title": str(revision)}
        return render(request, "admin/integrations/revision.html", context)


def _states(template: Template, users: int) -> Iterator[str]:
    """What is published, whether a draft waits, and how many organizations use the template."""
    if template.published is None:
        yield _("Not published")
    else:
        yield _("Revision %(number)d is published") % {"number": template.published.number}
    if template.draft is not None:
        yield _("draft %(number)d waits") % {"number": template.draft.number}
    if users:
        used = ngettext("used by %(count)d organization", "used by %(count)d organizations", users)
        yield used % {"count": users}


@admin.register(Integration)
class IntegrationAdmin(PortalAdmin):
    """Integrations: for each organization a gallery of providers, and a page for each of them."""

    list_display = ["template", "organization", "state"]
    list_select_related = ["template__published", "revision", "organization", "access_token"]
    list_filter = ["enabled", OrganizationFilter]
    search_fields = ["template__name", "organization__name"]

    @admin.display(description=gettext_lazy("state"))
    def state(self, integration: Integration) -> str:
        return setup.state_of(integration)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        found = get_object_or_404(self.get_queryset(request), pk=key_of(object_id))
        return redirect("admin:integrations_setup", found.organization_id, found.template_id)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Leads to the gallery of an organization, or of an account."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return gallery_pages.choose(request)

    def get_urls(self) -> list[URLPattern]:
        wrap, one = self.admin_site.admin_view, "organization/<int:pk>/<int:template>/"
        own: list[URLPattern] = [
            path("organization/<int:pk>/", wrap(gallery_pages.of_organization), name="integrations_gallery"),
            path(one, wrap(self.set_up), name="integrations_setup"),
            path(f"{one}trial/", wrap(trial.of_organization), name="integrations_trial"),
            path(f"{one}test/", wrap(views.self_test), name="integrations_self_test"),
            path("account/<int:pk>/", wrap(gallery_pages.of_account), name="integrations_account_gallery"),
            path("account/<int:pk>/<int:template>/", wrap(self.for_all), name="integrations_account_values"),
            path(
                "account/<int:pk>/<int:template>/organizations/",
                wrap(gallery_pages.organizations),
                name="integrations_enable",
            ),
        ]
        return own + super().get_urls()

    def set_up(self, request: HttpRequest, pk: int, template: int) -> HttpResponse:
        """The page of one integration: property values, webhook URLs, on or off."""
        user = user_of(request)
        organization = get_object_or_404(Organization.objects.administered_by(user), pk=pk)
        chosen = get_object_or_404(Template.objects.published_in(organization.account), pk=template)
        integration = setup.integration_of(organization, chosen)
        for_account = user.is_operator or organization.account_id in user.administered_accounts
        do = request.POST.get("do") if request.method == "POST" else None
        if do in ("off", "on") and integration.pk:
            setup.switch(integration, on=do == "on")
            return redirect(request.path)
        if do == "confirm" and integration.pk:
            self._confirm(request, integration, for_account=for_account)
            return redirect(request.path)
        form = ValuesForm(
            integration.compiled,
            setup.own_row(integration),
            setup.account_row(organization.account, chosen),
            request.POST or None,
            fixed=origins.fixed_for(integration),
            token=getattr(integration, "access_token", None) if integration.pk else None,
        )
        checking, verdict = request.POST.get("do") == "check", None
        if checking and form.is_valid() and credentials.can_check(integration):
            verdict = credentials.check(integration, form.credentials)
        elif request.method == "POST" and not checking and form.is_valid():
            known = integration.pk is not None
            setup.save(integration, form.entered, user)
            access = setup.access_status(integration)
            if access is not None and access.by_consent and access.state == "none":
                done = _("%(provider)s is set up. Connect it next.")
            elif known:
                done = _("%(provider)s is saved.")
            else:
                done = _("%(provider)s is set up. Add its numbers next.")
            messages.success(request, done % {"provider": chosen})
            if request.POST.get("do") == "numbers":
                numbers = reverse("admin:messaging_number_changelist")
                return redirect(f"{numbers}?organization={organization.pk}")
            return redirect(request.path)
        asks = holds.asks_of(integration) if integration.pk else []
        context = {
            **self.admin_site.each_context(request),
            "title": _("%(provider)s for %(organization)s")
            % {"provider": chosen, "organization": organization},
            "breadcrumbs": [
                (_("Integrations"), reverse("admin:integrations_integration_changelist")),
                (organization, reverse("admin:integrations_gallery", args=[organization.pk])),
            ],
            "organization": organization,
            "integration": integration,
            "template": chosen,
            "logo": logos.url_of(chosen),
            "form": form,
            "state": setup.state_of(integration),
            "asks": [(ask, ask.sentence(chosen), for_account or not ask.inherited) for ask in asks],
            "confirmable": any(ask.origin and (for_account or not ask.inherited) for ask in asks),
            "token_goes_to": form.reach.get(ACCESS_TOKEN, ()),
            "open_to_anyone": integration.compiled.webhook.open,
            "access": setup.access_status(integration),
            "arrival": setup.arrival_of(integration),
            "subscribes": SUBSCRIBE.name in integration.compiled.methods,
            "redirect_uri": oauth.redirect_uri(),
            "can_check": credentials.can_check(integration),
            "checking": checking,
            "verdict": verdict,
            "may_set_for_all": for_account,
        }
        return render(request, "admin/integrations/setup.html", context, status=422 if form.errors else 200)

    def _confirm(self, request: HttpRequest, integration: Integration, *, for_account: bool) -> None:
        """Lets secrets go where the page has asked for it; each answer names secret and origin."""
        answers = set(request.POST.getlist("answer"))
        given = holds.confirm(integration, answers, user_of(request), for_account=for_account)
        if given:
            messages.success(request, _("Confirmed. What was waiting is being sent."))
        else:
            messages.warning(request, _("Nothing was confirmed: look at what is asked now."))

    def for_all(self, request: HttpRequest, pk: int, template: int) -> HttpResponse:
        """The values that all organizations of an account inherit."""
        account = get_object_or_404(Account.objects.filter(in_reach_of(user_of(request), "", "pk")), pk=pk)
        chosen = get_object_or_404(Template.objects.published_in(account), pk=template)
        assert chosen.published is not None
        form = ValuesForm(
            chosen.published.compiled,
            setup.account_row(account, chosen),
            None,
            request.POST or None,
            partial=True,
        )
        if request.method == "POST" and form.is_valid():
            setup.save_for_account(account, chosen, form.entered, user_of(request))
            messages.success(
                request,
                _("The values are saved for all organizations of %(account)s. Choose who gets %(provider)s.")
                % {"account": account, "provider": chosen},
            )
            return redirect("admin:integrations_enable", account.pk, chosen.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("%(provider)s for all of %(account)s") % {"provider": chosen, "account": account},
            "breadcrumbs": [
                (_("Integrations"), reverse("admin:integrations_integration_changelist")),
                (account, reverse("admin:integrations_account_gallery", args=[account.pk])),
            ],
            "template": chosen,
            "logo": logos.url_of(chosen),
            "form": form,
            "account": account,
        }
        return render(request, "admin/integrations/setup.html", context, status=422 if form.errors else 200)
