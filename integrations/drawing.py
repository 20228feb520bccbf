"""Draws one picture anew, in a process of its own: `python -m integrations.drawing`, started by `pictures`.

A small file can unpack to gigabytes, or take minutes, so this process has limits, and ends with its picture.
Its argument is the request, a JSON object; the picture is its standard input, the new one its standard
output, both files. The last line on standard error is the media type, or "!" and the reason why there is
none. Django is not needed here.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from collections.abc import Sequence
from typing import IO, Any

from PIL import Image, ImageCms, ImageFile, ImageOps

from integrations.gif import without_comments

# The limits of the process. A picture of MAX_PIXELS, with 4 bytes for each, fits twice: upright, and as it
# came.
MEMORY_BYTES = 112 * 1024 * 1024
# The decoders of HEIC and AVIF hold a picture of theirs besides.
MEMORY_BYTES_OF_VIDEO = 256 * 1024 * 1024
CPU_SECONDS = 10
MAX_PIXELS = 10_000_000
# Most phones photograph in 4096 by 3072 pixels. Cameras append a preview to the picture, which makes an MPO.
# A WebP is decoded into two pictures.
# An iPhone photographs in 5712 by 4284 pixels, as HEIC.
WHOLE_PIXELS = {
    "JPEG": 12_600_000,
    "MPO": 12_600_000,
    "WEBP": 4_200_000,
    "HEIF": 24_600_000,
    "AVIF": 24_600_000,
}
# A larger JPEG is decoded at a half, a quarter or an eighth of its size, row by row.
MAX_JPEG_PIXELS = 200_000_000
SMALLEST = 64
ENCODES = 6
FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
}
# Read, but not written: few phones show them.
VIDEO_FORMATS = ("HEIF", "AVIF")
# The types that pictures are converted to, the best first: every phone shows a JPEG, and it is the smallest.
TARGETS = ("image/jpeg", "image/png", "image/webp")
GOOD, FAIR = 85, 70
# A JPEG of quality 70 has about this fraction of the bytes of one of quality 85.
FAIR_FRACTION = 0.7


class DrawingError(Exception):
    """Why there is no picture: a key of `pictures.REASONS`."""


def is_type(kind: str, wanted: Sequence[str]) -> bool:
    """Whether a media type is one of those wanted, which may end in `/*`; an empty list means any."""
    return not wanted or any(
        kind == item or (item.endswith("/*") and kind.startswith(item[:-1])) for item in wanted
    )


def draw(source: IO[bytes], out: IO[bytes], do: str, types: Sequence[str], most: int) -> str:
    """Writes the new picture, which has no metadata, to a file; its media type. Raises DrawingError.

    `do` is "fit", for a picture in one of `types` and at most `most` bytes, or "logo", for a PNG of at most
    `most` by `most` pixels.
    """
    Image.MAX_IMAGE_PIXELS = None  # _limit checks it
    # A photo that was cut off is shown as far as it came; but first it is tried whether it was.
    for cut_off in (False, True):
        ImageFile.LOAD_TRUNCATED_IMAGES = cut_off
        try:
            return _Drawing(source, out).draw(do, types, most)
        except (DrawingError, MemoryError):
            raise
        except Exception as error:
            # Pillow raises many kinds of errors for broken pictures.
            if cut_off or do != "fit" or "truncated" not in str(error):
                raise DrawingError("unreadable") from error
    raise AssertionError


class _Drawing:
    """A picture in one file, and what becomes of it in another."""

    def __init__(self, source: IO[bytes], out: IO[bytes]) -> None:
        self.source, self.out = source, out

    def draw(self, do: str, types: Sequence[str], most: int) -> str:
        self.source.seek(0)
        formats = tuple(FORMATS.values())
        if is_video_format(self.source):
            formats = _video_formats()
        with Image.open(self.source, formats=formats) as picture:
            _limit(picture)
            if do == "logo":
                return self._logo(picture, most)
            if picture.format == "GIF" and self._gif(picture, types, most):
                return "image/gif"
            return self._fit(picture, types, most)

    def _logo(self, picture: Image.Image, side: int) -> str:
        ImageOps.exif_transpose(picture, in_place=True)
        picture.thumbnail((side, side))
        self._encode(picture.convert("RGBA"), "image/png", GOOD)
        return "image/png"

    def _gif(self, picture: Image.Image, types: Sequence[str], most: int) -> bool:
        """Whether the GIF stays a GIF, which may move; else it has to become something else."""
        self.source.seek(0)
        cleaned = without_comments(self.source.read())
        if is_type("image/gif", types) and len(cleaned) <= most:
            self.out.write(cleaned)
            return True
        if getattr(picture, "is_animated", False):
            raise DrawingError("animated")
        return False

    def _fit(self, picture: Image.Image, types: Sequence[str], most: int) -> str:
        """In its own type, as good as it is, if that is possible; else in the best of the types."""
        own = next((kind for kind, name in FORMATS.items() if name == picture.format), "image/jpeg")
        if picture.format in VIDEO_FORMATS and picture.mode != "RGB":
            own = ""
        kinds = [kind for kind in TARGETS if is_type(kind, types)]
        if not kinds:
            raise DrawingError("type")
        ImageOps.exif_transpose(picture, in_place=True)
        # The encoder of WebP needs several times the picture.
        if own in kinds and own != "image/webp" and self._encode(picture, own, _own_quality(picture)) <= most:
            return own
        self._reduce(_plain(picture, kinds[0]), kinds[0], most)
        return kinds[0]

    def _reduce(self, picture: Image.Image, kind: str, most: int) -> None:
        """Encodes with good quality, then with fair quality, then smaller.

        Each encoding shows how much smaller the next must be, so that two or three are usually enough.
        """
        quality, scale = GOOD, 1.0
        for _attempt in range(ENCODES):
            size = tuple(max(1, round(side * scale)) for side in picture.size)
            made = self._encode(picture if scale == 1 else picture.resize(size), kind, quality)
            if made <= most:
                return
            if max(size) <= SMALLEST:
                break
            room = most / made
            if quality == GOOD and kind != "image/png":
                room /= FAIR_FRACTION
            quality = FAIR
            # The size grows with the area; a little less, so that the next encoding fits.
            scale *= min(1.0, 0.95 * room**0.5) if room < 1 else 1.0
            scale = max(scale, min(1.0, SMALLEST / max(picture.size)))
        raise DrawingError("bytes")

    def _encode(self, picture: Image.Image, kind: str, quality: int | str) -> int:
        """How many bytes it has: it is in the file, since it could be as large as the picture in memory."""
        self.out.seek(0)
        self.out.truncate()
        profile = _profile(picture) if picture.mode in ("RGB", "RGBA") else None
        options: dict[str, Any] = {"quality": quality, "comment": ""} if kind != "image/png" else {}
        picture.save(self.out, FORMATS[kind], icc_profile=profile, exif=b"", **options)
        return self.out.seek(0, os.SEEK_END)


def is_video_format(source: IO[bytes]) -> bool:
    """Whether a picture is one of VIDEO_FORMATS: a frame in the container of videos (ISO 14496-12)."""
    source.seek(0)
    head = source.read(12)
    source.seek(0)
    return head[4:8] == b"ftyp"


def _video_formats() -> tuple[str, ...]:
    # Only where they are needed: the decoders are large. Each thread of theirs would need a stack.
    import pillow_heif
    from PIL import AvifImagePlugin

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    return VIDEO_FORMATS


def _limit(picture: Image.Image) -> None:
    """By the header alone: nothing has been decoded yet."""
    whole = WHOLE_PIXELS.get(picture.format or "", MAX_PIXELS)
    jpeg = picture.format in ("JPEG", "MPO")
    # A progressive JPEG cannot be decoded row by row.
    most = MAX_JPEG_PIXELS if jpeg and not picture.info.get("progressive") else whole
    if picture.width * picture.height > most:
        raise DrawingError("pixels")
    if picture.mode == "CMYK":
        whole //= 4  # it is converted, too
    while jpeg and picture.width * picture.height > whole:
        before = picture.size
        picture.draft(None, (picture.width // 2, picture.height // 2))
        if picture.size == before:
            raise DrawingError("pixels")


def _profile(picture: Image.Image) -> bytes | None:
    """The colour profile, if it is one: anything could stand there."""
    profile = picture.info.get("icc_profile")
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
    except (OSError, ImageCms.PyCMSError):
        return None
    return profile


def _own_quality(picture: Image.Image) -> int | str:
    # The tables with which a JPEG was made lose next to nothing when it is made once more.
    return "keep" if picture.format == "JPEG" and picture.mode in ("L", "RGB") else GOOD


def _plain(picture: Image.Image, kind: str) -> Image.Image:
    """The picture as grey, RGB or RGBA, which every type supports; for a JPEG it is put on white.

    Halved if it is large: a smaller one is to be made of it, and both must fit into memory.
    """
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256).convert("L")
    clear = picture.has_transparency_data
    wanted = "RGBA" if clear else "L" if picture.mode == "L" else "RGB"
    picture = picture if picture.mode == wanted else picture.convert(wanted)
    if picture.width * picture.height > MAX_PIXELS // (5 if kind == "image/webp" else 2):
        picture = picture.reduce(2)
    if clear and kind == "image/jpeg":
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        return white
    return picture


def main() -> None:
    """Answers one request."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    try:
        with os.fdopen(0, "rb") as source, os.fdopen(1, "w+b") as out:
            most = MEMORY_BYTES_OF_VIDEO if is_video_format(source) else MEMORY_BYTES
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            said = draw(source, out, **json.loads(sys.argv[1]))
    except DrawingError as error:
        said = f"!{error}"
    except MemoryError:
        said = "!memory"
    sys.stderr.write(f"\n{said}\n")


if __name__ == "__main__":
    main()
