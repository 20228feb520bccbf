"""Files: signed links for services, and what came from them fetched, checked and kept."""

from __future__ import annotations

import io
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pillow_heif
import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client
from django.utils import timezone
from PIL import Image

from messaging import erasure, media
from messaging.inbound import fetch_media
from messaging.models import Attachment, Message, Number
from messaging.outbound.submit import submit
from messaging.statuses import AttachmentState, Status
from portal.models import User
from tests.messaging.rules import CONTACT, receive


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def picture(kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, kind, **options)
    return out.getvalue()


@pytest.fixture
def attachment(private: Number, alice: User) -> Attachment:
    message = submit(
        alice,
        private,
        "+61412345678",
        files=[SimpleUploadedFile("../my pic.PNG", picture("PNG"), "text/html")],
    )
    return message.attachments.get()


def test_a_signed_link_opens_without_signing_in(attachment: Attachment, client: Client) -> None:
    url = urlsplit(media.public_url(attachment, attachment.message)).path
    assert url.endswith("/my-pic.png")
    answer = client.get(url)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert body(answer) == picture("PNG")
    head = client.head(url)
    assert (head.status_code, body(head)) == (200, b"")
    assert client.post(url).status_code == 405


@pytest.mark.parametrize("place", [2, 3, 4])
def test_a_link_that_was_tampered_with_is_404(attachment: Attachment, client: Client, place: int) -> None:
    parts = urlsplit(media.public_url(attachment, attachment.message)).path.split("/")
    parts[place] = parts[place][:-1] + ("1" if parts[place][-1] != "1" else "2")
    assert client.get("/".join(parts)).status_code == 404


def test_a_link_outlives_the_rotation_of_the_secret_key(
    attachment: Attachment, client: Client, settings: Any
) -> None:
    url = urlsplit(media.public_url(attachment, attachment.message)).path
    old, settings.SECRET_KEY = settings.SECRET_KEY, "a-new-secret-key-that-is-long-enough-0123456789abcdef"
    assert client.get(url).status_code == 404
    settings.SECRET_KEY_FALLBACKS = [old]
    assert len(body(client.get(url))) == attachment.size
    assert urlsplit(media.public_url(attachment, attachment.message)).path != url


def test_a_link_expires(attachment: Attachment, client: Client) -> None:
    message = attachment.message
    message.expires_at = timezone.now() - timedelta(hours=47)
    answer = client.get(urlsplit(media.public_url(attachment, message)).path)
    assert (answer.status_code, len(body(answer))) == (200, attachment.size)
    message.expires_at = timezone.now() - timedelta(hours=49)
    assert client.get(urlsplit(media.public_url(attachment, message)).path).status_code == 410


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (picture("PNG"), "a.html", "image/png"),
        (b"%PDF-1.7", "a", "application/pdf"),
        (b"<svg onload=alert(1)>", "a.svg", "application/octet-stream"),
        (b"<script>", "a.html", "application/octet-stream"),
        (b"not a picture", "a.jpg", "application/octet-stream"),
        (b"words", "a.txt", "text/plain"),
        (b"?", "", "application/octet-stream"),
    ],
)
def test_the_type_is_what_the_bytes_say(head: bytes, name: str, kind: str) -> None:
    assert media.content_type(head, name) == kind


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ZIP = b"PK\x03\x04\x14\0\x08\0\x08\0\0\0!\0" + bytes(40)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


