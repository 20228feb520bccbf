"""The pages of captures in the studio, the URL that a provider calls, and the page for its developer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from integrations.models import Capture, CapturedRequest
from integrations.models.studio import CaptureQuerySet
from integrations.provider_views import BrokenOff, ProviderView, TooLarge, answered, plain
from integrations.studio import captures
from integrations.studio.captures.understanding import Understood, all_understood
from integrations.studio.pages import page, template_of
from portal import callers, throttling
from portal.account.sessions import unattended
from portal.administration.base import user_of

PER_MINUTE, PER_MINUTE_FROM_ADDRESS = 60, 120
LOOKS_PER_MINUTE = 60


class CaptureView(ProviderView):
    """Takes what a provider sends to a capture; a capture that has ended is unknown."""

    max_body = captures.MAX_BODY

    def take(self, request: Request, named: Mapping[str, str]) -> HttpResponse:
        network = callers.network_of(request)
        wait = throttling.count(f"capture-from:{network}", PER_MINUTE_FROM_ADDRESS)
        if wait is not None:
            return _later(wait)
        capture = _open().filter(key=named["key"]).first()
        if capture is None:
            return _unknown()
        if (wait := throttling.count(f"capture:{capture.pk}", PER_MINUTE)) is not None:
            return _later(wait)
        try:
            inbound = self.inbound(request, named["path"])
        except BrokenOff:
            return plain(400, _("The request broke off.\n"))
        except TooLarge:
            return plain(413, _("The body is larger than 256 KiB.\n"))
        answer = captures.record(capture, inbound)
        return answered(answer) if answer is not None else _unknown()


def _unknown() -> HttpResponse:
    return plain(404, _("Nothing is captured here. Did the capture expire?\n"))


def _later(seconds: int) -> HttpResponse:
    answer = plain(429, _("Too many requests. Please wait a minute.\n"))
    answer.headers["Retry-After"] = str(seconds)
    return answer


def index(request: HttpRequest, pk: int) -> HttpResponse:
    """The open captures of a template; opens another one."""
    template = template_of(request, pk)
    if request.method == "POST":
        try:
            capture = captures.open_for(template, user_of(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect(request.path)
        return redirect("admin:integrations_studio_capture", template.pk, capture.pk)
    opened = template.captures.open().select_related("author").annotate(received=Count("requests"))
    context = {"captures": opened, "may": template.account_id is not None}
    return page(request, template, "captures", context)


def capture(request: HttpRequest, pk: int, capture: int) -> HttpResponse:
    """One capture, with what it has received until now; shares and closes it."""
    template = template_of(request, pk)
    found = get_object_or_404(_open(), template=template, pk=capture)
    if request.method == "POST":
        do = request.POST.get("do")
        if do == "close":
            captures.close(found)
            messages.success(request, _("The capture is closed, and what it received is deleted."))
            return redirect("admin:integrations_studio_captures", template.pk)
        if do in ("share", "unshare"):
            captures.share(found, shared=do == "share")
        return redirect(request.path)
    live = Live.of(found)
    context = {
        "capture": found,
        "url": f"{settings.PUBLIC_URL}/captures/{found.key}",
        "link": f"{settings.PUBLIC_URL}{reverse('understood', args=[found.key])}",
        "live": live,
        "follow": f"{request.path}changes/",
    }
    return page(request, template, "captures", context, view="capture")


@unattended
@require_safe
def changes(request: HttpRequest, pk: int, capture: int) -> HttpResponse:
    """What has been received, if it is not what the page shows (`seen`), else 204."""
    template = template_of(request, pk)
    found = get_object_or_404(_open(), template=template, pk=capture)
    if request.GET.get("seen") == stamp_of(found):
        return HttpResponse(status=204)
    context = {"template": template, "capture": found, "live": Live.of(found), "follow": request.path}
    return render(request, "admin/integrations/studio/_captured.html", context)


@require_safe
@never_cache
def shared(request: HttpRequest, key: str) -> HttpResponse:
    """What is understood of a shared capture's requests, for whoever has the link: a provider's developer."""
    network = callers.network_of(request)
    if (wait := throttling.count(f"understood-from:{network}", LOOKS_PER_MINUTE)) is not None:
        return _later(wait)
    found = get_object_or_404(_open(), key=key, shared=True)
    if request.GET.get("seen") == stamp_of(found):
        return HttpResponse(status=204)
    part = "integrations/_understood.html" if "seen" in request.GET else "integrations/understood.html"
    url = f"{settings.PUBLIC_URL}/captures/{found.key}"
    answer = render(request, part, {"capture": found, "live": Live.of(found), "url": url})
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@dataclass(frozen=True)
class Live:
    """What a page shows of a capture, and the stamp by which it asks for changes."""

    stamp: str
    requests: list[Understood]

    @classmethod
    def of(cls, capture: Capture) -> Live:
        """All that the capture has received, the latest first."""
        stamp, compiled = stamp_of(capture), captures.compiled_of(capture)
        return cls(stamp, list(all_understood(compiled, capture.requests.all())))


def stamp_of(capture: Capture) -> str:
    """Changes with what the capture has received, and with the document that it is read by."""
    latest = CapturedRequest.objects.filter(capture=capture).aggregate(latest=Max("pk"))["latest"]
    revision = capture.template.latest
    return f"{latest or 0}-{revision.pk if revision else 0}"


def _open() -> CaptureQuerySet:
    return Capture.objects.open().select_related(
        "account", "author", "template__draft", "template__published"
    )
