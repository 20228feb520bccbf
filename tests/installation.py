"""A whole Patchbay of real processes: `serve` on SQLite, or web and worker on PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import requests

from integrations.sandbox import Sandbox
from messaging.statuses import Status
from tests.faults.proxy import Proxy
from tests.processes import ROOT, Process, free_port, wait_for

WORKER = ("worker", "--pool", "threads", "--without-heartbeat", "--without-gossip", "--without-mingle")
PASSWORD = "correct-horse-battery"


class Installation:
    """Processes with one environment and one log; the times of sending are short, its limits off."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = folder / "log"
        self.data = folder / "data"
        self.processes: list[Process] = []
        self.account = ""
        self.environment = {
            "PATCHBAY_DATA": str(self.data),
            "PATCHBAY_SECRET_KEY": "only-for-these-tests-and-long-enough-0123456789abcdef",
            "PATCHBAY_ENCRYPTION_KEYS": "VGVzdHMgb25seTogdGhpcnR5LXR3byBieXRlcyBhLi4=",
            "PATCHBAY_PUBLIC_URL": self.url,
            "PATCHBAY_USER_PER_MINUTE": "0",
            "PATCHBAY_NUMBER_PER_MINUTE": "0",
            "PATCHBAY_RETRY_SECONDS": "1",
            "PATCHBAY_BREAKER_SECONDS": "1",
            "PATCHBAY_SEND_SLOTS": "32",
            **environment,
        }

    def run(self, *command: str, **environment: str) -> Process:
        """Starts a command in the installation's environment; it ends with the test at the latest."""
        process = Process([sys.executable, *command], self.environment | environment, self.log)
        self.processes.append(process)
        return process

    def fill(self, *organizations: dict[str, Any]) -> None:
        """Makes organizations with waiting messages, as tests/faults/fill.py describes them."""
        called = [found[name] for found in organizations for name in ("url", "receiver") if name in found]
        urls = {urlsplit(url)._replace(path="", query="").geturl() for url in called}
        allowed = {*self.environment.get("PATCHBAY_ALLOWED_ORIGINS", "").split(), *urls}
        self.environment["PATCHBAY_ALLOWED_ORIGINS"] = " ".join(sorted(allowed))
        command = [sys.executable, "-m", "tests.faults.fill", json.dumps(organizations)]
        filled = Process(command, self.environment, self.log.with_name("filled"))
        self.account = filled.finish().strip()

    def query(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """What the database says to somebody else; %s stands for a parameter."""
        raise NotImplementedError

    def one(self, statement: LiteralString, *parameters: object) -> Any:
        """The single value that a query finds."""
        ((value,),) = self.query(statement, *parameters)
        return value

    def settled(self, seconds: float = 90) -> None:
        """Waits until no message waits for anything, nor is under way."""
        wait_for(
            lambda: not self.one("SELECT count(*) FROM messaging_message WHERE queue_state < 2"),
            seconds,
            lambda: self.output,
        )

    def messages(self) -> dict[str, tuple[int, int]]:
        """Status and attempts of each message, by its text."""
        rows = self.query("SELECT text, status, attempts FROM messaging_message")
        found = {text: (status, attempts) for text, status, attempts in rows}
        assert len(found) == len(rows)
        return found

    def statuses(self) -> set[str]:
        """Which statuses the outgoing messages have."""
        rows = self.query("SELECT DISTINCT status FROM messaging_message WHERE direction = 'out'")
        return {Status(status).name.lower() for (status,) in rows}

    def texts_in(self) -> list[str]:
        """The texts that were filed, in their order."""
        rows = self.query("SELECT text FROM messaging_message WHERE direction = 'in' ORDER BY id")
        return [text for (text,) in rows]

    def verdicts(self) -> list[str]:
        """What each kept webhook was taken for, in their order."""
        return [
            verdict for (verdict,) in self.query("SELECT verdict FROM messaging_webhookrequest ORDER BY id")
        ]

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")[-20_000:]

    def webhook(self, document: Any, *, service: str = "generic", url: str = "", seconds: float = 10) -> int:
        """Posts as a service does; the status of the answer, 0 if there is none."""
        try:
            answer = requests.post(
                f"{url or self.url}/services/{service}/a{self.account}", json=document, timeout=seconds
            )
        except requests.RequestException:
            return 0
        return answer.status_code

    def stop(self) -> None:
        """Kills what still runs."""
        for process in self.processes:
            process.kill()


class Embedded(Installation):
    """One process, `serve`, with SQLite."""

    def __init__(self, folder: Path, made: Path, **environment: str) -> None:
        super().__init__(folder, **environment)
        shutil.copytree(made, self.data)

    def serve(self) -> Process:
        return self.run("manage.py", "serve", "--port", str(self.port))

    def query(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.data / "patchbay.sqlite3", timeout=20)
        try:
            with connection:
                return connection.execute(statement.replace("%s", "?"), parameters).fetchall()
        finally:
            connection.close()


class Redis:
    """A Redis of the test's own, which may be stopped."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.process: Process | None = None

    def start(self) -> None:
        path = shutil.which("redis-server")
        assert path, "These tests stop Redis, and need a redis-server of their own: install it."
        command = [
            path,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self.process = Process(command, {}, self._folder / "redis.log")
        wait_for(lambda: "Ready to accept connections" in self.process.output, 60)  # type: ignore[union-attr]

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.log.unlink()
            self.process = None


def nginx(folder: Path, port: int, upstream: int, *, tls: bool = False) -> list[str]:
    """The command that starts nginx with deploy/nginx.conf; without `tls` it listens in the clear."""
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert path, "nginx is what stands in front of Patchbay: install it."
    server = (ROOT / "deploy" / "nginx.conf").read_text()
    server = server.replace("server 127.0.0.1:8000;", f"server 127.0.0.1:{upstream};")
    server = server.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    server = server.replace("listen 443 ssl;", f"listen 127.0.0.1:{port}{' ssl' if tls else ''};")
    server = server.replace("/etc/nginx/certificates", str(folder))
    if not tls:
        server = "\n".join(line for line in server.splitlines() if "ssl_" not in line)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\nerror_log stderr;\npid {folder}/pid;\nuser root;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{\naccess_log off;\n{places}\n{server}\n}}\n"
    )
    return [path, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]


def caddy(folder: Path, url: str, upstream: int) -> Process:
    """Caddy with deploy/Caddyfile, which listens at the URL; for https it signs a certificate itself."""
    path = shutil.which("caddy")
    assert path, "Caddy is what stands in front of Patchbay in containers: install it."
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    options = "admin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tlocal_certs"
    text = text.replace("{\n\tservers", f"{{\n\t{options}\n\tservers", 1)
    if subprocess.check_output([path, "version"], text=True).lstrip("v") < "2.7":
        text = text.replace("request_buffers 26MiB", "buffer_requests\n\t\tmax_buffer_size 26MiB")
    (folder / "Caddyfile").write_text(text)
    environment = {
        "PATCHBAY_PUBLIC_URL": url,
        "PATCHBAY_UPSTREAM": f"127.0.0.1:{upstream}",
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    command = [path, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    return Process(command, environment, folder / "caddy.log")


def pgbouncer(folder: Path, server: str) -> tuple[Process, int]:
    """PgBouncer, which pools transactions in front of this PostgreSQL, and its port."""
    path = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert path, "These tests need PgBouncer: install it."
    parts, port = urlsplit(server), free_port()
    who = f"user={parts.username or 'postgres'}" + (f" password={parts.password}" if parts.password else "")
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port or 5432} {who}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 4\nignore_startup_parameters = options\n"
    )
    folder.chmod(0o755)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
    process = Process([path, *user, str(configuration)], {}, folder / "pgbouncer.log")

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, 60, lambda: process.output)
    return process, port


class Separate(Installation):
    """Web and worker processes with a database and a Redis of their own; `network` leads to the database."""

    def __init__(self, folder: Path, server: str, made: str, **environment: str) -> None:
        super().__init__(folder, **environment)
        self._server, self._name = server, f"patchbay_{uuid4().hex[:12]}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{self._name}" TEMPLATE "{made}"')
        parts = urlsplit(server)
        self.database = parts._replace(path=f"/{self._name}").geturl()
        self.network = Proxy(parts.hostname or "127.0.0.1", parts.port or 5432)
        who = parts.netloc.rpartition("@")[0]
        through = f"{who}@127.0.0.1:{self.network.port}"
        self.redis = Redis(folder)
        self.environment |= {
            "DATABASE_URL": urlunsplit(
                parts._replace(netloc=through, path=f"/{self._name}", query="sslmode=disable")
            ),
            "REDIS_URL": self.redis.url,
        }

    def web(self, port: int = 0, **environment: str) -> Process:
        arguments = [
            "--interface",
            "wsgi",
            "--blocking-threads",
            "32",
            "--port",
            str(port or self.port),
            "--log-config",
            "portal/granian.json",
        ]
        return self.run("-m", "granian", *arguments, "portal.wsgi:application", **environment)

    def behind_nginx(self, **environment: str) -> Process:
        """A web server behind nginx, which listens on the installation's port: as deploy/nginx.conf says."""
        port = free_port()
        server = self.web(port, PATCHBAY_TRUSTED_PROXIES="1", **environment)
        folder = self.log.parent / "nginx"
        folder.mkdir(exist_ok=True)
        self.processes.append(Process(nginx(folder, self.port, port), {}, self.log))
        return server

    def worker(self, *through: str, **environment: str) -> Process:
        """A Celery worker; `through` is what it is started by, if not by Python itself."""
        return self.run(*through, "-m", "celery", "-A", "portal", *WORKER, **environment)

    def query(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        super().stop()
        self.network.stop()
        self.redis.stop()
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{self._name}" WITH (FORCE)')


def sign_in(url: str, email: str) -> requests.Session:
    """A browser's session of this person."""
    session = requests.Session()
    session.get(f"{url}/account/login/").raise_for_status()
    form = {"login": email, "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    answer = session.post(f"{url}/account/login/", data=form, headers={"Referer": url})
    assert "Sign out" in answer.text
    return session


def send(session: requests.Session, url: str, path: str, **form: object) -> requests.Response:
    """Sends a form of the inbox."""
    files = form.pop("files", None)
    return session.post(
        f"{url}{path}",
        data={"uuid": str(uuid4()), "csrfmiddlewaretoken": session.cookies["csrftoken"], **form},
        files=files,  # type: ignore[arg-type]
        headers={"Referer": url},
    )


def texts(sandbox: Sandbox) -> list[str]:
    """The texts of the messages that a service was asked to send."""
    return [json.loads(request.body)["content"] for request in sandbox.received]
