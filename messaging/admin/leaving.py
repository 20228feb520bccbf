"""The page that asks before somebody is deactivated, and hands their numbers over."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging.rules import leaving
from portal.administration.base import user_of
from portal.models import User

SHOWN = 20  # numbers


class LeavingForm(forms.Form):
    """To whom the numbers go, if to anybody."""

    heir = forms.ModelChoiceField(
        User.objects.none(),
        required=False,
        label=gettext_lazy("Hand the numbers to"),
        empty_label=gettext_lazy("nobody for now"),
    )

    def __init__(self, heirs: QuerySet[User], data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.fields["heir"].queryset = heirs  # type: ignore[attr-defined]


def view(request: HttpRequest, pk: int) -> HttpResponse:
    """Says what happens to numbers and conversations, and deactivates the person once confirmed."""
    page, me = admin.site.get_model_admin(User), user_of(request)
    user = page.get_object(request, str(pk))
    if user is None:
        raise Http404
    if user.pk == me.pk or not page.may_edit(request, user):  # type: ignore[attr-defined]
        raise PermissionDenied
    heirs = leaving.heirs(user, me)
    form = LeavingForm(heirs, request.POST if request.method == "POST" else None)
    if user.is_active and form.is_valid():
        handed = leaving.deactivate(user, me, form.cleaned_data["heir"])
        text = _("%(name)s is deactivated, and signed out everywhere.") % {"name": user}
        if handed:
            more = ngettext(
                "%(number)d number was handed over.", "%(number)d numbers were handed over.", handed
            )
            text = f"{text} {more % {'number': handed}}"
        messages.success(request, text)
        return redirect("admin:portal_user_change", user.pk)
    found = leaving.consequences(user, me)
    context = {
        **admin.site.each_context(request),
        "title": _("Deactivate %(name)s?") % {"name": user},
        "person": user,
        "form": form,
        "leaving": found,
        "numbers": found.numbers[:SHOWN],
        "unheld": found.unheld[:SHOWN],
        "has_heirs": bool(found.numbers) and heirs.exists(),
    }
    status = 422 if form.errors else 200
    return render(request, "admin/messaging/leaving.html", context, status=status)
