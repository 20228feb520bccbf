"""The page on which people see where they are signed in, end it, and see who has tried."""

from __future__ import annotations

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal.account import sessions as known
from portal.account.signed_in import SignedIn
from portal.ids import key_of
from portal.models import User
from portal.models.audit_entries import Action, AuditEntry

RECENT = 20
SIGN_INS = (Action.SIGNED_IN, Action.SIGN_IN_FAILED, Action.LOCKED_OUT, Action.SECOND_FACTOR)


@login_required
def sessions(request: SignedIn) -> HttpResponse:
    """Lists the user's sessions and sign-ins; a POST ends one session, all others, or an identity."""
    current = request.session.session_key
    if request.method == "POST":
        if "others" in request.POST:
            number = known.end(request.user, None, current)
            text = ngettext("%(number)d session has ended.", "%(number)d sessions have ended.", number)
            messages.success(request, text % {"number": number})
        elif key := key_of(request.POST.get("end", "")):
            if known.end(request.user, key, current):
                messages.success(request, _("The session has ended."))
        elif key := key_of(request.POST.get("identity", "")):
            for row in SocialAccount.objects.filter(user=request.user, pk=key):
                row.delete()
                messages.success(request, _("The identity is no longer linked."))
        return redirect("account_sessions")
    context = {
        "sessions": known.of(request.user, current),
        "sign_ins": _sign_ins(request.user),
        "identities": _identities(request.user),
    }
    return render(request, "account/sessions.html", context)


def _sign_ins(user: User) -> list[AuditEntry]:
    rows = AuditEntry.objects.filter(kind="portal.user", object_id=str(user.pk), action__in=SIGN_INS)
    return list(rows.order_by("-pk")[:RECENT])


def _identities(user: User) -> list[dict[str, object]]:
    names = {item.key: item.name for item in settings.IDENTITY_PROVIDERS}
    return [
        {"pk": row.pk, "name": names.get(row.provider, row.provider), "email": row.extra_data.get("email")}
        for row in SocialAccount.objects.filter(user=user)
    ]
