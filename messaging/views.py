"""Doors for machines: webhooks of services, and files that services fetch."""

from __future__ import annotations

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from integrations.events import InboundRequest
from messaging import media, receive
from messaging.models import Attachment

MAX_BODY = 1024 * 1024


@csrf_exempt
def webhook(request: HttpRequest, service_id: str, owner: str, path: str = "") -> HttpResponse:
    """Takes what a service says, and answers as its template wants."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > MAX_BODY:
        return _too_large()
    body = request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        return _too_large()
    inbound = InboundRequest(
        method=request.method or "",
        path=path,
        query=request.META.get("QUERY_STRING", ""),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        ip=_caller(request),
        url=settings.PUBLIC_URL + request.get_full_path(),
    )
    answer = receive.accept(service_id, owner, inbound)
    if answer is None:
        return HttpResponse(_("There is no such webhook.\n"), status=404, content_type="text/plain")
    return HttpResponse(
        answer.body, status=answer.status, headers={"content-type": "text/plain", **answer.headers}
    )


@require_safe
def public_media(request: HttpRequest, uuid: str, until: str, signature: str, name: str) -> HttpResponseBase:
    """A file of an outgoing message, for whoever has the signed link."""
    if not media.permitted(uuid, until, signature):
        raise Http404
    if media.expired(until):
        return HttpResponse(_("This link has expired.\n"), status=410, content_type="text/plain")
    attachment = Attachment.objects.filter(uuid=uuid).exclude(file="").first()
    if attachment is None:
        raise Http404
    try:
        return file_response(attachment)
    except FileNotFoundError:
        raise Http404 from None


def file_response(attachment: Attachment) -> FileResponse:
    """The file as browsers can take it without harm: only pictures are shown, nothing runs.

    Raises FileNotFoundError.
    """
    response = FileResponse(
        attachment.file.open("rb"),
        as_attachment=not attachment.is_image,
        filename=attachment.name,
        content_type=attachment.content_type or "application/octet-stream",
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response


def _caller(request: HttpRequest) -> str:
    """The address of who called; behind a proxy the last one that it vouches for."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR", ""))


def _too_large() -> HttpResponse:
    return HttpResponse(_("The body is larger than 1 MiB.\n"), status=413, content_type="text/plain")
