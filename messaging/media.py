"""Media files: stored in the media folder, and offered to providers under signed URLs."""

from __future__ import annotations

import logging
import mimetypes
import re
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import filetype
from django.conf import settings
from django.core.files.base import File
from django.core.signing import BadSignature, Signer
from django.utils import timezone

from messaging.models import Attachment, Message

logger = logging.getLogger(__name__)

LINK_HOURS = 48


def copy_of(attachment: Attachment) -> Attachment:
    """A new attachment with the same file, for another message."""
    return Attachment(
        file=attachment.file.name,
        content_type=attachment.content_type,
        name=attachment.name,
        size=attachment.size,
    )


def discard(attachments: Iterable[Attachment]) -> None:
    """Deletes the files of attachments that were not saved."""
    for attachment in attachments:
        attachment.file.delete(save=False)


def variable(attachment: Attachment, message: Message, *, with_content: bool) -> dict[str, Any]:
    """The file as an element of the variable `$media$`. Raises OSError if it cannot be read."""
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
    """The signed URL of the file for providers, valid until 48 hours after the message expires."""
    until = int((message.expires_at + timedelta(hours=LINK_HOURS)).timestamp())
    signature = _signer().signature(f"{attachment.uuid}:{until}")
    name = quote(PurePosixPath(str(attachment.file.name)).name)
    return f"{settings.PUBLIC_URL}/media/{attachment.uuid}/{until}/{signature}/{name}"


def permitted(uuid: str, until: str, signature: str) -> bool:
    """Whether the signature of a public URL is valid."""
    try:
        _signer().unsign(f"{uuid}:{until}:{signature}")
    except BadSignature:
        return False
    return True


def expired(until: str) -> bool:
    """Whether a public URL has expired."""
    return int(until) < time.time()


def content_type(head: bytes, name: str) -> str:
    """The media type by the first bytes, else by the name, else application/octet-stream."""
    found = filetype.guess_mime(head)
    if found is None:
        found = mimetypes.guess_type(name)[0]
        # A file that only has the name of an image or a web page must not be shown as one.
        if found is None or found.startswith("image/") or "html" in found or "xml" in found:
            found = "application/octet-stream"
    return str(found)


def keep(attachment: Attachment, content: File[Any], kind: str, name: str) -> Attachment:
    """Stores the file of an attachment in the media folder, with an extension that fits its type.

    Raises OSError if it cannot be written; no part of it is left then.
    """
    extension = extension_of(kind, name)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(name).stem).strip("-")[:60] or "file"
    attachment.content_type, attachment.size = kind, content.size
    attachment.name = (PurePosixPath(name).name or f"{stem}{extension}")[:200]
    path = f"{timezone.now():%Y/%m/%d}/{uuid4()}/{stem}{extension}"
    try:
        attachment.file.save(path, content, save=False)
    except OSError:
        attachment.file.storage.delete(path)
        raise
    return attachment


def extension_of(kind: str, name: str = "") -> str:
    """The file extension, with its dot, for a media type; that of the name if it fits."""
    given = PurePosixPath(name).suffix.lower()
    if mimetypes.guess_type(f"x{given}")[0] == kind:
        return given
    known = {"image/jpeg": ".jpg", "application/octet-stream": ".bin"}
    return known.get(kind) or mimetypes.guess_extension(kind) or ".bin"


def _signer() -> Signer:
    return Signer(salt="patchbay.media")
