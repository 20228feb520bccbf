"""`serve` as a real process: first start, second start, a clean stop, and every way not to start."""

from __future__ import annotations

import socket
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.processes import Process, free_port


class Server:
    """`manage.py serve` in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.data = folder / "data"
        self.process = Process.manage(
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
            *arguments,
            environment={},
            log=folder / "log",
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("serve"))
    started.process.wait_until_ready(started.url)
    yield started
    started.process.kill()


def refused(folder: Path, *arguments: str) -> str:
    """What it says when it does not start."""
    process = Process.manage("serve", *arguments, environment={}, log=folder / "refused")
    assert process.popen.wait(30) == 1
    assert "Traceback" not in process.output
    return process.output


def test_the_operators_password_is_shown_once(server: Server) -> None:
    output = server.process.output
    assert output.count("The operator signs in as operator@patchbay.localhost with the password ") == 1
    assert f"Patchbay is ready at {server.url}/" in output


def test_what_is_in_the_data_folder_is_private(server: Server) -> None:
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    for secret in (server.data / "secrets").iterdir():
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600, secret
    assert sorted(path.name for path in (server.data / "secrets").iterdir()) == [
        "encryption_keys",
        "secret_key",
    ]


@pytest.mark.parametrize("path", ["healthz", "readyz", "account/login/", "static/portal/portal.css"])
def test_it_serves(server: Server, path: str) -> None:
    with urllib.request.urlopen(f"{server.url}/{path}") as answer:
        assert answer.status == 200


def test_the_port_is_taken(server: Server, tmp_path: Path) -> None:
    said = refused(tmp_path, "--port", str(server.port), "--data", str(tmp_path / "other"))
    assert f"Port {server.port} on 127.0.0.1 cannot be used" in said
    assert "Choose another with --port." in said


def test_the_folder_is_in_use(server: Server, tmp_path: Path) -> None:
    said = refused(tmp_path, "--port", str(free_port()), "--data", str(server.data))
    assert f"is in use by process {server.process.popen.pid}" in said


def test_the_folder_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused(tmp_path, "--data", str(tmp_path / "file" / "data"))
    assert "is not writable" in said
    assert "--data" in said


def test_a_body_over_the_largest_upload_is_refused_by_the_server(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /inbox/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_it_stops_in_good_order_and_keeps_its_data(tmp_path: Path) -> None:
    first = Server(tmp_path, "--admin-email", "Boss@Example.com", "--admin-password", "a-password-of-mine")
    first.process.wait_until_ready(first.url)
    assert first.process.stop() == 0
    assert (
        "The operator signs in as Boss@Example.com with the password from --admin-password"
        in first.process.output
    )
    assert "a-password-of-mine" not in first.process.output
    second = Server(tmp_path)
    second.process.wait_until_ready(second.url)
    assert second.process.stop() == 0
    assert second.process.output.count("The operator signs in") == 1


def test_install_makes_the_data_folder_when_the_secrets_are_given(tmp_path: Path) -> None:
    environment = {
        "PATCHBAY_DATA": str(tmp_path / "data"),
        "PATCHBAY_SECRET_KEY": "only-for-this-test-and-long-enough-0123456789abcdef",
        "PATCHBAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }
    Process.manage("install", "-v0", environment=environment, log=tmp_path / "log").finish()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "patchbay.sqlite3").exists()
