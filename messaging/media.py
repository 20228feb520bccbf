"""Files: taken from users and given to providers as signed URLs; fetched from providers, checked and kept."""

from __future__ import annotations

import base64
import binascii
import io
import logging
import mimetypes
import re
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit
from uuid import uuid4

import filetype
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import UploadedFile
from django.core.signing import Signer
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from PIL import Image, ImageOps

from integrations import http, media_access
from integrations.events import Fault
from integrations.language.document import Limits
from integrations.models import Integration
from integrations.properties import values_of
from messaging.errors import Refused
from messaging.models import Attachment, Message

logger = logging.getLogger(__name__)

LINK_HOURS = 48
MAX_PIXELS = 50_000_000
FETCH_TRIES = 5
FETCH_SECONDS = 120
FETCH_AGAIN = (10, 60, 300, 900)
_REENCODED = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


def take(files: Sequence[UploadedFile[Any]], limits: Limits) -> list[Attachment]:
    """Uploaded files, kept in the media folder, as attachments that await their message.

    Raises Refused when one is empty, too large, or of a type that the service does not take.
    """
    most = min(limits.media_bytes or settings.MAX_UPLOAD_BYTES, settings.MAX_UPLOAD_BYTES)
    if sum(upload.size or 0 for upload in files) > settings.MAX_UPLOAD_BYTES:
        raise Refused(
            _("The files are larger than %(size)s together.") % {"size": _size(settings.MAX_UPLOAD_BYTES)}
        )
    kinds = []
    for upload in files:
        name, size = upload.name or "", upload.size or 0
        kind = content_type(upload.read(4096), name)
        upload.seek(0)
        if not size:
            raise Refused(_("%(name)s is empty.") % {"name": name})
        if size > most:
            raise Refused(
                _("%(name)s has %(size)s; the service takes at most %(most)s.")
                % {"name": name, "size": _size(size), "most": _size(most)}
            )
        if limits.media_types and not any(_is_type(kind, wanted) for wanted in limits.media_types):
            raise Refused(
                _("The service takes no files of the type %(type)s (%(name)s).")
                % {"type": kind, "name": name}
            )
        kinds.append(kind)
    return [
        _kept(Attachment(), upload, kind, upload.name or "")
        for upload, kind in zip(files, kinds, strict=True)
    ]


def copy_of(attachment: Attachment) -> Attachment:
    """An attachment with the same file, for another message."""
    return Attachment(
        file=attachment.file.name,
        content_type=attachment.content_type,
        name=attachment.name,
        size=attachment.size,
    )


def discard(attachments: Iterable[Attachment]) -> None:
    """Removes the files of attachments that were not stored."""
    for attachment in attachments:
        attachment.file.delete(save=False)


def variable(attachment: Attachment, message: Message, *, with_content: bool) -> dict[str, Any]:
    """The file as templates see it in `$media$`. Raises OSError when it cannot be read."""
    content = {}
    if with_content:
        with attachment.file.open("rb") as file:
            content["content"] = file.read()
    return {
        **content,
        "url": public_url(attachment, message),
        "content_type": attachment.content_type,
        "filename": attachment.name,
        "size": attachment.size,
    }


def public_url(attachment: Attachment, message: Message) -> str:
    """Where a provider fetches the file, without signing in, until 48 hours after the message's expiry."""
    until = int((message.expires_at + timedelta(hours=LINK_HOURS)).timestamp())
    signature = _signer().signature(f"{attachment.uuid}:{until}")
    name = quote(PurePosixPath(str(attachment.file.name)).name)
    return f"{settings.PUBLIC_URL}/media/{attachment.uuid}/{until}/{signature}/{name}"


def permitted(uuid: str, until: str, signature: str) -> bool:
    """Whether a public URL is one that Patchbay made."""
    return constant_time_compare(signature, _signer().signature(f"{uuid}:{until}"))


def expired(until: str) -> bool:
    """Whether the time of a public URL is over."""
    return int(until) < time.time()


def content_type(head: bytes, name: str) -> str:
    """The media type by the first bytes, else by the name, else application/octet-stream."""
    found = filetype.guess_mime(head)
    if found is None:
        found = mimetypes.guess_type(name)[0]
        # What only claims to be a picture or a page is not shown as one.
        if found is None or found.startswith("image/") or "html" in found or "xml" in found:
            found = "application/octet-stream"
    return str(found)


def fetch_waiting() -> None:
    """Fetches the files that came as URLs, one after the other, until none is due."""
    while attachment := _claim():
        _fetch(attachment)


