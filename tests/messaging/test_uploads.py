"""Files of users: what the service does not take is made to fit, or refused, and then nothing is kept."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from integrations.models import Integration, Template
from messaging.models import Attachment, Message, Number
from messaging.outbound.submit import Refused, submit
from portal.models import User

CONTACT = "+61412345678"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def photo(name: str = "photo.jpg", kind: str = "JPEG", side: int = 400, **options: Any) -> SimpleUploadedFile:
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(7).randbytes(side * side * 3)).save(
        out, kind, **options
    )
    return SimpleUploadedFile(name, out.getvalue())


def moving(name: str = "dance.gif") -> SimpleUploadedFile:
    out = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return SimpleUploadedFile(name, out.getvalue())


def service_with(number: Number, limits: dict[str, Any], files: str = "$urls$", **methods: Any) -> None:
    """Has the number send through a service with limits; `files` is what its SendFile puts into requests."""
    document = {
        "id": "small",
        "name": "Small",
        "limits": limits,
        "API": {
            "SendMessage": {"request_url": "https://x.example/"},
            "SendFile": {"request_url": "https://x.example/", "request_parameters": {"files": files}},
            **methods,
        },
    }
    template = Template(account=number.account)
    template.revise(json.dumps(document))
    Number.objects.update(
        integration=Integration.objects.create(organization=number.organization, template=template)
    )


def sent(alice: User, number: Number, *files: SimpleUploadedFile) -> list[Attachment]:
    return list(submit(alice, number, CONTACT, files=files).attachments.all())


@pytest.mark.parametrize(
    ("limits", "method", "sizes"),
    [
        ({"media_bytes": 100}, {}, None),
        ({"media_bytes": 100, "media_count": 2}, {}, [60, 40, 60]),
        ({"media_bytes": 100}, {"UploadFile": {"request_url": "https://x.example/"}}, [60, 40, 60]),
    ],
)
def test_media_bytes_counts_for_each_request(
    private: Number, alice: User, limits: dict[str, Any], method: dict[str, Any], sizes: list[int] | None
) -> None:
    service_with(private, limits, "$media$", **method)
    files = [SimpleUploadedFile(f"{size}.txt", b"x" * size) for size in (60, 40, 60)]
    if sizes is None:
        with pytest.raises(Refused, match="the provider accepts at most"):
            sent(alice, private, *files)
        assert not Attachment.objects.exists()
    else:
        assert [item.size for item in sent(alice, private, *files)] == sizes


def test_a_picture_that_is_too_large_is_made_to_fit(private: Number, alice: User) -> None:
    service_with(private, {"media_bytes": 20_000})
    [kept] = sent(alice, private, photo("My holiday.PNG", "PNG"))
    assert (kept.content_type, kept.name) == ("image/jpeg", "My holiday.jpg")
    assert kept.size == kept.file.size <= 20_000
    assert str(kept.file.name).endswith("/My-holiday.jpg")
    with kept.file.open() as file:
        assert Image.open(file).format == "JPEG"


def test_a_picture_that_fits_stays_as_it_is(private: Number, alice: User) -> None:
    service_with(private, {"media_bytes": 500_000, "media_types": ["image/*"]})
    upload = photo("a.png", "PNG", side=100)
    [kept] = sent(alice, private, upload)
    with kept.file.open() as file:
        assert (file.read(), kept.name, kept.content_type) == (upload.file.getvalue(), "a.png", "image/png")


def test_a_kind_that_is_not_taken_is_made_into_one_that_is(private: Number, alice: User) -> None:
    service_with(private, {"media_types": ["image/jpeg", "image/gif"]})
    kept = sent(alice, private, photo("a.webp", "WEBP", side=50), moving())
    assert [(item.name, item.content_type) for item in kept] == [
        ("a.jpg", "image/jpeg"),
        ("dance.gif", "image/gif"),
    ]


def test_the_files_of_one_request_share_what_the_service_takes(private: Number, alice: User) -> None:
    service_with(private, {"media_bytes": 60_000})
    small = photo("small.jpg", side=20)
    kept = sent(
        alice, private, photo("one.jpg"), small, photo("two.jpg"), SimpleUploadedFile("a.txt", b"x" * 9000)
    )
    assert [item.name for item in kept] == ["one.jpg", "small.jpg", "two.jpg", "a.txt"]
    assert kept[1].size <= small.size
    assert kept[3].size == 9000
    assert 40_000 < sum(item.size for item in kept) <= 60_000
    assert kept[0].size > 12_000 and kept[2].size > 12_000


def test_files_that_go_alone_do_not_share(private: Number, alice: User) -> None:
    service_with(private, {"media_bytes": 60_000}, files="$url$")
    kept = sent(alice, private, photo("one.jpg"), photo("two.jpg"))
    assert all(40_000 < item.size <= 60_000 for item in kept)


@pytest.mark.parametrize(
    ("upload", "limits", "reason"),
    [
        (lambda: moving(), {"media_bytes": 100}, "dance.gif cannot be converted .*Animated pictures"),
        (lambda: photo(), {"media_bytes": 100}, "photo.jpg cannot be converted .*Even a small copy"),
        (lambda: photo(), {"media_types": ["video/mp4"]}, "accepts no pictures of this type"),
        (lambda: SimpleUploadedFile("a.heic", b"\0\0\0\x18ftypheic" + b"x" * 200), {"media_types": ["image/jpeg"]}, "Use a JPEG"),
        (lambda: SimpleUploadedFile("a.txt", b"x" * 101), {"media_bytes": 100}, "a.txt has 0 KiB, but the provider accepts"),
        (lambda: SimpleUploadedFile("a.txt", b"x"), {"media_types": ["image/*"]}, "not accept files of the type text/plain"),
        (lambda: SimpleUploadedFile("a.txt", b""), {}, "a.txt is empty"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_is_kept(
    private: Number, alice: User, folder: Path, upload: Any, limits: dict[str, Any], reason: str
) -> None:
    service_with(private, limits)
    with pytest.raises(Refused, match=reason):
        sent(alice, private, upload())
    assert (Message.objects.count(), Attachment.objects.count(), list(folder.rglob("*.*"))) == (0, 0, [])


def test_one_file_that_does_not_fit_keeps_none(private: Number, alice: User, folder: Path) -> None:
    service_with(private, {"media_types": ["image/*"]})
    with pytest.raises(Refused, match="text/plain"):
        sent(alice, private, photo(), SimpleUploadedFile("a.txt", b"x"))
    assert (Message.objects.count(), list(folder.rglob("*.*"))) == (0, [])


def test_all_files_together_have_a_limit_of_their_own(private: Number, alice: User, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    with pytest.raises(Refused, match="larger than 1 KiB together"):
        sent(alice, private, *[SimpleUploadedFile(f"{n}.txt", b"x" * 600) for n in range(2)])
    assert Message.objects.count() == 0
