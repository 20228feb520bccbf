"""The environment, the system checks, encryption, and the files that list what to install."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from portal import encryption, environment
from tests.processes import ROOT, Process


def test_a_variable_or_a_file_that_holds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from file\n")
    monkeypatch.setenv("X_NAME_FILE", str(tmp_path / "secret"))
    assert environment.read("X_NAME") == "from file"
    monkeypatch.setenv("X_NAME", " direct ")
    assert environment.read("X_NAME") == "direct"
    assert environment.read("X_OTHER", "default") == "default"
    monkeypatch.setenv("X_OTHER_FILE", str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match=r"X_OTHER_FILE names .* cannot be read"):
        environment.read("X_OTHER")


@pytest.mark.parametrize("value", ["-1", "x", "1.5", ""])
def test_a_number_is_a_number(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("X_NUMBER", value)
    with pytest.raises(ImproperlyConfigured, match="X_NUMBER is"):
        environment.read_number("X_NUMBER", 5)


@pytest.mark.parametrize("value", ["", "10,x", "10 -60"])
def test_numbers_are_numbers(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert environment.read_numbers("X_NUMBERS", "10 60") == [10, 60]
    monkeypatch.setenv("X_NUMBERS", "1, 2 3")
    assert environment.read_numbers("X_NUMBERS", "10 60") == [1, 2, 3]
    monkeypatch.setenv("X_NUMBERS", value)
    with pytest.raises(ImproperlyConfigured, match="X_NUMBERS is"):
        environment.read_numbers("X_NUMBERS", "10 60")


def test_secrets_are_made_once_or_demanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATCHBAY_DATA", str(tmp_path / "data"))
    made = environment.secret("PATCHBAY_X", lambda: "made", required=False)
    assert (made, environment.secret("PATCHBAY_X", lambda: "again", required=False)) == ("made", "made")
    with pytest.raises(ImproperlyConfigured, match=r"PATCHBAY_Y .* must be set"):
        environment.secret("PATCHBAY_Y", lambda: "made", required=True)


def test_a_generated_secret_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_DATA", str(tmp_path))
    file = tmp_path / "secrets" / "x"
    file.parent.mkdir()
    file.write_bytes(b"\xff")
    with pytest.raises(
        ImproperlyConfigured, match=f"The secret {file} cannot be read: it is not text. It must"
    ):
        environment.secret("PATCHBAY_X", str, required=False)
    file.unlink()
    file.mkdir()
    with pytest.raises(
        ImproperlyConfigured, match=f"The secret {file} cannot be read: Is a directory. It must"
    ):
        environment.secret("PATCHBAY_X", str, required=False)


@pytest.mark.parametrize(
    ("given", "left", "folder"),
    [
        (["manage.py", "serve", "--data", "x", "--port", "1"], ["manage.py", "serve", "--port", "1"], "x"),
        (["manage.py", "serve", "--data=y"], ["manage.py", "serve"], "y"),
        (["manage.py", "demo"], ["manage.py", "demo"], "demo-data"),
    ],
)
def test_the_data_folder_is_taken_from_the_arguments(
    monkeypatch: pytest.MonkeyPatch, given: list[str], left: list[str], folder: str
) -> None:
    monkeypatch.setenv("PATCHBAY_DATA", "")
    monkeypatch.delenv("PATCHBAY_DATA")
    assert environment.take_data_folder(given) == left
    assert os.environ["PATCHBAY_DATA"] == folder


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("ENCRYPTION_KEYS", ["short"], "portal.E001"),
        ("ENCRYPTION_KEYS", [Fernet.generate_key().decode(), ""], "portal.E001"),
        ("PUBLIC_URL", "sms.example.com", "portal.E002"),
        ("PUBLIC_URL", "https://sms.example.com/path", "portal.E002"),
        ("PATCHBAY_ALLOWED_ORIGINS", ["10.0.0.5"], "portal.E003"),
        ("PATCHBAY_ALLOWED_ORIGINS", ["http://10.0.0.5/path"], "portal.E003"),
        ("SEND_SLOTS", 0, "portal.E004"),
        ("SEND_SLOTS", 513, "portal.E004"),
        ("LEASE_SECONDS", 69, "portal.W002"),
        ("SWEEP_SECONDS", 0, "portal.E005"),
        ("MESSAGE_EXPIRY", timedelta(0), "portal.E005"),
        ("BREAKER_FAILURES", 0, "portal.E005"),
        ("BREAKER_MOST_SECONDS", 29, "portal.E006"),
    ],
)
def test_each_setting_that_is_wrong_says_so(settings: Any, name: str, value: Any, found: str) -> None:
    assert [check.id for check in run_checks() if str(check.id).startswith("portal.")] == []
    setattr(settings, name, value)
    (check,) = [check for check in run_checks() if str(check.id).startswith("portal.")]
    assert check.id == found
    assert check.hint


def test_plain_http_is_warned_of_before_deployment(settings: Any) -> None:
    settings.PUBLIC_URL = "http://sms.example.com"
    assert "portal.W001" in [check.id for check in run_checks(include_deployment_checks=True)]


@pytest.mark.parametrize(
    ("environment", "counted", "warnings"),
    [
        ({"PATCHBAY_TRUSTED_PROXIES": "1"}, "203.0.113.5", []),
        ({"PATCHBAY_TRUSTED_PROXIES": "2"}, "192.0.2.9", []),
        ({}, "10.0.0.1", []),
        ({"PATCHBAY_BEHIND_PROXY": "true"}, "203.0.113.5", ["portal.W003"]),
        ({"PATCHBAY_BEHIND_PROXY": "true", "PATCHBAY_TRUSTED_PROXIES": "0"}, "10.0.0.1", ["portal.W003"]),
    ],
)
def test_the_proxies_are_counted_by_the_setting_and_its_old_name(
    tmp_path: Path, environment: dict[str, str], counted: str, warnings: list[str]
) -> None:
    program = (
        "from allauth.account.adapter import get_adapter; from django.test import RequestFactory; "
        "from django.core.checks import run_checks; "
        "forwarded = {'HTTP_X_FORWARDED_FOR': '192.0.2.9, 203.0.113.5', 'REMOTE_ADDR': '10.0.0.1'}; "
        "print(get_adapter().get_client_ip(RequestFactory().get('/', **forwarded)), "
        "[check.id for check in run_checks()])"
    )
    environment |= {"PATCHBAY_DATA": str(tmp_path / "data")}
    process = Process.manage("shell", "-v0", "-c", program, environment=environment, log=tmp_path / "log")
    assert f"{counted} {warnings}" in process.finish()


def test_https_without_a_proxy_is_warned_of_before_deployment(settings: Any) -> None:
    settings.PUBLIC_URL = "https://sms.example.com"
    for proxies, warned in ((0, True), (1, False)):
        settings.TRUSTED_PROXIES = proxies
        ids = [check.id for check in run_checks(include_deployment_checks=True)]
        assert ("portal.W004" in ids) is warned


def test_keys_rotate_and_a_lost_key_is_said(settings: Any) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    token = encryption.encrypt(b"secret")
    settings.ENCRYPTION_KEYS = [new, old]
    assert encryption.decrypt(token) == b"secret"
    fresh = encryption.encrypt(b"secret")
    settings.ENCRYPTION_KEYS = [new]
    assert encryption.decrypt(fresh) == b"secret"
    with pytest.raises(encryption.WrongKey, match="PATCHBAY_ENCRYPTION_KEYS"):
        encryption.decrypt(token)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-production.txt", "requirements-dev.txt"])
def test_the_requirements_are_those_of_the_lock(name: str) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {package["name"]: package.get("version") for package in lock["package"]}
    text = (ROOT / name).read_text()
    listed = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", text, re.MULTILINE))
    assert len(listed) > 30
    assert {package: locked[package] for package in listed} == listed
    assert "index-url" not in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [re.split(r"[\[<>=]", spec)[0] for spec in project["dependencies"]]
    assert set(wanted) <= set(listed)


def test_the_settings_page_names_every_variable() -> None:
    names = r"\b(?:PATCHBAY_[A-Z_]+|DATABASE_URL|REDIS_URL|EMAIL_[A-Z_]+)\b"
    sources = (
        "portal/settings.py",
        "portal/environment.py",
        "portal/identities/settings.py",
        "messaging/management/commands/demo.py",
    )
    read = set(re.findall(rf'"({names})"', "".join((ROOT / source).read_text() for source in sources)))
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    described = set(re.findall(rf"^\| `({names})`", page, re.MULTILINE))
    assert described == read


def test_nothing_is_left_to_say_about_a_production_installation(tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": "postgresql://patchbay@localhost/patchbay",
        "REDIS_URL": "redis://localhost",
        "PATCHBAY_SECRET_KEY": "fourteen-random-words-would-be-better-than-this-0123456789",
        "PATCHBAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PATCHBAY_PUBLIC_URL": "https://sms.example.com",
        "PATCHBAY_TRUSTED_PROXIES": "1",
    }
    arguments = ["check", "--deploy", "--fail-level", "WARNING"]
    assert "no issues" in Process.manage(*arguments, environment=environment, log=tmp_path / "log").finish()


@pytest.mark.parametrize(
    ("environment", "prefix", "subdomains", "days"),
    [
        ({"PATCHBAY_PUBLIC_URL": "http://localhost:8000"}, "", False, 14),
        ({"PATCHBAY_PUBLIC_URL": "https://sms.example.com"}, "__Host-", False, 14),
        (
            {
                "PATCHBAY_PUBLIC_URL": "https://sms.example.com",
                "PATCHBAY_HSTS_SUBDOMAINS": "true",
                "PATCHBAY_SESSION_HOURS": "24",
            },
            "__Host-",
            True,
            1,
        ),
    ],
)
def test_what_browsers_are_told_about_this_host(
    tmp_path: Path, environment: dict[str, str], prefix: str, subdomains: bool, days: int
) -> None:
    environment = {**environment, "PATCHBAY_DATA": str(tmp_path)}
    program = (
        "from portal import settings; print([settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, "
        "settings.SECURE_HSTS_INCLUDE_SUBDOMAINS, settings.ACCOUNT_SESSION_COOKIE_AGE.days])"
    )
    said = Process([sys.executable, "-c", program], environment, tmp_path / "log").finish()
    assert said.strip() == str([f"{prefix}sessionid", f"{prefix}csrftoken", subdomains, days])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "status"),
    [("/account/login/", 301), ("/api/v1/messages", 301), ("/healthz", 200), ("/services/x/a1", 404)],
)
def test_pages_without_tls_are_redirected_and_webhooks_are_read(
    client: Client, settings: Any, path: str, status: int
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_SSL_HOST = True, "sms.example.com"
    answer = client.get(path)
    assert answer.status_code == status
    if status == 301:
        assert answer["Location"] == f"https://sms.example.com{path}"