def _claim() -> Attachment | None:
    due = Attachment.objects.filter(state=Attachment.State.WAITING, next_attempt_at__lte=Now())
    for pk in due.order_by("next_attempt_at").values_list("pk", flat=True)[:10]:
        later = Now() + timedelta(seconds=FETCH_SECONDS)
        if due.filter(pk=pk).update(next_attempt_at=later, attempts=F("attempts") + 1):
            return Attachment.objects.select_related("message__conversation__number").get(pk=pk)
    return None


def _fetch(attachment: Attachment) -> None:
    problem, again = "", False
    body: bytes | None = None
    if attachment.source_url.startswith("data:"):
        body = _data(attachment.source_url)
        problem = "" if body else _("The file came as a data: URI that cannot be read.")
    else:
        answer = http.fetch(
            attachment.source_url,
            headers=_credentials(attachment) if attachment.with_auth else {},
            max_bytes=settings.MAX_UPLOAD_BYTES,
            timeout=60,
        )
        if isinstance(answer, Fault):
            problem, again = answer.text, answer.kind in ("connect", "unanswered")
        elif answer.status != 200:
            problem = _("The service answered %(status)d for the file.") % {"status": answer.status}
            again = answer.status >= 500 or answer.status in (404, 408, 425, 429)
        else:
            body = answer.body
            problem = "" if body else _("The file is empty.")
    if body:
        _keep(attachment, body)
    elif again and attachment.attempts < FETCH_TRIES:
        attachment.problem = problem[:500]
        attachment.next_attempt_at = timezone.now() + timedelta(seconds=FETCH_AGAIN[attachment.attempts - 1])
        attachment.save(update_fields=["problem", "next_attempt_at"])
    else:
        attachment.problem, attachment.state = problem[:500], Attachment.State.FAILED
        attachment.save(update_fields=["problem", "state"])
    Message.objects.filter(pk=attachment.message_id).update(changed_at=Now())


def _credentials(attachment: Attachment) -> dict[str, str]:
    """What proves to the service that the file is for its customer, where the template allows it."""
    number = attachment.message.conversation.number
    integration = Integration.objects.ready().filter(pk=number.integration_id or 0).first()
    if integration is None:
        return {}
    values = values_of([integration])[integration.pk]
    return media_access.headers_for(integration.compiled, values, attachment.source_url)


def _keep(attachment: Attachment, body: bytes) -> None:
    name = (
        PurePosixPath(urlsplit(attachment.source_url).path).name
        if attachment.source_url[:4] == "http"
        else ""
    )
    kind = content_type(body[:4096], name)
    if kind.startswith("image/"):
        body, kind = _safe_image(body, kind)
    _kept(attachment, ContentFile(body), kind, name)
    attachment.state, attachment.problem = Attachment.State.KEPT, ""
    attachment.save()


def _safe_image(body: bytes, kind: str) -> tuple[bytes, str]:
    """The picture drawn anew, without what else its file may carry; what cannot be drawn is not a picture."""
    try:
        with Image.open(io.BytesIO(body)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return body, "application/octet-stream"
            if kind not in _REENCODED or getattr(picture, "is_animated", False):
                picture.verify()
                return body, kind
            out = io.BytesIO()
            ImageOps.exif_transpose(picture).save(out, _REENCODED[kind])
            return out.getvalue(), kind
    except Exception:
        # Pillow raises many kinds of errors for broken pictures.
        return body, "application/octet-stream"


def _kept(attachment: Attachment, content: File[Any], kind: str, name: str) -> Attachment:
    extension = _extension(kind, name)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(name).stem).strip("-")[:60] or "file"
    attachment.content_type, attachment.size = kind, content.size
    attachment.name = (PurePosixPath(name).name or f"{stem}{extension}")[:200]
    folder = f"{timezone.now():%Y/%m/%d}/{uuid4()}"
    attachment.file.save(f"{folder}/{stem}{extension}", content, save=False)
    return attachment


def _extension(kind: str, name: str) -> str:
    given = PurePosixPath(name).suffix.lower()
    if mimetypes.guess_type(f"x{given}")[0] == kind:
        return given
    known = {"image/jpeg": ".jpg", "application/octet-stream": ".bin"}
    return known.get(kind) or mimetypes.guess_extension(kind) or ".bin"


def _data(uri: str) -> bytes | None:
    head, comma, content = uri.removeprefix("data:").partition(",")
    try:
        if head.endswith(";base64"):
            return base64.b64decode(content, validate=False) if comma else None
        return unquote_to_bytes(content) if comma else None
    except (ValueError, binascii.Error):
        return None


def _is_type(kind: str, wanted: str) -> bool:
    return kind == wanted or (wanted.endswith("/*") and kind.startswith(wanted[:-1]))


def _size(number: int) -> str:
    return f"{number / 1024 / 1024:.1f} MiB" if number >= 1024 * 1024 else f"{number / 1024:.0f} KiB"


def _signer() -> Signer:
    return Signer(salt="patchbay.media")
