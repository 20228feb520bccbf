"""Pictures drawn anew, tried with real ones."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import pillow_heif
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from integrations import drawing, pictures
from tests.processes import ROOT, wait_for


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


def fitted(body: bytes, types: Sequence[str], most: int) -> tuple[bytes, str]:
    made, kind = pictures.fitted(io.BytesIO(body), types, most)
    with made:
        return made.read(), kind


def drawn(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


def moving(kind: str = "GIF") -> bytes:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("most", "at_least", "encodings"),
    [
        (300_000, 290_000, 2),
        (220_000, 200_000, 3),
        (100_000, 80_000, 4),
        (20_000, 14_000, 4),
        (3_000, 1_000, 5),
    ],
)
def test_a_large_photo_is_made_to_fit_in_few_encodings(
    monkeypatch: pytest.MonkeyPatch, most: int, at_least: int, encodings: int
) -> None:
    sizes: list[tuple[int, int]] = []
    save = Image.Image.save

    def counted(picture: Image.Image, *args: Any, **options: Any) -> None:
        sizes.append(picture.size)
        save(picture, *args, **options)

    body = photo(1000, 750, quality=97)
    monkeypatch.setattr(Image.Image, "save", counted)
    made = io.BytesIO()
    kind = drawing.draw(io.BytesIO(body), made, "fit", ("image/*",), most)
    found = made.getvalue()
    assert kind == "image/jpeg"
    assert at_least <= len(found) <= most
    assert len(sizes) <= encodings
    width, height = drawn(found).size
    assert width / height == pytest.approx(4 / 3, rel=0.02)


def test_quality_goes_before_size() -> None:
    made, _kind = fitted(photo(1000, 750, quality=97), (), 220_000)
    assert drawn(made).size == (1000, 750)


def test_a_camera_picture_is_brought_to_what_phones_show() -> None:
    made, _kind = fitted(photo(6000, 4000, quality=90), (), 20_000_000)
    assert drawn(made).size == (3000, 2000)


@pytest.mark.parametrize("source", ["WEBP", "BMP", "TIFF"])
def test_another_kind_becomes_a_jpeg(source: str) -> None:
    made, kind = fitted(photo(64, 48, source), ("image/jpeg", "image/png"), 50_000)
    assert (kind, drawn(made).format, drawn(made).size) == ("image/jpeg", "JPEG", (64, 48))


def heic(picture: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_what_few_phones_show_becomes_a_jpeg(kind: str, mode: str) -> None:
    picture = Image.new(mode, (320, 200), "white")
    body = heic(picture) if kind == "HEIC" else saved(picture, "AVIF")
    made, found = fitted(body, (), 1_000_000)
    assert (found, drawn(made).format, drawn(made).size) == ("image/jpeg", "JPEG", (320, 200))
    assert drawn(made).getpixel((160, 100)) in (255, (255, 255, 255))


def test_a_picture_of_an_iphone_is_upright_and_tells_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    body = heic(Image.new("RGB", (320, 200)), exif=exif.tobytes(), xmp=b"<x>taken at home</x>")
    assert b"taken at home" in body
    made, kind = fitted(body, ("image/jpeg",), 100_000)
    assert (kind, drawn(made).size) == ("image/jpeg", (200, 320))
    assert b"taken at home" not in made
    assert not drawn(made).getexif()


@pytest.mark.parametrize("cut", [20, 200])
def test_a_broken_picture_of_an_iphone_is_refused(cut: int) -> None:
    with pytest.raises(pictures.PictureError, match="cannot be read"):
        fitted(heic(Image.new("RGB", (320, 200)))[:cut], (), 100_000)


def test_where_only_png_is_taken_it_becomes_a_smaller_png() -> None:
    made, kind = fitted(photo(400, 300), ("image/png",), 40_000)
    assert (kind, drawn(made).format) == ("image/png", "PNG")
    assert 20_000 < len(made) <= 40_000


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_was_transparent_is_white(mode: str) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((0, 0, 15, 31), fill=(0, 0, 0, 255))
    made, _kind = fitted(saved(picture.convert(mode), "PNG"), ("image/jpeg",), 5_000)
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
    made, _kind = fitted(saved(Image.new(mode, (32, 32), color), kind), ("image/jpeg",), 5_000)
    assert drawn(made).convert("L").getpixel((16, 16)) == pytest.approx(grey, abs=2)


def test_a_turned_picture_is_upright_and_tells_nothing_of_its_camera() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    body = photo(400, 300, exif=exif, comment=b"and more", quality=95)
    made, _kind = fitted(body, (), len(body) // 2)
    assert drawn(made).width < drawn(made).height
    assert dict(drawn(made).getexif()) == {}
    assert b"taken at home" not in made and b"and more" not in made


def test_a_photo_with_a_preview_behind_it_is_a_still_picture() -> None:
    picture = Image.new("RGB", (64, 48), "teal")
    body = saved(picture, "MPO", save_all=True, append_images=[picture.resize((16, 12))])
    assert drawn(body).format == "MPO"
    assert drawn(fitted(body, (), 5_000)[0]).format == "JPEG"


@pytest.mark.parametrize(
    ("body", "types", "most", "reason"),
    [
        (moving(), ("image/jpeg",), 10, "Animated pictures"),
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
        fitted(body, types, most)


@pytest.mark.parametrize("draw", [lambda body: fitted(body, (), 10), pictures.logo])
def test_a_bomb_is_not_unpacked(draw: Any) -> None:
    bomb = saved(Image.new("1", (8000, 7000)), "PNG")
    assert len(bomb) < 10_000
    with pytest.raises(pictures.PictureError, match="10 million pixels"):
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


def test_of_other_animations_the_first_picture_is_taken() -> None:
    made, kind = fitted(moving("WEBP"), (), 10_000)
    assert kind == "image/jpeg"
    assert drawn(made).convert("RGB").getpixel((4, 4)) == pytest.approx((254, 0, 0), abs=3)


def places(kind: str) -> bytes:
    """A picture that tells where it was taken, in whatever way its type can."""
    exif = Image.Exif()
    exif[0x010E] = "52.5200 N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    grain = Image.frombytes("RGB", (40, 30), random.Random(7).randbytes(3600))
    if kind == "PNG":
        words = PngInfo()
        words.add_text("GPS", "52.5200 N")
        words.add_itxt("XML:com.adobe.xmp", "52.5200 N")
        return saved(grain, kind, exif=exif, pnginfo=words) + b"52.5200 N"
    if kind == "GIF":
        xmp = b"\x21\xff\x0bXMP DataXMP\x0952.5200 N\x00"
        found = saved(grain, kind, comment=b"52.5200 N")
        place = found.index(b"\x21\xfe")
        return found[:place] + xmp + found[place:] + b"52.5200 N"
    options: dict[str, Any] = {"exif": exif}
    if kind in ("JPEG", "MPO"):
        options |= {"comment": b"52.5200 N", "xmp": b"52.5200 N"}
    if kind == "MPO":
        options |= {"save_all": True, "append_images": [grain.resize((8, 6))]}
    return saved(grain, kind, **options) + (b"52.5200 N" if kind in ("JPEG", "MPO") else b"")


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF"])
def test_no_picture_tells_where_it_was_taken(kind: str) -> None:
    body = places(kind)
    assert b"52.5200 N" in body
    made, _type = fitted(body, (), 1_000_000)
    assert b"52.5200" not in made
    assert dict(drawn(made).getexif()) == {}
    assert drawn(made).size == (40, 30)


def test_a_moving_picture_goes_on_moving() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    body = saved(
        frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0, comment=b"52.5200 N", duration=70
    )
    made, kind = fitted(body, ("image/*",), 10_000)
    assert kind == "image/gif"
    assert b"52.5200" in body
    assert b"52.5200" not in made
    moved: Any = drawn(made)
    assert (moved.n_frames, moved.info["loop"], moved.info["duration"]) == (2, 0, 70)


def test_a_photo_that_fits_keeps_its_quality() -> None:
    body = photo(400, 300, quality=40)
    made, _kind = fitted(body, ("image/jpeg",), 1_000_000)
    tables: Any = (drawn(body), drawn(made))
    assert tables[0].quantization == tables[1].quantization
    assert len(made) == pytest.approx(len(body), rel=0.02)


def test_a_photo_that_was_cut_off_is_shown_as_far_as_it_came() -> None:
    body = photo(400, 300)
    made, kind = fitted(body[: len(body) // 2], (), 1_000_000)
    assert (kind, drawn(made).size) == ("image/jpeg", (400, 300))


def most_memory(body: bytes, *, limit: int = drawing.MAX_PIXELS, **request: Any) -> tuple[str, int]:
    """What the drawing process says last, and the most memory that it had, in MiB."""
    code = f"""if True:
        import sys
        from integrations import drawing
        drawing.MAX_PIXELS = {limit}
        drawing.main()
        with open("/proc/self/status") as status:
            print(*(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
    """
    asked = json.dumps({"do": "fit", "types": [], "most": 25_000_000, **request})
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out:
        given.write(body)
        given.seek(0)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, asked],
            stdin=given, stdout=out, stderr=subprocess.PIPE, text=True, check=True, cwd=ROOT,
            env={"PATH": os.environ["PATH"]},  # without what measures coverage
        )  # fmt: skip
    *_, said, memory = done.stderr.split()
    return said, int(memory) // 1024


@pytest.mark.parametrize(
    "request_", [{}, {"most": 300_000, "types": ["image/jpeg"]}], ids=["as it is", "small"]
)
@pytest.mark.parametrize(
    ("mode", "size", "kind", "options"),
    [
        (
            "RGB",
            (4096, 3072),
            "JPEG",
            {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"},
        ),
        ("RGB", (8160, 6120), "JPEG", {}),
        ("RGB", (4096, 3072), "JPEG", {"progressive": True}),
        ("CMYK", (4096, 3072), "JPEG", {}),
        ("RGBA", (3600, 2700), "PNG", {}),
        ("RGB", (2040, 2040), "WEBP", {}),
        ("RGB", (3600, 2700), "TIFF", {}),
        ("P", (3600, 2700), "GIF", {}),
    ],
)
def test_the_largest_pictures_that_are_drawn_fit_into_128_mib(
    mode: str, size: tuple[int, int], kind: str, options: dict[str, Any], request_: dict[str, Any]
) -> None:
    body = saved(Image.linear_gradient("L").resize(size).convert(mode), kind, **options)
    said, memory = most_memory(body, **request_)
    assert said in ("image/jpeg", "image/png", "image/gif")
    assert memory <= 128


def test_a_picture_that_needs_more_memory_is_refused() -> None:
    body = saved(Image.new("RGB", (7000, 7000)), "PNG", compress_level=1)
    assert most_memory(body)[0] == "!pixels"
    said, memory = most_memory(body, limit=10**9, types=["image/jpeg"], most=1)
    assert said in ("!memory", "!unreadable")
    assert memory <= 128


def test_one_picture_at_a_time_and_the_crowd_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    started, finish = threading.Barrier(2), threading.Event()
    running: list[int] = []

    def wait(*args: Any, **options: Any) -> tuple[bytes, bytes]:
        running.append(len(running))
        if len(running) == 1:
            started.wait(10)
            finish.wait(10)
        return b"", b"\n!type\n"

    monkeypatch.setattr(subprocess.Popen, "communicate", wait)
    body = photo(64, 48)
    outcomes: list[str] = []

    def draw() -> None:
        with pytest.raises(pictures.PictureError) as error:
            fitted(body, (), 1_000)
        outcomes.append(type(error.value).__name__)

    threads = [threading.Thread(target=draw) for _ in range(12)]
    threads[0].start()
    started.wait(10)
    for thread in threads[1:]:
        thread.start()
    wait_for(lambda: outcomes.count("Busy") == 12 - pictures.MOST_WAITING)
    assert len(running) == 1  # nobody else draws meanwhile
    finish.set()
    for thread in threads:
        thread.join()
    assert outcomes.count("PictureError") == pictures.MOST_WAITING


def test_stopping_ends_the_picture_that_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = []
    begun = threading.Event()
    start = subprocess.Popen.__init__

    def forever(self: Any, command: list[str], **options: Any) -> None:
        start(self, [sys.executable, "-c", "import time; time.sleep(60)"], **options)
        begun.set()

    monkeypatch.setattr(subprocess.Popen, "__init__", forever)

    def draw() -> None:
        try:
            fitted(photo(64, 48), (), 1_000)
        except pictures.PictureError as error:
            errors.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    begun.wait(10)
    wait_for(lambda: pictures.stop() or not thread.is_alive())
    thread.join(10)
    assert [type(error) for error in errors] == [pictures.Busy]
    with pytest.raises(pictures.Busy):
        fitted(photo(64, 48), (), 1_000)
