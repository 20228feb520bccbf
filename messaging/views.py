"""Files that providers fetch."""

from __future__ import annotations

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from messaging import media
from messaging.models import Attachment
from portal.middleware import SANDBOX


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
    response.headers["Content-Security-Policy"] = SANDBOX
    return response
