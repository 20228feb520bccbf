"""The views of the inbox: whole pages, and the fragments that htmx exchanges."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django_htmx.middleware import HtmxDetails

from messaging import canned_replies
from messaging.errors import Refused
from messaging.inbox import filters, pages, team, writing
from messaging.inbox.forms import MemberForm, MessageForm
from messaging.models import Attachment, Conversation, Message, Number
from messaging.outbound import submit
from messaging.rules import teamwork
from messaging.statuses import AttachmentState
from messaging.views import file_response
from portal.account import signed_in
from portal.account.sessions import unattended

REFUSED = 422


class SignedIn(signed_in.SignedIn):
    """A request as it arrives behind `login_required` and the htmx middleware."""

    htmx: HtmxDetails


@login_required
@require_GET
def inbox(request: SignedIn) -> HttpResponse:
    """The list, and a place to choose from it."""
    return render(request, "inbox/page.html", {**frame(request), "pane": ""})


def hints(request: SignedIn, talk: Conversation) -> dict[str, Any]:
    """What the compose box says of whom it is for."""
    return {
        "night": writing.night(talk.number, [talk.contact]),
        "files_hint": writing.files_hint(talk.number),
        "canned": canned_replies.choices(talk, request.user),
    }


@login_required
def conversation(request: SignedIn, pk: int) -> HttpResponse:
    """A thread with its compose box; POST sends."""
    opened = own(request, pk)
    form = _form(request, opened, *given(request))
    if request.method == "POST" and form.is_valid():
        try:
            sent = form.send(request.user, opened.number, form.recipient or opened.contact)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            teamwork.rests(opened, request.user)
            writing.forget(opened, request.user)
            if sent.conversation_id != opened.pk:
                return go(request, reverse("conversation", args=[sent.conversation_id]))
            if not request.htmx:
                return redirect("conversation", pk)
            form = MessageForm()
    if request.method != "POST":
        pages.mark_read(opened, request.user)
    return _with_thread(request, opened, form)


@unattended
@login_required
@require_GET
def thread(request: SignedIn, pk: int) -> HttpResponse:
    """The thread if it is not what the page shows (`seen`), else 204; or what came `before` a message."""
    opened = own(request, pk)
    before = request.GET.get("before", "")
    if before.isdecimal():
        context = _thread(request, opened, int(before[:18]))
        return render(request, "inbox/_messages.html", context)
    if request.GET.get("seen") == pages.thread_fingerprint(opened):
        return HttpResponse(status=204)
    pages.mark_read(opened, request.user)
    return render(request, "inbox/_thread.html", _thread(request, opened))


@unattended
@login_required
@require_GET
def changes(request: SignedIn) -> HttpResponse:
    """The stamp of what the page shows if it is not the one that the page has (`seen`), else 204."""
    stamp = pages.change_stamp(request.user, _opened(request), _count(request))
    if request.GET.get("seen") == stamp:
        return HttpResponse(status=204)
    return HttpResponse(stamp, content_type="text/plain")


@unattended
@login_required
@require_GET
def conversations(request: SignedIn) -> HttpResponse:
    """The list if it is not what the page shows (`seen`), else 204."""
    context = _list(request)
    if request.GET.get("seen") == context["list"].fingerprint:
        return HttpResponse(status=204)
    return render(request, "inbox/_list.html", context)


@login_required
@require_POST
def send_again(request: SignedIn, uuid: UUID) -> HttpResponse:
    """A new message in place of one that failed."""
    message = get_object_or_404(Message.objects.for_user(request.user), uuid=uuid)
    opened = own(request, message.conversation_id)
    try:
        submit.resend(request.user, message)
    except Refused as refusal:
        return refused(request, opened, refusal)
    opened = own(request, opened.pk)
    return _with_thread(request, opened, _form(request, opened))


@login_required
@require_GET
def file(request: SignedIn, uuid: UUID) -> HttpResponseBase:
    """A file of a conversation that the user takes part in."""
    own = Message.objects.for_user(request.user)
    attachment = get_object_or_404(Attachment, uuid=uuid, message__in=own, state=AttachmentState.KEPT)
    return file_response(attachment)


def conversation_changed(request: SignedIn, pk: int) -> HttpResponse:
    """The thread as it is now; the page then looks for what else has changed."""
    if not request.htmx:
        return redirect("conversation", pk)
    answer = render(request, "inbox/_thread.html", _thread(request, own(request, pk)))
    answer["HX-Trigger"] = "changed"
    return answer


def _form(request: SignedIn, opened: Conversation, data: Any = None, files: Any = None) -> MessageForm:
    """The compose box; in a group whose members can only be written to one by one, with the choice of one.

    Somebody who has chosen one writes to that one, whatever the provider can do by now.
    """
    initial = writing.initial(opened, request.user)
    if opened.contact.is_group and ("member" in (data or {}) or not opened.number.sends_to_groups):
        return MemberForm(opened, data, files, initial=initial)
    return MessageForm(data, files, initial=initial)


def given(request: SignedIn) -> tuple[Any, Any]:
    """What a form is filled in with."""
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def own(request: SignedIn, pk: int) -> Conversation:
    """The conversation, if it is one of the user's; else a 404."""
    mine = Conversation.objects.for_user(request.user)
    related = mine.select_related("contact__merged_into", "number", "organization", "assignee")
    return get_object_or_404(related, pk=pk)


