"""A service that gives access by OAuth 2.0, on a real port: consent page, token endpoint, and an API to use it on."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from django.utils import timezone

from integrations import holds, properties, setup
from integrations.models import AccessToken, Integration, Template
from portal.models import Organization

CLIENT = ("the-client", "client-secret-7")
PERSON = ("resource-owner", "owner-password-7")
VALUES = {"Client ID": CLIENT[0], "Client Secret": CLIENT[1]}


class OAuthServer:
    """What it was asked is in `tokens` (form fields of token requests) and `calls` (path, bearer, body)."""

    def __init__(self) -> None:
        self.origin = ""
        self.tokens: list[dict[str, str]] = []
        self.authorizations: list[str] = []
        self.calls: list[tuple[str, str, Any]] = []
        self.good: set[str] = set()  # access tokens
        self.refresh: set[str] = set()  # each is good once
        self.codes: dict[str, dict[str, str]] = {}
        self.life: int | None = 3600
        self.gives_refresh = True
        self.delay = 0.0
        self.failure: tuple[int, Any] | None = None  # what the token endpoint answers instead
        self.lock = threading.Lock()
        self._count = 0

    def new(self, kind: str) -> str:
        with self.lock:
            self._count += 1
            return f"{kind}-{self._count}-" + "x" * 20

    def expire(self) -> None:
        """All access tokens end, as their time was over."""
        with self.lock:
            self.good.clear()

    def end_sessions(self) -> None:
        """Refresh tokens end too."""
        with self.lock:
            self.good.clear()
            self.refresh.clear()

    def consent(self, url: str) -> str:
        """What the browser of an administrator who consents is sent back to."""
        query = dict(parse_qsl(urlsplit(url).query))
        code = self.new("code")
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, fields: dict[str, str], authorization: str) -> tuple[int, Any]:
        with self.lock:
            self.tokens.append(fields)
            self.authorizations.append(authorization)
        time.sleep(self.delay)
        if self.failure is not None:
            return self.failure
        basic = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
        client = (fields.get("client_id"), fields.get("client_secret"))
        if authorization != basic and client != CLIENT:
            return 401, {"error": "invalid_client", "error_description": f"not {client[1]}"}
        if not self._granted(fields):
            return 400, {"error": "invalid_grant", "error_description": "It has ended."}
        access, refresh = self.new("access"), self.new("refresh")
        answer = {"access_token": access, "token_type": "bearer"}
        with self.lock:
            self.good.add(access)
            if self.gives_refresh and fields["grant_type"] != "client_credentials":
                self.refresh.add(refresh)
                answer["refresh_token"] = refresh
        return 200, answer | ({} if self.life is None else {"expires_in": self.life})

    def _granted(self, fields: dict[str, str]) -> bool:
        kind = fields["grant_type"]
        if kind == "authorization_code":
            begun = self.codes.pop(fields["code"], None)
            digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            return begun is not None and (begun["code_challenge"], begun["code_challenge_method"]) == (
                challenge,
                "S256",
            )
        if kind == "refresh_token":
            with self.lock:
                known = fields["refresh_token"] in self.refresh
                self.refresh.discard(fields["refresh_token"])
            return known
        if kind == "password":
            return (fields["username"], fields["password"]) == PERSON
        return kind == "client_credentials"

    def call(self, path: str, bearer: str, body: Any) -> tuple[int, Any]:
        with self.lock:
            self.calls.append((path, bearer, body))
            number = len(self.calls)
            good = bearer in self.good
        if not good:
            return 401, {"errors": [{"message": f"token {bearer} expired"}]}
        return 200, {"id": f"m{number}", "name": "Acme Dental"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        owner: OAuthServer = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        authorization = self.headers.get("Authorization", "")
        if self.path == "/token":
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(*owner.token(fields, authorization))
        else:
            bearer = authorization.removeprefix("Bearer ")
            self._answer(*owner.call(self.path, bearer, json.loads(body) if body else None))

    def do_GET(self) -> None:
        if not self.path.startswith("/authorize"):
            self.do_POST()
            return
        self.send_response(302)  # whoever comes here consents
        self.send_header("Location", self.server.owner.consent(self.path))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, status: int, document: Any) -> None:
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[OAuthServer]:
    """The service while it listens."""
    owner = OAuthServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.owner = owner  # type: ignore[attr-defined]
    owner.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield owner
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def document(origin: str, flow: str, **auth: Any) -> dict[str, Any]:
    """A template of the service."""
    return {
        "id": "oauth",
        "name": "Consenting SMS",
        "properties": [
            {"name": "Client ID", "secret": False},
            "Client Secret",
            {"name": "Username", "secret": False, "required": False},
            {"name": "Password", "required": False},
        ],
        "auth": {
            "type": "OAuth2",
            "client_id": "$Client ID$",
            "client_secret": "$Client Secret$",
            "flow_type": flow,
            "authorization_endpoint": f"{origin}/authorize?brand=1",
            "token_endpoint": f"{origin}/token",
            **({"token_parameters": {"username": "$Username$", "password": "$Password$"}} if flow == "password" else {}),
            **auth,
        },
        "API": {
            "SendMessage": {
                "request_url": f"{origin}/sms",
                "request_parameters": {"to": "$to$", "text": "$content$"},
                "response_map": {"id": "$messageid$"},
            },
            "CheckCredentials": {
                "request_method": "GET",
                "request_url": f"{origin}/me",
                "response_errors": [
                    {"when": {"$status$": 401}, "result": "failed", "text": "The service knows no such client."}
                ],
            },
        },
    }  # fmt: skip


def make(server: OAuthServer, organization: Organization, flow: str, **auth: Any) -> Integration:
    """The service set up for an organization, with a template of its account."""
    template = Template(account=organization.account)
    template.revise(json.dumps(document(server.origin, flow, **auth)))
    integration = Integration.objects.create(organization=organization, template=template)
    save(
        integration,
        VALUES | (dict(zip(("Username", "Password"), PERSON, strict=True)) if flow == "password" else {}),
    )
    return Integration.objects.ready().get(pk=integration.pk)


def save(integration: Integration, values: dict[str, str]) -> None:
    """An administrator enters the values, and knows where they go."""
    holds.enter(integration, values)
    setup.save(integration, setup.Entered(values, {}))


def access_token(integration: Integration) -> str | None:
    """The token that requests are sent with."""
    found: str | None = properties.values_of([integration])[integration.pk].get("access_token")
    return found


def expire(integration: Integration) -> None:
    """The time of the token is over, as Patchbay sees it."""
    past = timezone.now() - timedelta(seconds=1)
    AccessToken.objects.filter(integration=integration).update(expires_at=past, renew_at=past)
