"""Pictures re-encoded: to remove metadata, to fit a provider's limits, and as small logos."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.utils.translation import gettext as _
from PIL import Image, ImageOps

MAX_PIXELS = 50_000_000
# No phone shows more pixels; larger pictures are reduced to this before their size is checked.
LONGEST = 4096
SMALLEST = 64
ENCODES = 6
_FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
}
# The types that pictures are converted to, the best first: every phone shows a JPEG, and it is the smallest.
_TARGETS = ("image/jpeg", "image/png", "image/webp")
_GOOD, _FAIR = 85, 70
# A JPEG of quality 70 has about this fraction of the bytes of one of quality 85.
_FAIR_FRACTION = 0.7


class PictureError(Exception):
    """A picture cannot be converted; the text is a sentence for a person."""


def is_type(kind: str, wanted: Sequence[str]) -> bool:
    """Whether a media type is one of those wanted, which may end in `/*`; an empty list means any."""
    return not wanted or any(
        kind == item or (item.endswith("/*") and kind.startswith(item[:-1])) for item in wanted
    )


def reencoded(body: bytes, kind: str) -> tuple[bytes, str]:
    """The picture without the metadata of its file, and its media type.

    A file that cannot be read as a picture is returned as application/octet-stream. Animated pictures, and
    types that are not written here, are returned unchanged if they can be read.
    """
    try:
        with _opened(body) as picture:
            if kind not in _TARGETS or _is_animated(picture):
                picture.load()
                return body, kind
            return _encoded(ImageOps.exif_transpose(picture), kind, _GOOD), kind
    except PictureError:
        return body, "application/octet-stream"


def fitted(body: bytes, types: Sequence[str], most: int) -> tuple[bytes, str]:
    """The picture in one of `types`, in at most `most` bytes and upright, and its media type.

    It is encoded with good quality, then with fair quality, then smaller. Each encoding shows how much
    smaller the next must be, so that two or three are usually enough. Raises PictureError.
    """
    kind = next((made for made in _TARGETS if is_type(made, types)), None)
    if kind is None:
        raise PictureError(_("The provider accepts no pictures of this type."))
    with _opened(body) as picture:
        if _is_animated(picture):
            raise PictureError(_("Animated pictures cannot be made smaller."))
        # JPEGs are decoded at a half, a quarter or an eighth of their size where that is enough.
        picture.draft(None, (LONGEST, LONGEST))
        upright = ImageOps.exif_transpose(picture)
        upright.thumbnail((LONGEST, LONGEST))
        upright = _plain(upright, opaque=kind == "image/jpeg")
        quality, scale = _GOOD, 1.0
        for _attempt in range(ENCODES):
            size = tuple(max(1, round(side * scale)) for side in upright.size)
            made = _encoded(upright if scale == 1 else upright.resize(size), kind, quality)
            if len(made) <= most:
                return made, kind
            if max(size) <= SMALLEST:
                break
            room = most / len(made)
            if quality == _GOOD and kind != "image/png":
                room /= _FAIR_FRACTION
            quality = _FAIR
            # The size grows with the area; a little less, so that the next encoding fits.
            scale *= min(1.0, 0.95 * room**0.5) if room < 1 else 1.0
            scale = max(scale, min(1.0, SMALLEST / max(upright.size)))
    raise PictureError(_("Even a small copy of low quality is too large."))


def logo(body: bytes, side: int = 128) -> bytes:
    """A PNG of at most `side` by `side` pixels. Raises PictureError."""
    with _opened(body) as picture:
        still = ImageOps.exif_transpose(picture).convert("RGBA")
        still.thumbnail((side, side))
        return _encoded(still, "image/png", _GOOD)


@contextmanager
def _opened(body: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(body), formats=tuple(_FORMATS.values())) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise PictureError(
                    _("The picture has more than %(most)d million pixels.")
                    % {"most": MAX_PIXELS // 1_000_000}
                )
            yield picture
    except PictureError:
        raise
    except Exception as error:
        # Pillow raises many kinds of errors for broken pictures.
        raise PictureError(
            _("The file cannot be read as a picture. Use a JPEG, PNG, GIF or WebP file.")
        ) from error


def _is_animated(picture: Image.Image) -> bool:
    # Cameras append a preview to the picture, which makes an MPO of two frames.
    return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))


def _plain(picture: Image.Image, *, opaque: bool) -> Image.Image:
    """The picture as grey, RGB or RGBA, which every type supports; `opaque` puts it on white."""
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256).convert("L")
    if not picture.has_transparency_data:
        return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    clear = picture.convert("RGBA")
    if not opaque:
        return clear
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, clear).convert("RGB")


def _encoded(picture: Image.Image, kind: str, quality: int) -> bytes:
    out = io.BytesIO()
    profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA") else None
    picture.save(out, _FORMATS[kind], quality=quality, icc_profile=profile, comment="")
    return out.getvalue()
