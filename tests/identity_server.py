"""A provider of OpenID Connect on a real port: discovery, consent, tokens, keys and user info."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = ("the-client", "client-secret-9")
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class IdentityServer:
    """Says of everybody who comes what `claims` say; `asked` has the paths of all requests."""

    def __init__(self) -> None:
        self.issuer = ""
        self.asked: list[str] = []
        self.claims: dict[str, Any] = {"sub": "7", "email": "alice@acme.example", "email_verified": True}
        self.info: dict[str, Any] = {}
        self.forged: dict[str, Any] = {}  # replaces claims, also those that the server makes
        self.headers: dict[str, Any] = {"kid": "k1"}
        self.key: Any = KEY
        self.algorithm = "RS256"
        self.discovered: dict[str, Any] = {}
        self.token_answer: tuple[int, Any] | None = None
        self.codes: dict[str, dict[str, str]] = {}

    def consent(self, url: str) -> str:
        """Where the browser of somebody who consents is sent back to."""
        query = dict(parse_qsl(urlsplit(url).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def answer(self, path: str, fields: dict[str, str], authorization: str) -> tuple[int, Any]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            places = {
                "authorization_endpoint": "authorize",
                "token_endpoint": "token",
                "jwks_uri": "keys",
                "userinfo_endpoint": "info",
            }
            found = {name: f"{self.issuer}/{place}" for name, place in places.items()}
            return 200, {"issuer": self.issuer, **found, **self.discovered}
        if path == "/keys":
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
            return 200, {"keys": [{**key, "kid": "k1", "use": "sig", "alg": "RS256"}]}
        if path == "/info" and authorization == "Bearer the-access-token":
            return 200, self.info
        if path == "/token":
            return self.token_answer or self._token(fields)
        return 404, {}

    def _token(self, fields: dict[str, str]) -> tuple[int, Any]:
        begun = self.codes.pop(fields.get("code", ""), None)
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        good = (fields.get("client_id"), fields.get("client_secret")) == CLIENT
        if begun is None or not good or begun["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        own = {"iss": self.issuer, "aud": CLIENT[0], "iat": now, "exp": now + 300, "nonce": begun["nonce"]}
        claims = {**own, **self.claims, **self.forged}
        token = jwt.encode(claims, self.key, self.algorithm, headers=self.headers)
        return 200, {"access_token": "the-access-token", "token_type": "Bearer", "id_token": token}


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        if urlsplit(self.path).path != "/authorize":
            return self.do_POST()
        self.send_response(302)
        self.send_header("Location", self.server.owner.consent(self.path))
        self.end_headers()
        return None

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        fields = dict(parse_qsl(self.rfile.read(length).decode()))
        status, body = self.server.owner.answer(
            urlsplit(self.path).path, fields, self.headers.get("Authorization", "")
        )
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[IdentityServer]:
    owner = IdentityServer()
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.owner, owner.issuer = owner, f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield owner
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