@pytest.mark.parametrize(
    ("head", "declared", "name", "kind", "extension"),
    [
        (b"BEGIN:VCARD", "text/vcard; charset=utf-8", "0", "text/vcard", ".vcf"),
        (b"BEGIN:VCARD", "text/x-vcard", "me.vcf", "text/x-vcard", ".vcf"),
        (b"BEGIN:VCARD", "", "me.VCF", "text/vcard", ".vcf"),
        (b"BEGIN:VCALENDAR", "text/calendar", "", "text/calendar", ".ics"),
        (b"a,b", "text/csv", "list", "text/csv", ".csv"),
        # What a server says of every file says nothing.
        (b"a,b", "text/plain", "list.csv", "text/csv", ".csv"),
        (b"a,b", "application/octet-stream", "list.csv", "text/csv", ".csv"),
        (b"a,b", "text/plain", "list", "text/plain", ".txt"),
        (b"#!AMR\n", "audio/amr", "voice", "audio/amr", ".amr"),
        (b"?", "AUDIO/AMR", "voice", "audio/amr", ".amr"),
        (MP4, "audio/mp4", "0", "audio/mp4", ".m4a"),
        (MP4, "", "voice.m4a", "audio/mp4", ".m4a"),
        (MP4, "", "film", "video/mp4", ".mp4"),
        (MP4, "text/plain", "film", "video/mp4", ".mp4"),
        (ZIP, DOCX, "0", DOCX, ".docx"),
        (ZIP, "application/octet-stream", "letter.docx", DOCX, ".docx"),
        (ZIP, "", "all.zip", "application/zip", ".zip"),
        (ZIP, "application/pdf", "all.pdf", "application/zip", ".zip"),
        (b"%PDF-1.7", "text/csv", "a.csv", "application/pdf", ".pdf"),
        # Only the bytes make a picture or a page.
        (b"?", "image/png", "a", "application/octet-stream", ".bin"),
        (b"<script>", "text/html", "a.html", "application/octet-stream", ".bin"),
        (b"<svg/>", "image/svg+xml", "a.svg", "application/octet-stream", ".bin"),
        (b"?", "no type", "a", "application/octet-stream", ".bin"),
    ],
)
def test_else_it_is_what_the_sender_says(
    head: bytes, declared: str, name: str, kind: str, extension: str
) -> None:
    assert media.content_type(head, name, declared) == kind
    assert media.extension_of(kind, name) == extension


class Files(BaseHTTPRequestHandler):
    """Serves what a test put into `content` (status, body); counts."""

    content: dict[str, list[tuple[int, bytes]]] = {}
    headers_of: dict[str, dict[str, str]] = {}

    def do_GET(self) -> None:
        answers = self.content[self.path]
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", body.decode())
            body = b""
        for name, value in self.headers_of.get(self.path, {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def files(settings: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    settings.PATCHBAY_ALLOWED_ORIGINS = [origin]
    yield origin
    server.shutdown()
    server.server_close()


def body(answer: Any) -> bytes:
    """All of a streamed answer; read to its end, it closes its file."""
    return b"".join(answer.streaming_content)


def content(attachment: Attachment) -> bytes:
    with attachment.file.open() as file:
        return bytes(file.read())


def incoming(attachment: Attachment, url: str) -> Attachment:
    return Attachment.objects.create(
        message=attachment.message, source_url=url, state=AttachmentState.WAITING, position=1
    )


def fetched(attachment: Attachment, url: str) -> Attachment:
    row = incoming(attachment, url)
    fetch_media.drain()
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(
    ("disposition", "place", "name"),
    [
        ('attachment; filename="list.csv"', "/0", "list.csv"),
        ("inline; filename=list.csv", "/0", "list.csv"),
        (
            "attachment; filename=\"a.csv\"; filename*=UTF-8''na%C3%AFve%20%F0%9F%99%82.csv",
            "/0",
            "naïve 🙂.csv",
        ),
        ("attachment; filename*=iso-8859-1'en'%A3%20rates.csv", "/0", "£ rates.csv"),
        (b'attachment; filename="\xc3\xbcber.csv"'.decode("latin-1"), "/0", "über.csv"),
        ('attachment; filename="C:\\\\Users\\\\me\\\\list.csv"', "/0", "list.csv"),
        ('attachment; filename="../../list.csv"', "/0", "list.csv"),
        ("attachment; filename*=UTF-8''a%E2%80%AEb%0D%0Ac.csv", "/0", "ab  c.csv"),
        ("attachment", "/list%20of%20all.csv?key=1", "list of all.csv"),
        ("", "/a%2Flist.csv", "list.csv"),
        ("", "/", "file.csv"),
    ],
)
def test_the_name_is_what_the_sender_says(
    attachment: Attachment,
    files: str,
    monkeypatch: pytest.MonkeyPatch,
    disposition: str,
    place: str,
    name: str,
) -> None:
    said = {"Content-Type": "text/csv", **({"Content-Disposition": disposition} if disposition else {})}
    monkeypatch.setattr(Files, "headers_of", {place: said})
    Files.content = {place: [(200, b"a,b")]}
    row = fetched(attachment, f"{files}{place}")
    assert (row.state, row.name, row.content_type) == ("kept", name, "text/csv")


@pytest.mark.parametrize("link", ["/my list.csv", " /my%20list.csv ", '/my"list<é>.csv', "/away"])
def test_blanks_in_links_are_escaped(attachment: Attachment, files: str, link: str) -> None:
    Files.content = {
        "/my%20list.csv": [(200, b"a,b")],
        "/my%22list%3C%C3%A9%3E.csv": [(200, b"a,b")],
        "/away": [(302, b"/my list.csv")],
    }
    link = f" {files}{link.strip()} " if link.startswith(" ") else f"{files}{link}"
    row = fetched(attachment, link)
    assert (row.state, row.problem, content(row)) == ("kept", "", b"a,b")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/smil", b"<smil/>"),
        ("application/smil+xml; charset=utf-8", b"?"),
        ("text/xml", b'<?xml version="1.0"?>\n<smil xmlns="x"><head/></smil>'),
        ("application/octet-stream", b"<smil>"),
    ],
)
def test_the_layout_of_an_mms_is_left_out(
    attachment: Attachment, files: str, monkeypatch: pytest.MonkeyPatch, folder: Path, kind: str, body: bytes
) -> None:
    monkeypatch.setattr(Files, "headers_of", {"/0": {"Content-Type": kind}})
    Files.content = {"/0": [(200, body)]}
    incoming(attachment, f"{files}/0")
    fetch_media.drain()
    assert list(Attachment.objects.all()) == [attachment]
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


def test_a_picture_of_an_iphone_is_shown(attachment: Attachment, files: str) -> None:
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "teal")).save(heic)
    Files.content = {"/IMG_0001.HEIC": [(200, heic.getvalue())]}
    row = fetched(attachment, f"{files}/IMG_0001.HEIC")
    assert (row.content_type, row.name, row.is_image) == ("image/jpeg", "IMG_0001.jpg", True)
    assert Image.open(io.BytesIO(content(row))).size == (64, 48)
    assert row.file.name.endswith("/IMG_0001.jpg")


