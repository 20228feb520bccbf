"""What every answer carries."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from portal.models import User


@pytest.mark.parametrize(
    "path", ["/account/login/", "/healthz", "/nothing-here", "/inbox/", f"/services/generic/a{'1' * 20}"]
)
@pytest.mark.django_db
def test_pages_run_nothing_inline(client: Client, path: str) -> None:
    answer = client.get(path)
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "object-src 'none'; base-uri 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    # What providers are answered has the type that their template says.
    assert answer["Content-Type"].endswith("; charset=utf-8") or path.startswith("/services/")
    assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.django_db
def test_a_browser_that_came_by_tls_stays_with_it(client: Client, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    for path in (
        "/account/login/",
        "/healthz",
        "/nothing-here",
        "/api/v1/messages",
        "/static/portal/portal.css",
    ):
        answer = client.get(path, secure=True)
        assert answer["Strict-Transport-Security"] == "max-age=31536000", path
        answer.close()


def test_the_admin_allows_only_what_its_theme_needs(client: Client, operator: User) -> None:
    client.force_login(operator)
    policy = client.get("/admin/")["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval';" in policy


@pytest.mark.parametrize("path", ["/account/login/", "/account/email/", "/", "/nothing-here"])
def test_no_page_is_traced(client: Client, alice: User, path: str) -> None:
    client.force_login(alice)
    assert client.generic("TRACE", path).status_code == 405


@pytest.mark.parametrize("path", ["/account/logout/", "/admin/logout/"])
def test_signing_out_clears_what_pages_have_stored(client: Client, operator: User, path: str) -> None:
    client.force_login(operator)
    assert "Clear-Site-Data" not in client.get("/admin/")
    assert client.post(path)["Clear-Site-Data"] == '"storage"'
    assert client.get("/inbox/").status_code == 302


def test_health(client: Client, db: None) -> None:
    assert client.get("/healthz").content == b"ok\n"
    assert client.get("/readyz").json() == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "workers": "ok",
    }


def test_nobody_signs_up(client: Client, db: None) -> None:
    client.post(
        "/account/signup/", {"email": "x@y.example", "password1": "a-long-one-9", "password2": "a-long-one-9"}
    )
    assert User.objects.count() == 0


@pytest.mark.parametrize(("change", "enters"), [({}, True), ({"is_active": False}, False)])
def test_signing_in(client: Client, alice: User, change: dict[str, bool], enters: bool) -> None:
    User.objects.filter(pk=alice.pk).update(**change)
    client.post("/account/login/", {"login": "Alice@Acme.example", "password": "correct-horse-battery"})
    assert client.get("/inbox/").status_code == (200 if enters else 302)
