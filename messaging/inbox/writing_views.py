"""The views by which the compose box keeps drafts."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from messaging.inbox import writing
from messaging.inbox.team_views import own
from messaging.inbox.views import SignedIn
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
