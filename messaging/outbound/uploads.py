"""Files of users: checked against what the service takes, pictures made to fit, and kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from integrations import pictures
from integrations.language.api_methods import SEND_FILE
from integrations.language.document import Template
from messaging import media
from messaging.errors import Refused
from messaging.models import Attachment

logger = logging.getLogger(__name__)


@dataclass
class _Upload:
    """A file on its way in; `made` is what a picture was made into."""

    file: UploadedFile[Any]
    name: str
    size: int
    kind: str
    made: bytes | None = None

    @property
    def is_picture(self) -> bool:
        return self.kind.startswith("image/")


def take(files: Sequence[UploadedFile[Any]], template: Template) -> list[Attachment]:
    """Uploaded files, kept in the media folder, as attachments that await their message.

    A picture that is too large for the service, or of a kind that it does not take, is made to fit; all
    else must fit as it is. `limits.media_bytes` holds for the files of one request together. Raises Refused;
    then nothing is kept.
    """
    uploads = [_read(file) for file in files]
    if sum(upload.size for upload in uploads) > settings.MAX_UPLOAD_BYTES:
        raise Refused(too_large())
    most = min(template.limits.media_bytes or settings.MAX_UPLOAD_BYTES, settings.MAX_UPLOAD_BYTES)
    types = template.limits.media_types
    method = template.methods.get(SEND_FILE.name)
    if method is None or method.per_file:
        for upload in uploads:
            _fit(upload, types, most)
    else:
        _fit_together(uploads, types, most)
    kept: list[Attachment] = []
    try:
        for upload in uploads:
            kept.append(_keep(upload))
    except OSError as error:
        media.discard(kept)
        logger.error("A file cannot be written to the media folder: %s.", error.strerror)
        raise Refused(
            _("Patchbay has no room for the file (%(reason)s). Tell an administrator; the text alone can go.")
            % {"reason": error.strerror or error}
        ) from None
    return kept


def too_large() -> str:
    """Why files with more than MAX_UPLOAD_BYTES together are refused."""
    text = _("The files are larger than %(size)s together. Remove some, or send them in several messages.")
    return text % {"size": _size(settings.MAX_UPLOAD_BYTES)}


def _read(file: UploadedFile[Any]) -> _Upload:
    name, size = file.name or "", file.size or 0
    kind = media.content_type(file.read(4096), name)
    file.seek(0)
    if not size:
        raise Refused(_("%(name)s is empty.") % {"name": name})
    return _Upload(file, name, size, kind)


def _fit_together(uploads: Sequence[_Upload], types: Sequence[str], most: int) -> None:
    """What cannot be made smaller takes its place first; the pictures share the rest, small ones first."""
    waiting = sorted(uploads, key=lambda upload: (upload.is_picture, upload.size))
    for number, upload in enumerate(waiting):
        share = most // (len(waiting) - number) if upload.is_picture else most
        _fit(upload, types, share)
        most -= upload.size


def _fit(upload: _Upload, types: Sequence[str], most: int) -> None:
    taken = pictures.is_type(upload.kind, types)
    if taken and upload.size <= most:
        return
    if upload.is_picture:
        try:
            upload.made, upload.kind = pictures.fitted(upload.file.read(), types, most)
        except pictures.PictureError as error:
            raise Refused(
                _("%(name)s cannot be made to fit the service (at most %(most)s): %(reason)s")
                % {"name": upload.name, "most": _size(most), "reason": error}
            ) from None
        upload.size = len(upload.made)
    elif not taken:
        raise Refused(
            _("The service takes no files of the type %(type)s (%(name)s).")
            % {"type": upload.kind, "name": upload.name}
        )
    else:
        raise Refused(
            _("%(name)s has %(size)s; the service takes at most %(most)s.")
            % {"name": upload.name, "size": _size(upload.size), "most": _size(most)}
        )


def _keep(upload: _Upload) -> Attachment:
    if upload.made is None:
        return media.keep(Attachment(), upload.file, upload.kind, upload.name)
    name = (PurePosixPath(upload.name).stem or "picture") + media.extension_of(upload.kind)
    return media.keep(Attachment(), ContentFile(upload.made), upload.kind, name)


def _size(number: int) -> str:
    return f"{number / 1024 / 1024:.1f} MiB" if number >= 1024 * 1024 else f"{number / 1024:.0f} KiB"
