"""Logos: the catalogue's drawings and those of own templates, fetched once, shown to the account's people only."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image

from integrations import catalog, logos
from integrations.models import Template
from portal.models import Account, Membership, Organization, User
from tests.conftest import person


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 150)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, kind)
    return out.getvalue()


class Site(BaseHTTPRequestHandler):
    """A web site with the logos that a test puts into `answers` (status, body); keeps what was asked for."""

    answers: dict[str, tuple[int, bytes]] = {}
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.answers.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(settings: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    settings.PATCHBAY_ALLOWED_ORIGINS = [origin]
    Site.answers, Site.asked = {"/logo.png": (200, picture()), "/new.webp": (200, picture("WEBP"))}, []
    yield origin
    server.shutdown()
    server.server_close()


def document(**more: str) -> str:
    api = {"SendMessage": {"request_url": "https://x.example/"}}
    return json.dumps({"id": "mine", "name": "Mine", **more, "API": api})


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def save(reseller: User, account: Account) -> Callable[[str], list[str]]:
    """Publishes a document as the reseller does; gives what the page then says of the logo."""

    def saved(source: str) -> list[str]:
        template = Template.objects.filter(account=account).first() or Template(account=account)
        revision = template.save_draft(source)
        page = f"/admin/integrations/template/{template.pk}/studio/publish/"
        answer = signed_in(reseller).post(page, {"revision": revision.number, "for": "all"})
        assert answer.status_code == 302
        said = [str(message) for message in get_messages(answer.wsgi_request)]
        return [text for text in said if "logo" in text]

    return saved


def mine() -> Template:
    return Template.objects.get(service_id="mine")


def test_a_logo_is_fetched_when_the_template_is_published(
    save: Callable[[str], list[str]], site: str, reseller: User
) -> None:
    assert save(document(logo=f"{site}/logo.png")) == []
    answer = signed_in(reseller).get(logos.url_of(mine()))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).size == (128, 64)
    assert Site.asked == ["/logo.png"]


def test_it_is_fetched_once_and_again_when_it_changes(
    save: Callable[[str], list[str]], site: str, folder: Path
) -> None:
    save(document(logo=f"{site}/logo.png"))
    save(document(logo=f"{site}/logo.png", description="Better"))
    save(document(logo=f"{site}/logo.png", description="Better"))
    assert Site.asked == ["/logo.png"]
    save(document(logo=f"{site}/new.webp"))
    assert Site.asked == ["/logo.png", "/new.webp"]
    assert [path.name for path in folder.glob("logos/*")] == [Path(str(mine().logo)).name]
    save(document())
    assert (bool(mine().logo), list(folder.glob("logos/*")), logos.url_of(mine())) == (False, [], "")


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        ("/missing.png", (404, b""), "returned status 404"),
        (
            "/logo.svg",
            (200, b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            "Use a JPEG, PNG, GIF or WebP file.",
        ),
        ("/half.png", (200, picture()[:60]), "cannot be read as a picture"),
        ("/large.png", (200, b"x" * (logos.MAX_BYTES + 1)), "larger"),
    ],
)
def test_a_logo_that_cannot_be_had_is_a_warning_and_can_be_tried_again(
    save: Callable[[str], list[str]],
    site: str,
    path: str,
    answer: tuple[int, bytes],
    reason: str,
    folder: Path,
) -> None:
    Site.answers[path] = answer
    source = document(logo=site + path)
    [warning] = save(source)
    assert "The template is published" in warning and reason in warning
    assert (mine().name, bool(mine().logo), list(folder.rglob("*.*"))) == ("Mine", False, [])
    Site.answers[path] = (200, picture())
    assert save(source) == []
    assert mine().logo


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a.png", "http://169.254.169.254/a.png", "file:///etc/passwd", "x"]
)
def test_only_the_guarded_door_is_used(save: Callable[[str], list[str]], url: str, folder: Path) -> None:
    [warning] = save(document(logo=url))
    assert "published without a logo" in warning
    assert list(folder.rglob("*.*")) == []


def test_a_drawing_of_the_catalogue_runs_nothing(generic: Template, alice: User) -> None:
    answer = signed_in(alice).get(logos.url_of(generic))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    policy = answer["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; ") and "frame-ancestors 'none'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.content == (catalog.FOLDER / "generic" / "logo.svg").read_bytes()
    assert signed_in(alice).post(logos.url_of(generic)).status_code == 405


def test_a_logo_is_for_the_people_of_the_account(
    save: Callable[[str], list[str]],
    site: str,
    generic: Template,
    alice: User,
    reseller: User,
    operator: User,
) -> None:
    save(document(logo=f"{site}/logo.png"))
    elsewhere = Organization.objects.create(
        account=Account.objects.create(name="Northern Voice"), name="Umbrella", domain="umbrella.example"
    )
    stranger = person("Mallory", elsewhere, role=Membership.Role.ORGANIZATION_ADMIN)
    url = logos.url_of(mine())
    assert [signed_in(user).get(url).status_code for user in (alice, reseller, operator)] == [200, 200, 200]
    assert (signed_in(stranger).get(url).status_code, Client().get(url).status_code) == (404, 404)
    assert signed_in(stranger).get(logos.url_of(generic)).status_code == 200
    Membership.objects.filter(user=alice).update(status=Membership.Status.BLOCKED)
    assert signed_in(alice).get(url).status_code == 404


def test_a_template_named_like_a_service_of_the_catalogue_has_no_drawing(account: Account) -> None:
    template = Template(account=account)
    template.revise(document(id="twilio"))
    assert logos.url_of(template) == ""
    with pytest.raises(FileNotFoundError):
        logos.read(template)


def test_a_lost_file_is_not_found(
    save: Callable[[str], list[str]], site: str, reseller: User, folder: Path
) -> None:
    save(document(logo=f"{site}/logo.png"))
    for path in folder.glob("logos/*"):
        path.unlink()
    assert signed_in(reseller).get(logos.url_of(mine())).status_code == 404


def test_the_gallery_shows_logos_and_asks_no_more_for_more_services(
    save: Callable[[str], list[str]], site: str, generic: Template, acme: Organization, admin_of_acme: User
) -> None:
    client, url = signed_in(admin_of_acme), f"/admin/integrations/integration/organization/{acme.pk}/"

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as counted:
            page = client.get(url).content.decode()
        assert f'src="{logos.url_of(generic)}"' in page
        return len(counted)

    client.get(url)
    few = queries()
    save(document(logo=f"{site}/logo.png"))
    for number in range(10):
        Template(account=acme.account).revise(document(id=f"more-{number}", name=f"More {number}"))
    assert queries() == few
    assert f'src="{logos.url_of(mine())}"' in client.get(url).content.decode()
    assert f'src="{logos.url_of(generic)}"' in client.get(f"{url}{generic.pk}/").content.decode()
