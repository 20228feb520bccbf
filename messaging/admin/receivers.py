"""Event receivers: what they are told of, their secret, and what was sent to them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from integrations import http
from messaging import wakeups
from messaging.models import Receiver
from messaging.receivers import outbox
from messaging.wakeups import Task
from portal import audit, throttling
from portal.administration.base import OrganizationFilter, PortalAdmin, user_of
from portal.ids import key_of
from portal.models import Account
from portal.permissions import in_reach_of

SHOWN = 50
TESTS_PER_HOUR = 30
KINDS = ("received", "statuses", "alerts")


class ReceiverForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Receiver
        fields = ["organization", "account", "url", *KINDS, "enabled"]

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"]).strip()
        if not url.lower().startswith(("https://", "http://")):
            raise ValidationError(_("An address begins with https://."))
        if http.is_plain_http(url):
            raise ValidationError(_("The address must begin with https, so that nobody reads along."))
        if problem := http.check_url(url):
            raise ValidationError(problem)
        return url

    def clean(self) -> Any:
        data = super().clean() or self.cleaned_data
        if self.errors:
            return data
        receiver = self.instance
        if receiver.pk is None:
            organization = data["organization"]
            account = organization.account if organization else data.get("account")
            if account is None:
                raise ValidationError(_("Choose an organization, or an account for its alerts."))
            data["account"] = receiver.account = account
            others = Receiver.objects.filter(account=account, organization=organization)
            if others.count() >= Receiver.MAX_PER_OWNER:
                said = _("There are %(most)d receivers already, which is the most. Delete one first.")
                raise ValidationError(said % {"most": Receiver.MAX_PER_OWNER})
        else:
            organization = receiver.organization
        if organization is None and (data["received"] or data["statuses"]):
            said = _("A whole account is told of alerts only. Choose an organization for texts.")
            raise ValidationError(said if receiver.pk else {"organization": said})
        if not any(data[kind] for kind in KINDS):
            raise ValidationError(_("Choose at least one thing to be told of."))
        if data["enabled"] and not receiver.secret:
            raise ValidationError(_("It has lost its secret. Make a new one below, then switch it on."))
        return data


@admin.register(Receiver)
class ReceiverAdmin(PortalAdmin):
    form = ReceiverForm
    account_lookup = "account"
    deletable = True
    only_save = True
    list_display = ["url", "owner", "told_of", "state"]
    list_select_related = ["organization", "account"]
    list_filter = [OrganizationFilter]
    search_fields = ["url"]
    ordering = ["-pk"]
    list_before_template = "admin/messaging/receivers.html"
    change_form_outer_before_template = "admin/messaging/receiver_state.html"
    change_form_outer_after_template = "admin/messaging/receiver_events.html"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        owner = ["owner"] if obj else ["organization"]
        if obj is None and user_of(request).administers_accounts:
            owner.append("account")
        return [
            (None, {"fields": [*owner, "url"]}),
            (gettext_lazy("Tell it of"), {"fields": KINDS}),
            (None, {"fields": ["enabled"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["owner"] if obj else []

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "account" in form.base_fields:
            form.base_fields["account"].required = False
        elif "organization" in form.base_fields:
            form.base_fields["organization"].required = True
            form.base_fields["organization"].help_text = ""
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Whoever has one account only has nothing to choose."""
        mine = Account.objects.filter(in_reach_of(user_of(request), "", "pk"))[:2]
        return {"account": mine[0].pk} if len(mine) == 1 else {}

    @admin.display(description=gettext_lazy("of"))
    def owner(self, receiver: Receiver) -> str:
        if receiver.organization is not None:
            return str(receiver.organization)
        return _("the account %(account)s") % {"account": receiver.account}

    @admin.display(description=gettext_lazy("told of"))
    def told_of(self, receiver: Receiver) -> str:
        words = {"received": _("arriving texts"), "statuses": _("statuses"), "alerts": _("alerts")}
        return ", ".join(words[kind] for kind in KINDS if getattr(receiver, kind))

    @admin.display(description=gettext_lazy("state"))
    def state(self, receiver: Receiver) -> str:
        if not receiver.enabled:
            return format_html('<span class="pb-bad">{}</span>', _("switched off"))
        if receiver.failures:
            return format_html('<span class="pb-bad">{}</span>', _("failing"))
        return _("switched on")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        # What has been noted about its deliveries meanwhile stays.
        obj.save(update_fields=form.changed_data)
        if not obj.enabled and "enabled" in form.changed_data:
            obj.give_up(_("The receiver was switched off."))
        elif {"enabled", "url"} & set(form.changed_data):
            obj.start_over()
            wakeups.after_commit(Task.DELIVER_EVENTS)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return self._secret_page(request, obj, bytes(obj.secret).decode())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Without the events, of which there may be many."""
        return [str(obj) for obj in objs], {}, set(), []

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        receiver = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if receiver is not None:
            only_failed = request.GET.get("events") == "failed"
            rows = receiver.events.failed() if only_failed else receiver.events
            events = list(rows.order_by("-pk")[:SHOWN])
            context = {
                "events": events,
                "only_failed": only_failed,
                "has_failed": receiver.events.failed().exists(),
                "is_busy": receiver.enabled
                and any(event.is_waiting and not event.problem for event in events),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        def posted(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        own: list[URLPattern] = [
            path("<int:pk>/test/", posted(self.send_test), name="messaging_receiver_test"),
            path("<int:pk>/again/", posted(self.send_again), name="messaging_receiver_again"),
            path("<int:pk>/secret/", posted(self.renew_secret), name="messaging_receiver_secret"),
        ]
        return [*own, *super().get_urls()]

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Sends a test event; the page that follows shows how it went."""
        receiver = self._receiver(request, pk)
        if not receiver.enabled:
            messages.warning(request, _("The receiver is switched off, so nothing was sent."))
        elif throttling.count(f"test-event:{receiver.pk}", TESTS_PER_HOUR, throttling.HOUR) is not None:
            messages.error(request, _("Many test events were sent. Try again later."))
        else:
            with transaction.atomic():
                outbox.note_test(receiver)
                audit.record(audit.Action.EVENT_TESTED, receiver)
        return self._events(receiver)

    def send_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Sends one event again, or all that have failed."""
        receiver = self._receiver(request, pk)
        event = key_of(request.POST.get("event", ""))
        rows = receiver.events.filter(pk=event) if event else receiver.events.failed()
        with transaction.atomic():
            sent = rows.send_again()
            if sent:
                audit.record(audit.Action.EVENTS_AGAIN, receiver)
                wakeups.after_commit(Task.DELIVER_EVENTS)
        if sent:
            said = ngettext("%(number)d event is sent again.", "%(number)d events are sent again.", sent)
            messages.success(request, said % {"number": sent})
        elif not receiver.enabled:
            messages.warning(request, _("The receiver is switched off, so nothing was sent."))
        else:
            messages.warning(request, _("There was nothing to be sent again."))
        return self._events(receiver)

    def renew_secret(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Makes a new secret, and shows it this once."""
        receiver = self._receiver(request, pk)
        with transaction.atomic():
            secret = receiver.renew_secret()
        return self._secret_page(request, receiver, secret)

    def _receiver(self, request: HttpRequest, pk: int) -> Receiver:
        if not self.in_reach(request, None):
            raise Http404
        found: Receiver = get_object_or_404(self.get_queryset(request), pk=pk)
        return found

    def _events(self, receiver: Receiver) -> HttpResponse:
        return redirect(f"{reverse('admin:messaging_receiver_change', args=[receiver.pk])}#events")

    def _secret_page(self, request: HttpRequest, receiver: Receiver, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("The secret of your receiver"),
            "receiver": receiver,
            "secret": secret,
        }
        return render(request, "admin/messaging/receiver_secret.html", context)
