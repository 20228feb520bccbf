"""Files that providers fetch."""

from __future__ import annotations

import logging

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from messaging import media
from messaging.models import Attachment
from portal.middleware import SANDBOX

logger = logging.getLogger(__name__)


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
    return file_response(attachment)


def file_response(attachment: Attachment) -> HttpResponseBase:
    """The file as browsers can take it without harm: only pictures are shown, nothing runs.

    Raises Http404 if it is gone; 503 if the storage does not answer.
    """
    try:
        file = attachment.file.open("rb")
    except FileNotFoundError:
        raise Http404 from None
    except OSError as error:
        logger.error("File %s cannot be read: %s.", attachment.uuid, error.strerror)
        said = _("The file cannot be read at the moment. Try again later.\n")
        return HttpResponse(said, status=503, content_type="text/plain")
    response = FileResponse(
        file,
        as_attachment=not attachment.is_image,
        filename=attachment.name,
        content_type=attachment.content_type or "application/octet-stream",
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = SANDBOX
    return response