def test_a_picture_is_drawn_anew_without_its_secrets(attachment: Attachment, files: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Files.content = {"/a.jpg": [(200, picture(exif=exif))]}
    row = fetched(attachment, f"{files}/a.jpg")
    kept = content(row)
    assert (row.state, row.content_type, row.is_image, row.name) == ("kept", "image/jpeg", True, "a.jpg")
    assert b"taken at home" not in kept
    assert Image.open(io.BytesIO(kept)).size == (8, 8)


@pytest.mark.parametrize("body", [picture()[:60], b"<svg xmlns='x'/>", b"<html>"])
def test_what_is_no_picture_is_only_downloaded(attachment: Attachment, files: str, body: bytes) -> None:
    Files.content = {"/a.jpg": [(200, body)]}
    row = fetched(attachment, f"{files}/a.jpg")
    assert (row.state, row.is_image) == ("kept", False)


def test_a_data_uri_is_kept(attachment: Attachment) -> None:
    row = fetched(attachment, "data:text/plain;base64,aGVsbG8=")
    assert (row.state, content(row)) == ("kept", b"hello")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:2000/a.jpg", "127.0.0.1"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("file:///etc/passwd", "URL"),
        ("data:nonsense", "cannot be decoded"),
        ("not a url", "URL"),
    ],
)
def test_addresses_that_are_closed(attachment: Attachment, url: str, reason: str) -> None:
    row = fetched(attachment, url)
    assert row.state == "failed"
    assert reason in row.problem
    assert not row.file


def test_a_redirect_into_the_own_network_is_refused(attachment: Attachment, files: str) -> None:
    Files.content = {"/a.jpg": [(302, b"http://127.0.0.1:1/secret")]}
    row = fetched(attachment, f"{files}/a.jpg")
    assert (row.state, bool(row.file)) == ("failed", False)


