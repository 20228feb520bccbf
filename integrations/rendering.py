"""One HTTP request of a method, rendered from the values of its variables."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from integrations import bodies
from integrations.events import RenderedRequest
from integrations.language.auth import Scheme
from integrations.language.dates import iso_text
from integrations.language.document import Template
from integrations.language.errors import RenderError, child
from integrations.language.methods import Method
from integrations.language.urls import encode_pairs, merge_query
from integrations.language.values import Value, is_empty, text
from integrations.redact import MASK

MAX_BYTES = 1024 * 1024
MAX_WITH_MEDIA = 25 * 1024 * 1024


def fresh() -> dict[str, Value]:
    """The variables of a request without a message: the time, and a value that no other request has."""
    return {"now": iso_text(datetime.now(UTC)), "nonce": secrets.token_hex(16)}


def render_variables(
    method: Method, properties: Mapping[str, Any], variables: Mapping[str, Any]
) -> dict[str, Any]:
    """All that the method's shapes may read: properties, variables, and the method's own variables."""
    values = {**variables, **properties}
    for name, render in method.variables:
        values[name] = render(values)
    return values


def render_request(
    method: Method, properties: Mapping[str, Value], variables: Mapping[str, Value], *, masked: bool = False
) -> RenderedRequest:
    """The request of the method, of at most 1 MiB, or 25 MiB with files. Raises RenderError."""
    if method.needs_content and not method.is_multipart:
        variables = {**variables, "media": [_as_text(item) for item in variables.get("media") or []]}
    values = render_variables(method, properties, variables)
    place = method.pointer
    url = method.url(values)
    if method.query is not None and (query := method.query(values)) is not None:
        url = merge_query(url, encode_pairs(query, child(place, "request_query")))
    headers = render_headers(method, values, masked=masked)
    body: bytes | None = None
    parameters = method.parameters(values) if method.parameters is not None else None
    if parameters is not None and method.request_method == "GET":
        url = merge_query(url, encode_pairs(parameters, child(place, "request_parameters")))
    elif parameters is not None:
        body, kind = bodies.render(parameters, method.content_type, child(place, "request_parameters"))
        if method.is_multipart or not any(name.casefold() == "content-type" for name in headers):
            headers["Content-Type"] = kind
    most = MAX_WITH_MEDIA if method.needs_content else MAX_BYTES
    head = len(url) + sum(len(name) + len(value) for name, value in headers.items())
    if head > MAX_BYTES or head + len(body or b"") > most:
        raise RenderError(f"The request is larger than {most // MAX_BYTES} MiB.", place)
    return RenderedRequest(method.request_method, url, headers, body, method.timeout, method.reads)


def render_masked(
    template: Template, method: Method, properties: Mapping[str, Value], variables: Mapping[str, Value]
) -> RenderedRequest:
    """The request as it may be shown: rendered without the secrets."""
    secret = {item.label for item in template.properties if item.secret}
    method = replace(method, auth=tuple(tuple(map(_unsigned, group)) for group in method.auth))
    values = {label: MASK if label in secret else value for label, value in properties.items()}
    if "access_token" in values:
        values["access_token"] = MASK
    try:
        return render_request(method, values, variables, masked=True)
    except RenderError:
        return RenderedRequest(method.request_method, MASK)


def _unsigned(scheme: Scheme) -> Scheme:
    """The scheme with its signature masked, because nothing can be signed with a masked key."""
    return scheme._replace(value=lambda variables: MASK, signs=False) if scheme.signs else scheme


def _as_text(file: Mapping[str, Value]) -> dict[str, Value]:
    """A file with its bytes in Base64, for bodies that are not multipart."""
    content = file.get("content")
    return {**file, "content": base64.b64encode(content).decode() if isinstance(content, bytes) else content}


def render_headers(method: Method, values: Mapping[str, Value], *, masked: bool = False) -> dict[str, str]:
    """The method's headers, and those of the auth schemes whose conditions hold first. Raises RenderError.

    Those that are only shown, because their secrets are `masked`, may have any characters.
    """
    found: dict[str, tuple[str, str]] = {}
    for group in method.auth:
        if scheme := next((each for each in group if each.when(values)), None):
            _set(found, scheme.name, scheme.value(values), "/auth", masked)
    for name, render in method.headers:
        _set(found, name, render(values), child(child(method.pointer, "request_headers"), name), masked)
    return dict(found.values())


def _set(headers: dict[str, tuple[str, str]], name: str, value: Value, pointer: str, masked: bool) -> None:
    if value is None:
        return
    if isinstance(value, dict | list) and not is_empty(value):
        raise RenderError(f"The header {name!r} must be a text, not an object or list.", pointer)
    line = str(text(value))  # also of a number
    if any(character < " " or character == "\x7f" for character in line):
        raise RenderError(
            f"The header {name!r} must not contain line breaks or other control characters.", pointer
        )
    if not masked and not all(character <= "\xff" for character in line):
        raise RenderError(f"The header {name!r} contains a character outside ISO 8859-1.", pointer)
    headers[name.casefold()] = (name, line)
