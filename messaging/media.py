"""Media files: stored in the media folder, and offered to providers under signed URLs."""

from __future__ import annotations

import logging
import mimetypes
import re
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path, PurePosixPath
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

# Python's own table, whatever the machine has besides, and what phones and offices send.
_TYPES = mimetypes.MimeTypes()
_OFFICE = "application/vnd.openxmlformats-officedocument"
for _kind, _extension in {
    "text/x-vcard": ".vcf",
    "text/vcard": ".vcf",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "audio/amr": ".amr",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/ogg": ".ogg",
    "audio/x-caf": ".caf",
    "video/3gpp": ".3gp",
    "image/heic": ".heic",
    "image/heif": ".heif",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
}.items():
    _TYPES.add_type(_kind, _extension)
_VAGUE = ("application/octet-stream", "binary/octet-stream", "text/plain")
_KIND = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]{1,80}")
# Containers whose first bytes do not say what is inside, with the beginnings of types that may be.
_INSIDE = {
    "application/zip": (f"{_OFFICE}.", "application/vnd.oasis.opendocument.", "application/epub"),
    "application/ogg": ("audio/", "video/"),
    "video/mp4": ("audio/",),
    "video/3gpp": ("audio/",),
    "video/webm": ("audio/",),
}


def copy_of(attachment: Attachment) -> Attachment:
    """A new attachment with the same file, for another message."""
    return Attachment(
        file=attachment.file.name,
        content_type=attachment.content_type,
        name=attachment.name,
        size=attachment.size,
    )


def duplicate(attachment: Attachment) -> Attachment:
    """A new attachment with a file of its own, which is deleted by itself. Raises OSError as `keep` does.

    In a media folder it is a hard link: files are never changed, and their bytes go with the last name.
    """
    storage, name = attachment.file.storage, str(attachment.file.name)
    copy = copy_of(attachment)
    copy.file.name = _place(PurePosixPath(name).name)
    try:
        made = Path(storage.path(copy.file.name))
        made.parent.mkdir(parents=True, exist_ok=True)
        made.hardlink_to(storage.path(name))
    except (NotImplementedError, OSError):  # not in a folder, or one whose file system has no such links
        with attachment.file.open("rb") as content:
            return keep(Attachment(), content, attachment.content_type, attachment.name)
    return copy


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


def content_type(head: bytes, name: str, declared: str = "") -> str:
    """The media type by the first bytes, else the declared one, else by the name.

    A file that only says that it is a picture or a web page is application/octet-stream: it must not be shown
    as one.
    """
    declared = declared.partition(";")[0].strip().casefold()
    said = [kind for kind in (declared, _TYPES.guess_type(f"x{_suffix(name)}")[0]) if kind and _is_tame(kind)]
    # Of what says next to nothing, the name may say more.
    specific = next((kind for kind in said if kind not in _VAGUE), None)
    found = filetype.guess_mime(head)
    if found is None:
        return specific or ("text/plain" if "text/plain" in said else "application/octet-stream")
    inside = _INSIDE.get(found)
    return specific if specific and inside and specific.startswith(inside) else str(found)


def _is_tame(kind: str) -> bool:
    return _KIND.fullmatch(kind) is not None and not (
        kind.startswith("image/") or "html" in kind or kind.endswith(("/xml", "+xml"))
    )


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def keep(attachment: Attachment, content: File[Any], kind: str, name: str) -> Attachment:
    """Stores the file of an attachment in the media folder, with an extension that fits its type.

    Raises OSError if it cannot be written; no part of it is left then.
    """
    extension = extension_of(kind, name)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(name).stem).strip("-")[:60] or "file"
    attachment.content_type, attachment.size = kind, content.size
    attachment.name = _shown(name, kind, extension) or f"{stem}{extension}"
    path = _place(f"{stem}{extension}")
    try:
        attachment.file.save(path, content, save=False)
    except OSError:
        attachment.file.storage.delete(path)
        raise
    return attachment


def _place(name: str) -> str:
    """Where a new file of this name is stored, in a folder of its own."""
    return f"{timezone.now():%Y/%m/%d}/{uuid4()}/{name}"


def _shown(name: str, kind: str, extension: str) -> str:
    """The name for people; that of a converted picture gets a new end."""
    name = PurePosixPath(name).name
    if name and kind.startswith("image/") and _suffix(name) != extension:
        name = (PurePosixPath(name).stem if _TYPES.guess_type(name)[0] else name) + extension
    return name if len(name) <= 200 else name[: 200 - len(_suffix(name)[:20])] + _suffix(name)[:20]


def extension_of(kind: str, name: str = "") -> str:
    """The file extension, with its dot, for a media type; that of the name if it fits."""
    given = _suffix(name)
    if given in _TYPES.guess_all_extensions(kind):
        return given
    known = {"image/jpeg": ".jpg", "application/octet-stream": ".bin", "text/plain": ".txt"}
    return known.get(kind) or _TYPES.guess_extension(kind) or ".bin"


def _signer() -> Signer:
    return Signer(salt="patchbay.media")
