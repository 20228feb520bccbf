"""The admin pages of templates and of integrations."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import credentials, holds, logos, oauth, origins, setup, views
from integrations.forms import TemplateForm, ValuesForm
from integrations.language.api_methods import SUBSCRIBE
from integrations.models import Integration, Template, TemplateRevision
from integrations.properties import ACCESS_TOKEN
from integrations.studio import trial_page
from integrations.studio.urls import studio_urls
from portal.admin_base import OrganizationFilter, PortalAdmin, user_of
from portal.ids import key_of
from portal.models import Account, Organization, User
from portal.permissions import in_reach_of


@admin.register(Template)
class TemplateAdmin(PortalAdmin):
    """Templates: an account's own can be edited, built-in ones only viewed."""

    organization_lookup, account_lookup = "", "account"
    form = TemplateForm
    list_display = ["name", "service_id", "owner", "revision_number"]
    list_select_related = ["account", "published"]
    search_fields = ["name", "service_id"]
    change_form_before_template = "admin/integrations/document.html"
    change_form_after_template = "admin/integrations/revisions.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        user = user_of(request)
        rows = Template.objects.select_related("account", "published")
        return rows if user.is_operator else rows.filter(Q(account=None) | in_reach_of(user, "", "account"))

    def in_reach(self, request: HttpRequest, obj: Any) -> bool:
        user = request.user
        if not isinstance(user, User) or not user.administers_accounts:
            return False
        return super().in_reach(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        built_in = obj is not None and obj.account_id is None
        return self.in_reach(request, obj) and (user_of(request).is_operator or not built_in)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is not None and not self.has_change_permission(request, obj):
            return ["name", "service_id", "document_text"]
        return ["source", "moves_to"] if obj else ["account", "source"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name", "service_id", "document_text"]

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "account" and not user_of(request).is_operator:
            field.required, field.empty_label, field.help_text = True, None, ""
        return field

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        source = form.cleaned_data["source"].replace("\r\n", "\n")
        before = obj.published.compiled.logo if obj.published else ""
        if obj.published is not None and obj.published.source == source:
            messages.info(request, _("The document has not changed, so there is no new revision."))
        else:
            # The form has asked whether the webhook URL may change.
            obj.revise(source, user_of(request), moves=True)
        transaction.on_commit(lambda: self._fetch_logo(request, obj, before))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Recorded by `Template.revise`, like every new revision."""

    log_change = log_addition

    def _fetch_logo(self, request: HttpRequest, template: Template, before: str) -> None:
        if problem := logos.refresh(template, before):
            messages.warning(request, problem)

    @admin.display(description=gettext_lazy("owner"))
    def owner(self, template: Template) -> str:
        return str(template.account or _("built in"))

    @admin.display(description=gettext_lazy("revision"))
    def revision_number(self, template: Template) -> str:
        return str(template.published.number) if template.published else _("none")

    @admin.display(description=gettext_lazy("document"))
    def document_text(self, template: Template) -> str:
        return format_html(
            '<pre class="document">{}</pre>', template.published.source if template.published else ""
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
        revision = get_object_or_404(
            TemplateRevision.objects.select_related("template", "author"),
            template__in=reach,
            number=number,
            template=pk,
        )
        context = {**self.admin_site.each_context(request), "revision": revision, "title": str(revision)}
        return render(request, "admin/integrations/revision.html", context)


@admin.register(Integration)
class IntegrationAdmin(PortalAdmin):
    """Integrations: for each organization a gallery of providers, and a page for each of them."""

    list_display = ["template", "organization", "state"]
    list_select_related = ["template__published", "revision", "organization", "access_token"]
    list_filter = ["enabled", OrganizationFilter]
    search_fields = ["template__name", "organization__name"]
    change_list_template = "admin/integrations/integrations.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description=gettext_lazy("state"))
    def state(self, integration: Integration) -> str:
        return setup.state_of(integration)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        found = get_object_or_404(self.get_queryset(request), pk=key_of(object_id))
        return redirect("admin:integrations_setup", found.organization_id, found.template_id)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        organizations = Organization.objects.administered_by(user_of(request))[:50]
        return super().changelist_view(request, {"organizations": organizations, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        wrap, one = self.admin_site.admin_view, "organization/<int:pk>/<int:template>/"
        own: list[URLPattern] = [
            path("organization/<int:pk>/", wrap(self.gallery), name="integrations_gallery"),
            path(one, wrap(self.set_up), name="integrations_setup"),
            path(f"{one}trial/", wrap(trial_page.of_organization), name="integrations_trial"),
            path(f"{one}test/", wrap(views.self_test), name="integrations_self_test"),
            path("account/<int:pk>/<int:template>/", wrap(self.for_all), name="integrations_account_values"),
        ]
        return own + super().get_urls()

    def gallery(self, request: HttpRequest, pk: int) -> HttpResponse:
        """All providers that the organization can set up, as cards."""
        organization = get_object_or_404(Organization.objects.administered_by(user_of(request)), pk=pk)
        search = request.GET.get("q", "").strip()[:100]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Integrations of %(organization)s") % {"organization": organization},
            "organization": organization,
            "cards": setup.cards(organization, search),
            "search": search,
        }
        return render(request, "admin/integrations/gallery.html", context)

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
        answers = {
            (label, origin)
            for label, mark, origin in (answer.rpartition(" ") for answer in request.POST.getlist("answer"))
            if mark
        }
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
                _("The values are saved for all organizations of %(account)s.") % {"account": account},
            )
            return redirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": _("%(provider)s for all of %(account)s") % {"provider": chosen, "account": account},
            "template": chosen,
            "logo": logos.url_of(chosen),
            "form": form,
            "account": account,
        }
        return render(request, "admin/integrations/setup.html", context, status=422 if form.errors else 200)
