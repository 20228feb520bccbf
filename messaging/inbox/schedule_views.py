"""The views of texts that wait for their time: canceling them, and sending them at another time."""

from __future__ import annotations

import json
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from messaging import wakeups
from messaging.errors import Refused
from messaging.inbox.views import SignedIn, conversation_changed, refused
from messaging.models import Message
from messaging.rules import schedule
from messaging.statuses import Direction
from messaging.wakeups import Task


@login_required
@require_POST
def cancel(request: SignedIn, uuid: UUID) -> HttpResponse:
    """Takes a message back; the page puts its text into the compose box if that is empty."""
    message = _own(request, uuid)
    try:
        schedule.cancel(message, request.user)
    except Refused as refusal:
        return refused(request, message.conversation, refusal)
    answer = conversation_changed(request, message.conversation_id)
    if message.author_id == request.user.pk:
        answer["HX-Trigger"] = json.dumps({"changed": {}, "canceled": {"message": f"m{message.pk}"}})
    return answer


@login_required
@require_POST
def reschedule(request: SignedIn, uuid: UUID) -> HttpResponse:
    """Has a scheduled message sent at another time (`at`), or with `do=now` at once."""
    message = _own(request, uuid)
    try:
        if request.POST.get("do") == "now":
            schedule.send_now(message)
            wakeups.wake(Task.DISPATCH_DUE)
        else:
            schedule.reschedule(message, schedule.chosen(request.POST.get("at", "")))
    except Refused as refusal:
        return refused(request, message.conversation, refusal)
    return conversation_changed(request, message.conversation_id)


def _own(request: SignedIn, uuid: UUID) -> Message:
    own = Message.objects.for_user(request.user).filter(direction=Direction.OUT)
    return get_object_or_404(own.select_related("conversation"), uuid=uuid)
