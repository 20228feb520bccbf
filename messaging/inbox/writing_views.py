"""The views of drafts, of how a user writes, and of canned replies."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from messaging import canned_replies
from messaging.inbox import writing
from messaging.inbox.views import REFUSED, SignedIn, own
from messaging.inbox.writing_forms import ChoicesForm, ReplyForm
from messaging.models import Message


def _uuid(given: str) -> UUID | None:
    try:
        return UUID(given[:40])
    except ValueError:
        return None


@login_required
@require_POST
def draft(request: SignedIn, pk: int) -> HttpResponse:
    """Keeps what the user has written so far, unless it was sent meanwhile as the message `uuid`."""
    opened, uuid = own(request, pk), _uuid(request.POST.get("uuid", ""))
    if uuid is None or not Message.objects.filter(uuid=uuid).exists():
        writing.keep(opened, request.user, request.POST.get("text", ""))
    return HttpResponse(status=204)


@login_required
@require_http_methods(["GET", "POST"])
def choices(request: SignedIn) -> HttpResponse:
    """How the user writes, and the canned replies that they may change; POST stores the former."""
    form = ChoicesForm(
        request.POST if request.method == "POST" else None, instance=writing.choices_of(request.user)
    )
    if form.is_valid():
        form.save()
        return _saved(request, _("Your choices are saved."))
    return _page(request, form=form)


@login_required
@require_http_methods(["GET", "POST"])
def reply(request: SignedIn, pk: int | None = None) -> HttpResponse:
    """A new canned reply, or one that the user may change; POST stores it, or deletes it with `do=delete`."""
    row = get_object_or_404(canned_replies.changeable(request.user), pk=pk) if pk else None
    if row is not None and request.POST.get("do") == "delete":
        canned_replies.delete(row)
        return _saved(request, _("The reply is deleted."))
    form = ReplyForm(request.user, request.POST if request.method == "POST" else None, instance=row)
    if form.is_valid():
        canned_replies.save(form.apply())
        return _saved(request, _("The reply is saved."))
    return _page(request, reply_form=form)


def _saved(request: SignedIn, said: str) -> HttpResponse:
    messages.success(request, said)
    return redirect("writing")


def _page(
    request: SignedIn, *, form: ChoicesForm | None = None, reply_form: ReplyForm | None = None
) -> HttpResponse:
    context = {
        "form": form or ChoicesForm(instance=writing.choices_of(request.user)),
        "reply_form": reply_form or ReplyForm(request.user),
        "replies": canned_replies.changeable(request.user)[: canned_replies.SHOWN],
    }
    refused = any(each is not None and each.errors for each in (form, reply_form))
    return render(request, "inbox/writing.html", context, status=REFUSED if refused else 200)
