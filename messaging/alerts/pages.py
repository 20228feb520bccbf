"""The page on which administrators choose of what they are told, and try whether mail arrives."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.alerts import wording
from messaging.models import Alert, AlertChoice, AlertKind
from portal import mail, throttling
from portal.account.signed_in import SignedIn
from portal.models import User
from portal.permissions import in_reach_of

SHOWN = 50
TESTS_PER_HOUR = 10


class ChoiceForm(forms.Form):
    """The kinds of alerts that somebody wants by mail."""

    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Tell me by mail"),
        choices=AlertKind.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data, initial={"kinds": [*set(AlertKind.values) - AlertChoice.unwanted_by(user)]})
        self._user = user

    def save(self) -> None:
        """Stores what is not wanted, so that a kind that is added later is sent."""
        unwanted = sorted(set(AlertKind.values) - set(self.cleaned_data["kinds"]))
        AlertChoice.objects.update_or_create(user=self._user, defaults={"unwanted": unwanted})


@login_required
def alerts(request: SignedIn) -> HttpResponse:
    """The alerts that are not over, the choices; POST saves them, or sends a test mail."""
    if not request.user.is_staff:
        raise Http404
    if request.method == "POST" and request.POST.get("do") == "test":
        _send_test(request)
        return redirect("alerts")
    form = ChoiceForm(request.user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.save()
        messages.success(request, _("Your choice is saved."))
        return redirect("alerts")
    reach = in_reach_of(request.user)
    rows = Alert.objects.filter(reach, over_at__isnull=True).order_by("-began_at", "-pk")
    rows = rows.select_related("account", "organization", "integration__template")
    context = {
        "form": form,
        "rows": [(row, wording.subject(row), wording.page(row)) for row in rows[:SHOWN]],
        "mail": mail.is_configured(),
        "sender": mail.sender(),
    }
    return render(request, "alerts/page.html", context, status=422 if form.errors else 200)


def _send_test(request: SignedIn) -> None:
    """Sends a mail to whoever asks, and says how it went."""
    user = request.user
    if not mail.is_configured():
        messages.error(request, _("No mail server is set up, so no mail was sent."))
    elif throttling.count(f"test-mail:{user.pk}", TESTS_PER_HOUR, throttling.HOUR) is not None:
        messages.error(request, _("You have sent many test mails. Try again later."))
    elif mail.send(user.email, _("Test mail of Patchbay"), _("Mail from Patchbay reaches you.")):
        said = _("A test mail to %(email)s is on its way. If it does not arrive, look into your spam folder.")
        messages.success(request, said % {"email": user.email})
    else:
        messages.error(request, _("The mail server did not accept the mail. Its answer is in the log."))
