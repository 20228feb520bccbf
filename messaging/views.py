"""Doors for machines: webhooks of services, and files that services fetch."""

from __future__ import annotations

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from integrations.events import InboundRequest
from messaging import media
from messaging.models import Attachment
from messaging.receiving import receive, refusals

MAX_BODY = 1024 * 1024


@csrf_exempt
def webhook(request: HttpRequest, service_id: str, owner: str, path: str = "") -> HttpResponse:
    """Takes what a service says, and answers as its template wants."""
    body = read_body(request, MAX_BODY)
    place = f"{request.method} {request.path[:200]!r} from {_caller(request)}"
    if body is None:
        refusals.note("larger than 1 MiB", place)
        return _plain(_("The body is larger than 1 MiB.\n"), 413)
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
        refusals.note("unknown service or account", place)
        return _plain(_("There is no such webhook.\n"), 404)
    if answer.status == 401:
        refusals.note("bad signature", place)
    response = HttpResponse(
        answer.body, status=answer.status, headers={"content-type": "text/plain", **answer.headers}
    )
    return _logged(response)


def read_body(request: HttpRequest, most: int) -> bytes | None:
    """The body; None if it is larger than `most` bytes, read no further than that."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > most:
        return None
    # Without a length Django takes the body for empty; granian hands chunks on as they come.
    chunked = declared == "0" and "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    stream = request.META["wsgi.input"] if chunked else request
    body = bytearray()
    while len(body) <= most and (chunk := stream.read(most + 1 - len(body))):
        body += chunk
    return bytes(body) if len(body) <= most else None


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


def _plain(text: str, status: int) -> HttpResponse:
    return _logged(HttpResponse(text, status=status, content_type="text/plain"))


def _logged(response: HttpResponse) -> HttpResponse:
    """Spares Django a line in the log for each: what is refused is counted, or kept with the reason."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
