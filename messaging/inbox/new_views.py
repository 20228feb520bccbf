"""The views of a new message: to somebody new, to somebody known from another number, or to several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from messaging.errors import Refused
from messaging.inbox import whom, writing
from messaging.inbox.new_forms import NewMessageForm, Sent
from messaging.inbox.views import SignedIn, answer, frame, given, go, hints
from messaging.models import Contact, Conversation, Message, Number
from messaging.models.numbers import NumberQuerySet
from portal.ids import key_of


@login_required
def new(request: SignedIn) -> HttpResponse:
    """A message to somebody new, to somebody known from another number, or to several."""
    numbers = _numbers(request)
    initial = {
        "number": key_of(request.GET.get("number", "")) or writing.last_used(request.user),
        "to": request.GET.get("to", "").strip()[: whom.LONGEST],
    }
    form, said = NewMessageForm(numbers, request.user, *given(request), initial=initial), ""
    if request.method == "POST" and form.is_valid():
        try:
            sent = form.send_new()
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            if not sent.refused:
                return _go_on(request, sent.messages)
            form, said = _to_the_others(form, sent)
    context = {**frame(request), "form": form, "numbers": numbers, "said": said, **_about(request, form)}
    return answer(request, "inbox/_new.html", context, problem="inbox/_new_refused.html")


@login_required
@require_GET
def new_about(request: SignedIn) -> HttpResponse:
    """What the page of a new message says of the number and the recipients that are filled in."""
    form = NewMessageForm(_numbers(request), request.user, request.GET)
    return render(request, "inbox/_about.html", {"form": form, **_about(request, form)})


def _go_on(request: SignedIn, sent: Sequence[Message]) -> HttpResponse:
    """To the conversation; to the list if there are several."""
    if len(sent) == 1:
        return go(request, reverse("conversation", args=[sent[0].conversation_id]))
    messages.success(request, _("Sent to %(count)d people, each alone.") % {"count": len(sent)})
    return go(request, reverse("inbox"))


def _to_the_others(form: NewMessageForm, sent: Sent) -> tuple[NewMessageForm, str]:
    """The same text for those who have not got it, and why they have not."""
    data = form.cleaned_data
    left = {
        "number": data["number"].pk,
        "to": ", ".join(contact.address for contact, _why in sent.refused),
        "text": data["text"],
        "how": data["how"],
        "later": data["later"],
        "at": data["at"],
    }
    said = _("Sent to %(count)d people. %(others)s have not got it yet: %(reasons)s") % {
        "count": len(sent.messages),
        "others": ", ".join(str(contact) for contact, _why in sent.refused),
        "reasons": " ".join(dict.fromkeys(str(why) for _contact, why in sent.refused)),
    }
    if data["attachments"]:
        said = f"{said} {_('Add the files again.')}"
    own = form.fields["number"].queryset  # type: ignore[attr-defined]
    return NewMessageForm(own, form.user, initial=left), said


def _numbers(request: SignedIn) -> NumberQuerySet:
    mine = Number.objects.for_user(request.user).select_related("organization", "integration__template")
    return mine.order_by("display_name", "number")


def _about(request: SignedIn, form: NewMessageForm) -> dict[str, Any]:
    meant = form.whom
    if meant is None:
        return {}
    known = meant.group if meant.several else next(iter(meant.contacts), None)
    talk = writing.begun(meant.number, known)
    return {
        "conversation": talk,
        "whom": meant,
        "known_group": _talk_with(request, known, meant.number) if known and form.sends_to_groups else None,
        "suggested": whom.suggested(meant.number, request.user, meant.last),
        **hints(request, talk),
        "night": writing.night(meant.number, meant.contacts),
    }


def _talk_with(request: SignedIn, group: Contact, number: Number) -> Conversation | None:
    """The number's conversation with the group, if the user may see it."""
    return Conversation.objects.for_user(request.user).filter(number=number, contact=group).first()
