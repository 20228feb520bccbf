"""Files: kept and given to services as signed URLs; fetched from services, checked and kept."""

from __future__ import annotations

import base64
import binascii
import logging
import mimetypes
import re
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit
from uuid import uuid4

import filetype
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.signing import Signer
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from integrations import http, media_access, pictures
from integrations.events import Fault
from integrations.models import Integration
from integrations.properties import values_of
from messaging.models import Attachment, Message

logger = logging.getLogger(__name__)

LINK_HOURS = 48
FETCH_TRIES = 5
FETCH_SECONDS = 120
FETCH_AGAIN = (10, 60, 300, 900)


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
        body, kind = pictures.redrawn(body, kind)
    keep(attachment, ContentFile(body), kind, name)
    attachment.state, attachment.problem = Attachment.State.KEPT, ""
    attachment.save()


def keep(attachment: Attachment, content: File[Any], kind: str, name: str) -> Attachment:
    """The attachment with its file in the media folder, under a name that browsers and services know."""
    extension = extension_of(kind, name)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(name).stem).strip("-")[:60] or "file"
    attachment.content_type, attachment.size = kind, content.size
    attachment.name = (PurePosixPath(name).name or f"{stem}{extension}")[:200]
    folder = f"{timezone.now():%Y/%m/%d}/{uuid4()}"
    attachment.file.save(f"{folder}/{stem}{extension}", content, save=False)
    return attachment


def extension_of(kind: str, name: str = "") -> str:
    """The extension of a media type, with its dot; the name's own one where it fits."""
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


def _signer() -> Signer:
    return Signer(salt="patchbay.media")
