"""Pictures drawn anew, tried with real ones."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from PIL import Image, ImageDraw

from integrations import pictures


def photo(width: int, height: int, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture with as much detail as a camera's, the same at every call."""
    grain = Image.frombytes(
        "RGB", (width // 4, height // 4), random.Random(7).randbytes(width * height // 16 * 3)
    )
    return saved(grain.resize((width, height)), kind, **options)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def drawn(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


def moving(kind: str = "GIF") -> bytes:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all that is encoded."""
    sizes: list[int] = []
    encode = pictures._encoded

    def counted(*args: Any) -> bytes:
        made = encode(*args)
        sizes.append(len(made))
        return made

    monkeypatch.setattr(pictures, "_encoded", counted)
    return sizes


@pytest.mark.parametrize(
    ("most", "at_least", "tries"),
    [
        (300_000, 290_000, 1),
        (220_000, 200_000, 2),
        (100_000, 80_000, 3),
        (20_000, 14_000, 3),
        (3_000, 1_000, 4),
    ],
)
def test_a_large_photo_is_made_to_fit_in_few_encodings(
    encodings: list[int], most: int, at_least: int, tries: int
) -> None:
    made, kind = pictures.fitted(photo(1000, 750, quality=97), ("image/*",), most)
    assert kind == "image/jpeg"
    assert at_least <= len(made) <= most
    assert len(encodings) <= tries
    width, height = drawn(made).size
    assert width / height == pytest.approx(4 / 3, rel=0.02)


def test_quality_goes_before_size(encodings: list[int]) -> None:
    made, _kind = pictures.fitted(photo(1000, 750, quality=97), (), 220_000)
    assert drawn(made).size == (1000, 750)


def test_a_camera_picture_is_brought_to_what_phones_show() -> None:
    made, _kind = pictures.fitted(photo(6000, 4000, quality=90), (), 20_000_000)
    assert max(drawn(made).size) == pictures.LONGEST


@pytest.mark.parametrize("source", ["PNG", "WEBP", "BMP", "TIFF"])
def test_another_kind_becomes_a_jpeg(source: str) -> None:
    made, kind = pictures.fitted(photo(64, 48, source), ("image/jpeg", "image/png"), 50_000)
    assert (kind, drawn(made).format, drawn(made).size) == ("image/jpeg", "JPEG", (64, 48))


def test_where_only_png_is_taken_it_becomes_a_smaller_png() -> None:
    made, kind = pictures.fitted(photo(400, 300), ("image/png",), 40_000)
    assert (kind, drawn(made).format) == ("image/png", "PNG")
    assert 20_000 < len(made) <= 40_000


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_was_transparent_is_white(mode: str) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((0, 0, 15, 31), fill=(0, 0, 0, 255))
    made, _kind = pictures.fitted(saved(picture.convert(mode), "PNG"), ("image/jpeg",), 5_000)
    left, right = (drawn(made).convert("L").getpixel(place) for place in ((4, 16), (27, 16)))
    assert isinstance(left, int) and isinstance(right, int)
    assert left < 8 and right > 247


@pytest.mark.parametrize(
    ("mode", "kind", "color", "grey"),
    [
        ("I;16", "PNG", 40_000, 156),
        ("CMYK", "JPEG", (0, 0, 0, 0), 255),
        ("1", "PNG", 1, 255),
        ("L", "PNG", 90, 90),
    ],
)
def test_odd_modes_keep_their_brightness(mode: str, kind: str, color: Any, grey: int) -> None:
    made, _kind = pictures.fitted(saved(Image.new(mode, (32, 32), color), kind), ("image/jpeg",), 5_000)
    assert drawn(made).convert("L").getpixel((16, 16)) == pytest.approx(grey, abs=2)


def test_a_turned_picture_is_upright_and_tells_nothing_of_its_camera() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    body = photo(400, 300, exif=exif, comment=b"and more", quality=95)
    made, _kind = pictures.fitted(body, (), len(body) // 2)
    assert drawn(made).width < drawn(made).height
    assert dict(drawn(made).getexif()) == {}
    assert b"taken at home" not in made and b"and more" not in made


def test_a_photo_with_a_preview_behind_it_is_a_still_picture() -> None:
    picture = Image.new("RGB", (64, 48), "teal")
    body = saved(picture, "MPO", save_all=True, append_images=[picture.resize((16, 12))])
    assert drawn(body).format == "MPO"
    assert drawn(pictures.fitted(body, (), 5_000)[0]).format == "JPEG"


@pytest.mark.parametrize(
    ("body", "types", "most", "reason"),
    [
        (moving(), ("image/jpeg",), 10, "Animated pictures"),
        (moving("WEBP"), ("image/jpeg",), 10, "Animated pictures"),
        (photo(64, 48), ("image/gif",), 10_000, "accepts no pictures of this type"),
        (photo(64, 48), ("video/mp4",), 10_000, "accepts no pictures of this type"),
        (photo(64, 48)[:200], (), 100, "cannot be read as a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 1000, (), 100, "cannot be read as a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", (), 10, "cannot be read as a picture"),
        (photo(64, 48), (), 100, "Even a small copy of low quality"),
        (photo(64, 48), (), 0, "Even a small copy of low quality"),
    ],
)
def test_what_cannot_be_made_to_fit(body: bytes, types: tuple[str, ...], most: int, reason: str) -> None:
    with pytest.raises(pictures.PictureError, match=reason):
        pictures.fitted(body, types, most)


@pytest.mark.parametrize("draw", [lambda body: pictures.fitted(body, (), 10), pictures.logo])
def test_a_bomb_is_not_unpacked(draw: Any) -> None:
    bomb = saved(Image.new("1", (8000, 7000)), "PNG")
    assert len(bomb) < 10_000
    with pytest.raises(pictures.PictureError, match="50 million pixels"):
        draw(bomb)


def test_a_logo_is_a_small_png() -> None:
    made = drawn(pictures.logo(photo(600, 300, "WEBP")))
    assert (made.format, made.size, made.mode) == ("PNG", (128, 64), "RGBA")


@pytest.mark.parametrize(
    ("kind", "types", "taken"),
    [
        ("image/png", (), True),
        ("image/png", ("image/*",), True),
        ("image/png", ("video/*", "image/png"), True),
        ("image/png", ("image/jpeg",), False),
        ("images/png", ("image/*",), False),
    ],
)
def test_types(kind: str, types: tuple[str, ...], taken: bool) -> None:
    assert pictures.is_type(kind, types) is taken
