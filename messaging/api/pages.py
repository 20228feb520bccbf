"""The pages of API tokens: people make them for their programs, and revoke them again."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from messaging.models import Number
from portal.account.signed_in import SignedIn
from portal.models import PersonalToken, User


class NewTokenForm(forms.Form):
    """What the program is called."""

    name = forms.CharField(
        label=gettext_lazy("Name of the program"),
        max_length=60,
        widget=forms.TextInput(
            attrs={"placeholder": gettext_lazy("Appointment reminders"), "autocomplete": "off"}
        ),
    )

    def make(self, user: User) -> str | None:
        """The new token, or None with an error in the form."""
        if PersonalToken.objects.filter(user=user).count() >= PersonalToken.MAX_PER_USER:
            said = _("You have %d tokens, which is the most. Revoke one first.")
            self.add_error(None, said % PersonalToken.MAX_PER_USER)
            return None
        try:
            with transaction.atomic():
                return PersonalToken.objects.issue(user, self.cleaned_data["name"])
        except IntegrityError:  # also when a page that shows a new token is loaded again
            self.add_error("name", _("You have a token with this name already."))
            return None


@login_required
@never_cache
def programs(request: SignedIn) -> HttpResponse:
    """The user's tokens; POST makes one and shows it, this once."""
    form = NewTokenForm(request.POST if request.method == "POST" else None)
    token = form.make(request.user) if form.is_valid() else None
    context = {
        "form": form if token is None else NewTokenForm(),
        "token": token,
        "rows": PersonalToken.objects.filter(user=request.user),
        "number": Number.objects.for_user(request.user).first(),
        "url": settings.PUBLIC_URL,
    }
    return render(request, "programs/page.html", context, status=422 if form.errors else 200)


@login_required
def revoke(request: SignedIn, pk: int) -> HttpResponse:
    """Asks, and takes the token away."""
    row = get_object_or_404(PersonalToken, pk=pk, user=request.user)
    if request.method != "POST":
        return render(request, "programs/revoke.html", {"row": row})
    with transaction.atomic():  # with the entry in the audit
        row.delete()
    messages.success(request, _("“%(name)s” can no longer send in your name.") % {"name": row.name})
    return redirect("programs")
