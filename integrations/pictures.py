"""Pictures drawn anew: so that they carry nothing else, so that they fit a service, and as small logos."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.utils.translation import gettext as _
from PIL import Image, ImageOps

MAX_PIXELS = 50_000_000
# No phone shows more; a camera's picture is brought to this before its size is looked at.
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
# What a picture is made into, the best first: any phone shows a JPEG, and it is the smallest.
_MADE = ("image/jpeg", "image/png", "image/webp")
_GOOD, _FAIR = 85, 70
# A JPEG of quality 70 has about this part of the bytes of one of quality 85.
_FAIR_PART = 0.7


class NotDrawn(Exception):
    """Why a picture cannot be drawn anew, in words that follow a colon."""


def is_type(kind: str, wanted: Sequence[str]) -> bool:
    """Whether a media type is one of those wanted, which may end in `/*`; none wanted: any."""
    return not wanted or any(
        kind == item or (item.endswith("/*") and kind.startswith(item[:-1])) for item in wanted
    )


def redrawn(body: bytes, kind: str) -> tuple[bytes, str]:
    """The picture without what else its file may carry, and its type.

    What cannot be drawn is no picture: it comes back as application/octet-stream. Moving pictures, and kinds
    that are not written here, come back as they are once they can be read.
    """
    try:
        with _opened(body) as picture:
            if kind not in _MADE or _moves(picture):
                picture.load()
                return body, kind
            return _encoded(ImageOps.exif_transpose(picture), kind, _GOOD), kind
    except NotDrawn:
        return body, "application/octet-stream"


def fitted(body: bytes, types: Sequence[str], most: int) -> tuple[bytes, str]:
    """The picture in one of `types` and in at most `most` bytes, upright, and its media type.

    First of good quality, then of fair quality, then smaller: each encoding says how much smaller the next
    must be, so that two or three suffice as a rule. Raises NotDrawn.
    """
    kind = next((made for made in _MADE if is_type(made, types)), None)
    if kind is None:
        raise NotDrawn(_("the service takes no such pictures"))
    with _opened(body) as picture:
        if _moves(picture):
            raise NotDrawn(_("it moves, and moving pictures are sent only as they are"))
        # JPEGs are read at a half, a quarter or an eighth where that is enough.
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
                room /= _FAIR_PART
            quality = _FAIR
            # Bytes grow with the area; a little less, so that the next one fits.
            scale *= min(1.0, 0.95 * room**0.5) if room < 1 else 1.0
            scale = max(scale, min(1.0, SMALLEST / max(upright.size)))
    raise NotDrawn(_("even a small and coarse copy is too large"))


def logo(body: bytes, side: int = 128) -> bytes:
    """A PNG of at most `side` pixels a side. Raises NotDrawn."""
    with _opened(body) as picture:
        still = ImageOps.exif_transpose(picture).convert("RGBA")
        still.thumbnail((side, side))
        return _encoded(still, "image/png", _GOOD)


@contextmanager
def _opened(body: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(body), formats=tuple(_FORMATS.values())) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise NotDrawn(
                    _("it has more than %(most)d million pixels") % {"most": MAX_PIXELS // 1_000_000}
                )
            yield picture
    except NotDrawn:
        raise
    except Exception as error:
        # Pillow raises many kinds of errors for broken pictures.
        raise NotDrawn(_("it is no picture that can be read here; save it as a JPEG")) from error


def _moves(picture: Image.Image) -> bool:
    # Cameras put a preview behind the picture, which makes an MPO of two frames.
    return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))


def _plain(picture: Image.Image, *, opaque: bool) -> Image.Image:
    """Grey, RGB or RGBA, which every kind can hold; opaque: on white where it was transparent."""
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
