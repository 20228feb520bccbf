"""What every answer carries."""

from __future__ import annotations

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
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_admin_allows_only_what_its_theme_needs(client: Client, operator: User) -> None:
    client.force_login(operator)
    policy = client.get("/admin/")["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval';" in policy


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
