"""The views for working together on a number: assigning, setting aside, notes, who is typing, and consent."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from messaging.errors import Refused
from messaging.inbox import team
from messaging.inbox.views import SignedIn, own, refused
from messaging.models import Conversation
from messaging.rules import schedule, teamwork
from portal.account.sessions import unattended
from portal.ids import key_of


@unattended
@login_required
@require_http_methods(["GET", "POST"])
def work(request: SignedIn, pk: int) -> HttpResponse:
    """The bar if it is not what the page shows (`seen`), else 204; POST does what its button says (`do`)."""
    opened = own(request, pk)
    if request.method == "POST":
        try:
            _do(request, opened)
        except Refused as refusal:
            return refused(request, opened, refusal)
        return done(request, own(request, pk))
    found = team.of(opened, request.user)
    if request.GET.get("seen") == found.fingerprint:
        return HttpResponse(status=204)
    return render(request, "inbox/_team.html", {"conversation": opened, "team": found, "oob": True})


def _do(request: SignedIn, opened: Conversation) -> None:
    given, user = request.POST, request.user
    do, _space, choice = given.get("do", "").partition(" ")
    match do:
        case "take":
            teamwork.assign(opened, user, user)
        case "assign":
            chosen = key_of(given.get("assignee", ""))
            colleagues = {colleague.pk: colleague for colleague in teamwork.users_of(opened.number)}
            if chosen not in colleagues:
                raise Refused(_("Choose somebody who uses this number."))
            teamwork.assign(opened, user, colleagues[chosen])
        case "release":
            teamwork.assign(opened, user, None)
        case "snooze":
            teamwork.snooze(opened, user, schedule.chosen(given.get("at", ""), choice))
        case "close":
            teamwork.close(opened, user)
        case "reopen":
            teamwork.reopen(opened, user)
        case _unknown:
            raise Refused(_("This page is out of date. Reload it."))


@login_required
@require_POST
def note(request: SignedIn, pk: int) -> HttpResponse:
    """Leaves an internal note, and shows an empty box for the next."""
    opened = own(request, pk)
    try:
        teamwork.note(opened, request.user, request.POST.get("note", ""))
    except Refused as refusal:
        return refused(request, opened, refusal)
    return done(request, opened, "inbox/_note_box.html")


@login_required
@require_POST
def consent(request: SignedIn, pk: int) -> HttpResponse:
    """Records that the contact, who had opted out, wants messages again."""
    opened = own(request, pk)
    try:
        teamwork.lift_opt_out(opened, request.user, request.POST.get("how", ""))
    except Refused as refusal:
        return refused(request, opened, refusal)
    return done(request, opened, "inbox/_consent.html")


@login_required
@require_POST
def typing(request: SignedIn, pk: int) -> HttpResponse:
    """Tells the others that the user is typing here now."""
    teamwork.starts_typing(own(request, pk), request.user)
    return HttpResponse(status=204)


def done(request: SignedIn, opened: Conversation, fragment: str = "inbox/_team.html") -> HttpResponse:
    """The fragment as it is now; the page then looks for what else has changed."""
    if not request.htmx:
        return redirect("conversation", opened.pk)
    context = {"conversation": opened, "team": team.of(opened, request.user), "oob": True}
    answer = render(request, fragment, context)
    answer["HX-Trigger"] = "changed"
    return answer
