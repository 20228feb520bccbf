"""Uploaded files: checked against the provider's limits, converted if they are pictures, and stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from integrations import pictures
from integrations.language.api_methods import SEND_FILE, UPLOAD_FILE
from integrations.language.document import Template
from messaging import media
from messaging.errors import Refused
from messaging.models import Attachment

logger = logging.getLogger(__name__)


@dataclass
class _Upload:
    """An uploaded file; `converted` is the new content of a picture that was converted."""

    file: UploadedFile[Any]
    name: str
    size: int
    kind: str
    converted: File[Any] | None = None

    @property
    def is_picture(self) -> bool:
        return self.kind.startswith("image/")


def take(files: Sequence[UploadedFile[Any]], template: Template) -> list[Attachment]:
    """Stores uploaded files in the media folder, as attachments that have no message yet.

    Pictures lose their metadata, and are converted if they are too large for the provider, or of a type that
    it does not accept; other files must fit as they are. `limits.media_bytes` applies to all files of one
    request together, or to each file that is uploaded. Raises Refused; then nothing is stored.
    """
    uploads = [_read(file) for file in files]
    if sum(upload.size for upload in uploads) > settings.MAX_UPLOAD_BYTES:
        raise Refused(too_large())
    most = min(template.limits.media_bytes or settings.MAX_UPLOAD_BYTES, settings.MAX_UPLOAD_BYTES)
    types = template.limits.media_types
    method = template.methods.get(SEND_FILE.name)
    alone = method is None or method.per_file or UPLOAD_FILE.name in template.methods
    together = 1 if alone else template.limits.media_count or max(1, len(uploads))
    kept: list[Attachment] = []
    try:
        for start in range(0, len(uploads), together):
            _fit_together(uploads[start : start + together], types, most)
        for upload in uploads:
            kept.append(_keep(upload))
    except OSError as error:
        media.discard(kept)
        raise _unwritable(error) from None
    return kept


def again(attachments: Sequence[Attachment]) -> list[Attachment]:
    """The same files once more, for another message. Raises Refused; then nothing more is stored."""
    kept: list[Attachment] = []
    try:
        for attachment in attachments:
            kept.append(media.duplicate(attachment))
    except OSError as error:
        media.discard(kept)
        raise _unwritable(error) from None
    return kept


def _unwritable(error: OSError) -> Refused:
    logger.error("An uploaded file cannot be written to the media folder: %s.", error.strerror)
    return Refused(
        _("Patchbay cannot store the file (%(reason)s). Tell an administrator, or send only the text.")
        % {"reason": error.strerror or error}
    )


def too_large() -> str:
    """Why files with more than MAX_UPLOAD_BYTES together are refused."""
    text = _("The files are larger than %(size)s together. Remove some, or send them in several messages.")
    return text % {"size": _size(settings.MAX_UPLOAD_BYTES)}


def _read(file: UploadedFile[Any]) -> _Upload:
    name, size = file.name or "", file.size or 0
    kind = media.content_type(file.read(4096), name, file.content_type or "")
    file.seek(0)
    if not size:
        raise Refused(_("%(name)s is empty.") % {"name": name})
    return _Upload(file, name, size, kind)


def _fit_together(uploads: Sequence[_Upload], types: Sequence[str], most: int) -> None:
    """Gives each file that is no picture the space it needs; pictures share the rest, small ones first."""
    waiting = sorted(uploads, key=lambda upload: (upload.is_picture, upload.size))
    for number, upload in enumerate(waiting):
        share = most // (len(waiting) - number) if upload.is_picture else most
        _fit(upload, types, share)
        most -= upload.size


def _fit(upload: _Upload, types: Sequence[str], most: int) -> None:
    taken = pictures.is_type(upload.kind, types)
    if upload.is_picture:
        try:
            # Even one that fits: its file may tell where it was taken.
            upload.converted, upload.kind = pictures.fitted(upload.file, types, most)
        except pictures.Busy as error:
            raise Refused(str(error)) from None
        except pictures.PictureError as error:
            raise Refused(
                _("%(name)s cannot be converted for the provider (limit: %(limit)s). %(reason)s")
                % {"name": upload.name, "limit": _size(most), "reason": error}
            ) from None
        upload.size = upload.converted.size
    elif taken and upload.size <= most:
        return
    elif not taken:
        raise Refused(
            _("The provider does not accept files of the type %(type)s, such as %(name)s.")
            % {"type": upload.kind, "name": upload.name}
        )
    else:
        raise Refused(
            _("%(name)s has %(size)s, but the provider accepts at most %(limit)s.")
            % {"name": upload.name, "size": _size(upload.size), "limit": _size(most)}
        )


def _keep(upload: _Upload) -> Attachment:
    if upload.converted is None:
        return media.keep(Attachment(), upload.file, upload.kind, upload.name)
    name = (PurePosixPath(upload.name).stem or "picture") + media.extension_of(upload.kind)
    with upload.converted as content:
        return media.keep(Attachment(), content, upload.kind, name)


def _size(number: int) -> str:
    return f"{number / 1024 / 1024:.1f} MiB" if number >= 1024 * 1024 else f"{number / 1024:.0f} KiB"
