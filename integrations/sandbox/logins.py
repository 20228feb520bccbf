"""Who may call the provider's API: the tokens that its login has issued, and those that the portal signs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from integrations import token_requests
from integrations.events import HttpResponse, RenderedRequest
from integrations.language.api_methods import LOGIN
from integrations.language.json_web_tokens import claims_of
from integrations.language.placeholders import only
from integrations.language.values import find, text
from integrations.redact import Redactor
from integrations.sandbox.api_requests import ACCESS_TOKEN
from integrations.sandbox.catalog_entry import HostedEntry
from integrations.sandbox.substitution import Substitution


class Logins:
    """The newest token of the method Login is valid until it expires, and no other."""

    def __init__(self, hosted: HostedEntry) -> None:
        self._hosted = hosted
        self._token, self._ends = "", 0.0

    def issued(self, response: HttpResponse) -> None:
        """Notes the token in a response to a login."""
        hosted = self._hosted
        found = token_requests.read(hosted.template, hosted.values, {}, response, Redactor(()))
        seconds = found.lifetime.total_seconds() if found.lifetime else float("inf")
        self._token, self._ends = found.access_token, time.monotonic() + seconds

    def expire(self) -> None:
        """Ends the newest token."""
        self._token = ""

    def known(self, request: RenderedRequest) -> RenderedRequest:
        """The request with the token that all requests have in the examples, if its own is valid."""
        if LOGIN.name not in self._hosted.template.methods:
            return request
        new = {ACCESS_TOKEN: "no-token-of-a-login"}
        if self._token and time.monotonic() < self._ends:
            new[self._token] = ACCESS_TOKEN
        substitution = Substitution(new)
        headers = {name: substitution.text(value) for name, value in request.headers.items()}
        body, _ = substitution.body(request.body or b"", request.headers.get("content-type", ""))
        return replace(request, url=substitution.text(request.url), headers=headers, body=body)

    def signed(self, request: RenderedRequest, method: str) -> bool:
        """Whether the portal's key has signed the request of a method, if the template asks for it."""
        made_by = self._hosted.template.methods[method]
        if any(name.casefold() == "authorization" for name, _ in made_by.headers):
            return True  # its own header replaces that of the scheme
        auth = self._hosted.document.get("auth", [])
        schemes = auth if isinstance(auth, list) else [auth]
        holds = (scheme.when(self._hosted.values) for group in made_by.auth[-1:] for scheme in group)
        used: dict[str, Any] = next(
            (scheme for scheme, applies in zip(schemes, holds, strict=False) if applies), {}
        )
        token = text(find(request.headers, "authorization")).removeprefix("Bearer ")
        return used.get("type") != "JWT" or self._accepts(token, used)

    def _accepts(self, token: str, scheme: Mapping[str, str]) -> bool:
        algorithm, key = scheme["algorithm"], only(scheme["key"])
        if algorithm != "HS256":
            checked = self._hosted.signing_keys.public(algorithm)
        else:
            checked = text(self._hosted.values.get(key.root)) if key else scheme["key"]
        try:
            said = claims_of(token, algorithm, checked)
        except ValueError:
            return False
        return said is not None and float(said["exp"]) > time.time()