def test_what_is_not_there_yet_is_tried_again(attachment: Attachment, files: str) -> None:
    Files.content = {"/a.txt": [(404, b""), (200, b"hello")]}
    row = fetched(attachment, f"{files}/a.txt")
    assert (row.state, row.attempts) == ("waiting", 1)
    assert "404" in row.problem
    Attachment.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    fetch_media.drain()
    row.refresh_from_db()
    assert (row.state, content(row), row.problem) == ("kept", b"hello", "")


def test_a_file_that_is_too_large_is_not_kept(attachment: Attachment, files: str, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    Files.content = {"/a.bin": [(200, b"x" * 1001)]}
    row = fetched(attachment, f"{files}/a.bin")
    assert (row.state, bool(row.file)) == ("failed", False)


def test_fetching_shows_in_the_thread(attachment: Attachment) -> None:
    before = Message.objects.get().changed_at
    fetched(attachment, "data:text/plain,hello")
    assert Message.objects.get().changed_at > before
    assert Message.objects.get().status == Status.QUEUED


@pytest.mark.django_db(transaction=True)
def test_several_are_fetched_at_once_and_no_transaction_is_open(
    attachment: Attachment, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(3)
    written: list[int] = []
    plain = Files.do_GET

    def do_GET(self: Files) -> None:
        together.wait(10)
        written.append(Message.objects.update(status_code="meanwhile"))  # would wait for a transaction
        connections.close_all()
        plain(self)

    monkeypatch.setattr(Files, "do_GET", do_GET)
    Files.content = {f"/{name}.txt": [(200, name.encode())] for name in "abc"}
    rows = [incoming(attachment, f"{files}/{name}.txt") for name in "abc"]
    fetch_media.drain()
    for row in rows:
        row.refresh_from_db()
    assert [(row.state, content(row)) for row in rows] == [("kept", name.encode()) for name in "abc"]
    assert written == [1, 1, 1]


def test_a_full_disk_loses_nothing(
    attachment: Attachment, files: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    keep = media.keep

    def cramped(*args: Any) -> Attachment:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # no file grows beyond: a write fails midway
        try:
            return keep(*args)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(media, "keep", cramped)
    Files.content = {"/a.txt": [(200, b"x" * 5000)]}
    row = incoming(attachment, f"{files}/a.txt")
    for _ in range(fetch_media.MAX_ATTEMPTS + 1):  # however long it takes to be fixed
        Attachment.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        fetch_media.drain()
    row.refresh_from_db()
    assert (row.state, row.attempts, bool(row.file)) == ("waiting", 0, False)
    assert row.problem == "Patchbay cannot store the file (File too large). It retries every few minutes."
    assert row.next_attempt_at > timezone.now() + timedelta(minutes=4)
    assert list(tmp_path.rglob("*.txt")) == []
    monkeypatch.undo()
    Attachment.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    fetch_media.drain()
    row.refresh_from_db()
    assert (row.state, row.problem, content(row)) == ("kept", "", b"x" * 5000)


def test_what_ends_the_process_each_time_is_not_tried_for_ever(
    attachment: Attachment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def crash(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(media, "content_type", crash)
    row = incoming(attachment, "data:text/plain,bad")
    tried = 0
    for _ in range(fetch_media.MAX_ATTEMPTS + 3):
        Attachment.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        with suppress(Killed):
            fetch_media.drain()
            continue
        tried += 1
    row.refresh_from_db()
    assert tried == fetch_media.MAX_ATTEMPTS
    assert (row.state, row.problem) == ("failed", "The file could not be processed.")


def test_a_received_picture_of_any_type_is_shown_and_tells_nothing_of_its_camera(
    attachment: Attachment, files: str
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    bodies = {kind: picture(kind, exif=exif) for kind in ("JPEG", "TIFF")} | {"BMP": picture("BMP")}
    Files.content = {f"/{kind}": [(200, found)] for kind, found in bodies.items()}
    rows = [incoming(attachment, f"{files}/{kind}") for kind in bodies]
    fetch_media.drain()
    for row in rows:
        row.refresh_from_db()
        assert (row.state, row.content_type) == ("kept", "image/jpeg")
        assert b"taken at home" not in content(row)


def test_a_defect_with_one_file_holds_up_no_other(
    attachment: Attachment, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = media.content_type

    def content_type(head: bytes, name: str, declared: str = "") -> str:
        if head == b"bad":
            raise LookupError("a defect")
        return real(head, name)

    monkeypatch.setattr(media, "content_type", content_type)
    bad, good = incoming(attachment, "data:text/plain,bad"), incoming(attachment, "data:text/plain,good")
    fetch_media.drain()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, bad.attempts, good.state) == ("waiting", 1, "kept")
    assert "The server's log has the details." in bad.problem


def test_a_file_that_comes_after_its_message_was_erased_is_not_left_behind(
    private: Number, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(private, "Look!")
    receive(private, "Look!", sender="+61412000000")
    gone, kept = [
        Attachment.objects.create(
            message=message, source_url=f"data:text/plain,{message.pk}", state=AttachmentState.WAITING
        )
        for message in Message.objects.order_by("pk")
    ]
    real = fetch_media._record

    def record(attachment: Attachment, result: Any) -> None:
        if attachment == gone:
            erasure.start(private.organization, CONTACT, None)
            erasure.drain()
        real(attachment, result)

    monkeypatch.setattr(fetch_media, "_record", record)
    fetch_media.drain()
    row = Attachment.objects.get()
    assert (row, row.state, content(row)) == (kept, "kept", str(kept.message_id).encode())
    assert [path.read_bytes() for path in folder.rglob("*") if path.is_file()] == [content(row)]


def test_what_two_processes_have_fetched_is_kept_once(
    attachment: Attachment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = incoming(attachment, "data:text/plain,twice")
    real = fetch_media._fetch

    def fetch(waiting: Attachment, request: Any) -> Any:
        # One that was halted for longer than its claim ends after another.
        other = Attachment(pk=waiting.pk, message=waiting.message, source_url=waiting.source_url)
        fetch_media._record(other, real(other, request))
        return real(waiting, request)

    monkeypatch.setattr(fetch_media, "_fetch", fetch)
    monkeypatch.setattr(fetch_media, "ThreadPoolExecutor", Here)
    fetch_media.drain()
    row.refresh_from_db()
    assert content(row) == b"twice"
    assert [path.read_bytes() for path in folder.rglob("*.txt")] == [b"twice"]


class Here:
    """Works off what it is given at once, in the thread of the test, which alone has its transaction."""

    def __init__(self, *_arguments: Any, **_named: Any) -> None: ...

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_raised: Any) -> None: ...

    def submit(self, work: Any, *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done


@pytest.mark.parametrize(
    ("given", "kept", "said"),
    [
        ("../../etc/passwd", "passwd.bin", 'attachment; filename="passwd"'),
        ("/etc/cron.d/x.txt", "x.txt", 'attachment; filename="x.txt"'),
        ("a;b=c d.txt", "a-b-c-d.txt", 'attachment; filename="a;b=c d.txt"'),
        ('a"b.txt', "a-b.txt", 'attachment; filename="a\\"b.txt"'),
        ("ü.txt", "file.txt", "attachment; filename*=utf-8''%C3%BC.txt"),
        (
            "a\r\nSet-Cookie: b.txt",
            "a-Set-Cookie-b.txt",
            "attachment; filename*=utf-8''a%0D%0ASet-Cookie%3A%20b.txt",
        ),
        ("..", "file.bin", 'attachment; filename=".."'),
    ],
)
def test_a_name_is_no_path(
    private: Number, alice: User, client: Client, given: str, kept: str, said: str
) -> None:
    message = submit(
        alice, private, "+61412000999", text="Look", files=[SimpleUploadedFile("x.txt", b"hello")]
    )
    attachment = media.keep(
        message.attachments.get(), ContentFile(b"hello"), media.content_type(b"hello", given), given
    )
    attachment.save()
    path = Path(attachment.file.path)
    root = Path(attachment.file.storage.location)
    assert path.name == kept and len(path.relative_to(root).parts) == 5
    client.force_login(alice)
    answer = client.get(f"/inbox/files/{attachment.uuid}")
    assert (body(answer), answer["Content-Disposition"]) == (b"hello", said)