def _thread(request: SignedIn, opened: Conversation, before: int | None = None) -> dict[str, Any]:
    shown = pages.messages(opened, before)
    return {
        "conversation": opened,
        "thread": shown,
        "remarks_before": team.place_remarks(opened, shown.rows, first=not shown.more, before=before),
        "others": [user for user in teamwork.users_of(opened.number) if user != request.user],
    }


def _opened(request: SignedIn) -> int | None:
    """The conversation that the page shows."""
    opened = request.GET.get("open", "")
    return int(opened[:18]) if opened.isdecimal() else None


def _count(request: SignedIn) -> int:
    """How many conversations the page lists."""
    count = request.GET.get("count", "")
    return min(int(count[:6]), 300) if count.isdecimal() else pages.CONVERSATIONS


def _list(request: SignedIn) -> dict[str, Any]:
    search = request.GET.get("q", "").strip()[:100]
    shown, show = _count(request), request.GET.get("show", "")
    return {
        "list": pages.conversations(request.user, search, shown, show),
        "filters": [(name, label) for name, (label, _conversations) in filters.FILTERS.items()],
        "show": show if show in filters.FILTERS else "",
        "numbers": Number.objects.for_user(request.user),
        "search": search,
        "count": shown,
        "longer": shown + pages.CONVERSATIONS,
        "open": _opened(request),
        "unread": pages.unread(request.user),
    }


def frame(request: SignedIn, opened: Conversation | None = None) -> dict[str, Any]:
    """What the page shows around a pane; htmx gets the pane alone."""
    if request.htmx:
        return {}
    key = opened.pk if opened else None
    # Asked before the list and the thread: what changes in between is noticed, and not missed.
    stamp = pages.change_stamp(request.user, key, _count(request))
    return {"stamp": stamp, **_list(request), "open": key}


def _with_thread(request: SignedIn, opened: Conversation, form: MessageForm) -> HttpResponse:
    present = {
        "team": team.of(opened, request.user),
        **hints(request, opened),
        "members": pages.members(opened),
    }
    context = {**frame(request, opened), **_thread(request, opened), **present, "form": form}
    return answer(request, "inbox/_conversation.html", context)


def refused(request: SignedIn, opened: Conversation, refusal: Refused) -> HttpResponse:
    """Says why, where the page says such things."""
    context = {"conversation": opened, "refusal": str(refusal)}
    return render(request, "inbox/_refused.html", context, status=REFUSED)


def answer(
    request: SignedIn, pane: str, context: dict[str, Any], problem: str = "inbox/_problem.html"
) -> HttpResponse:
    """The pane alone for htmx, or within the whole page; 422 when the form was refused."""
    form = context["form"]
    status = REFUSED if form.errors else 200
    if request.htmx:
        if status == REFUSED:
            return render(request, problem, context, status=status)
        return render(request, pane, context)
    return render(request, "inbox/page.html", {**context, "pane": pane}, status=status)


def go(request: SignedIn, url: str) -> HttpResponse:
    """Leads to another page, also from within one."""
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return redirect(url)
