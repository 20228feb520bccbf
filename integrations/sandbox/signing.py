"""Signs webhook requests, so that `verify` accepts them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from integrations import bodies
from integrations.events import InboundRequest
from integrations.language.auth import basic
from integrations.language.conditions import compile_condition
from integrations.language.dates import iso_text
from integrations.language.json_web_tokens import signed
from integrations.language.placeholders import only
from integrations.language.scope import Scope
from integrations.language.sections import compile_variables
from integrations.language.shapes import compile_render
from integrations.language.signatures import bytes_of, live
from integrations.language.values import Value, is_number, text
from integrations.language.verify import NAMES
from integrations.sandbox.signing_keys import SigningKeys
from integrations.sandbox.substitution import Substitution

Scheme = Mapping[str, Value]


def sign(
    schemes: list[Scheme],
    example: InboundRequest,
    request: InboundRequest,
    values: Mapping[str, Any],
    keys: SigningKeys,
) -> InboundRequest:
    """The request with what the first scheme that applies checks, in the places where the example has it.

    `values` are the properties. Where the example has no signature, one is added only to the header or query
    field that a scheme names alone.
    """
    for scheme in schemes:
        scope = _scope(values, scheme)
        if compile_condition(scheme.get("when", {}), scope, "")(_exchange(request, values, scheme)):
            return _Signing(scheme, example, values, keys).signed(request)
    return request


def _scope(values: Mapping[str, Any], scheme: Scheme) -> Scope:
    names = [*NAMES, *scheme.get("variables", {})]
    return Scope(dict.fromkeys(values, False), {}, [], dict.fromkeys(names, True))


def _exchange(request: InboundRequest, values: Mapping[str, Any], scheme: Scheme) -> dict[str, Value]:
    """What the scheme reads of a request, with its own variables."""
    parsed = None
    with suppress(ValueError):
        parsed = bodies.parse(request.body, request.headers.get("content-type", ""), strict=False)
    found = {
        **values,
        "query": bodies.pairs(request.query),
        "headers": dict(request.headers),
        "body": request.body,
        "request": parsed,
        "method": request.method,
        "url": request.url,
        "ip": request.ip,
        "now": iso_text(datetime.now(UTC)),
    }
    for name, render in compile_variables(scheme.get("variables", {}), _scope(values, {}), ""):
        found[name] = render(found)
    return found


class _Signing:
    def __init__(
        self, scheme: Scheme, example: InboundRequest, values: Mapping[str, Any], keys: SigningKeys
    ) -> None:
        self.scheme, self.values, self.keys = scheme, values, keys
        self.example = _exchange(example, values, scheme)
        self.now = time.time()

    def signed(self, request: InboundRequest) -> InboundRequest:
        schemes: dict[str, Callable[[InboundRequest], InboundRequest]] = {
            "header": lambda one: _with_header(one, text(self.scheme["name"]), self._value("value")),
            "query": lambda one: _with_query(one, text(self.scheme["name"]), self._value("value")),
            "basic": lambda one: _with_header(
                one, "authorization", basic(self._value("username"), self._value("password"))
            ),
            "hmac": self._hmac,
            "ed25519": self._ed25519,
            "jwt": self._jwt,
            "standard-webhooks": self._standard,
            "url-and-form-hmac": self._url_and_form,
        }
        make = schemes.get(text(self.scheme.get("type")))
        return make(request) if make is not None else request

    def _read(self, source: Value, exchange: Mapping[str, Value]) -> str:
        render = compile_render(source, _scope(self.values, self.scheme), "")
        return text(next(iter(live(render(exchange))), ""))

    def _value(self, name: str) -> str:
        return self._read(self.scheme.get(name), self.values)

    def _placed(self, request: InboundRequest, source: Value, new: str) -> InboundRequest:
        """The request with a new value in the place from which `source` reads in the example."""
        old = self._read(source, self.example)
        place = only(source)
        if not old and place is not None and len(place.steps) == 2 and not place.filters:
            put = {"headers": _with_header, "query": _with_query}.get(place.root)
            return put(request, str(place.steps[1]), new) if put is not None else request
        substitution = Substitution({old: new})
        headers = {name: substitution.text(value) for name, value in request.headers.items()}
        request = replace(request, headers=headers)
        query = {name: substitution.tree(value) for name, value in bodies.pairs(request.query).items()}
        return request if query == bodies.pairs(request.query) else _at_query(request, urlencode(query, True))

    def _stamped(self, request: InboundRequest) -> InboundRequest:
        """The request with the time of the signature, written as in the example."""
        if "timestamp" not in self.scheme:
            return request
        old = self._read(self.scheme["timestamp"], self.example)
        if old and not is_number(old):
            new = iso_text(datetime.fromtimestamp(self.now, UTC))
        else:
            new = str(int(self.now * (1000 if float(old or 0) > 10**11 else 1)))
        return self._placed(request, self.scheme["timestamp"], new)

    def _over(self, request: InboundRequest) -> bytes:
        return bytes_of(self.scheme, "over", "$body$", _scope(self.values, self.scheme), "")(
            _exchange(request, self.values, self.scheme)
        )

    def _hmac(self, request: InboundRequest) -> InboundRequest:
        request = self._stamped(request)
        algorithm = text(self.scheme.get("algorithm", "sha256"))
        digest = hmac.digest(self._value("key").encode(), self._over(request), algorithm)
        spelled = {"hex": digest.hex(), "base64": _base64(digest), "base64url": _base64url(digest)}
        return self._placed(
            request, self.scheme["signature"], spelled[text(self.scheme.get("encoding", "hex"))]
        )

    def _ed25519(self, request: InboundRequest) -> InboundRequest:
        request = self._stamped(request)
        signature = self.keys.ed25519.sign(self._over(request))
        return self._placed(request, self.scheme["signature"], _base64(signature))

    def _jwt(self, request: InboundRequest) -> InboundRequest:
        source = self.scheme.get("token", "$headers.Authorization|remove_prefix:'Bearer '$")
        claims = self._read(source, self.example).split(".")[1:2]
        said = json.loads(base64.urlsafe_b64decode(claims[0] + "==")) if claims else {}
        now = int(self.now)
        said |= {"iat": now, "payload_hash": hashlib.sha256(request.body).hexdigest()}
        said |= {name: now + after for name, after in (("nbf", 0), ("exp", 300)) if name in said}
        if "url_hash" in said:
            said["url_hash"] = hashlib.sha256(request.url.encode()).hexdigest()
        algorithm = text(self.scheme.get("algorithm", "HS256"))
        key = self._value("key") if algorithm == "HS256" else self.keys.private(algorithm)
        return self._placed(request, source, signed(algorithm, key, said, {}))

    def _standard(self, request: InboundRequest) -> InboundRequest:
        identifier, stamp = f"msg_{hashlib.sha256(request.body).hexdigest()[:24]}", str(int(self.now))
        key = base64.b64decode(self._value("key").removeprefix("whsec_") + "==")
        signed = f"{identifier}.{stamp}.".encode() + request.body
        for name, value in (
            ("id", identifier),
            ("timestamp", stamp),
            ("signature", "v1," + _base64(hmac.digest(key, signed, "sha256"))),
        ):
            request = _with_header(request, f"webhook-{name}", value)
        return request

    def _url_and_form(self, request: InboundRequest) -> InboundRequest:
        fields = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        if "bodySHA256" in bodies.pairs(request.query):
            request = _with_query(request, "bodySHA256", hashlib.sha256(request.body).hexdigest())
            fields = []
        signed = request.url + "".join(name + value for name, value in sorted(set(fields)))
        digest = hmac.digest(self._value("key").encode(), signed.encode(), "sha1")
        return self._placed(
            request, self.scheme.get("signature", "$headers.X-Twilio-Signature$"), _base64(digest)
        )


def _with_header(request: InboundRequest, name: str, value: str) -> InboundRequest:
    return replace(request, headers={**request.headers, name.lower(): value})


def _with_query(request: InboundRequest, name: str, value: str) -> InboundRequest:
    return _at_query(request, urlencode({**bodies.pairs(request.query), name: value}, True))


def _at_query(request: InboundRequest, query: str) -> InboundRequest:
    return replace(request, query=query, url=f"{request.url.partition('?')[0]}?{query}")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
