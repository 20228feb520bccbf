"""The HTTP requests that send a message."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from integrations import bodies
from integrations.events import RenderedRequest
from integrations.language.api_methods import SEND_FILE, SEND_MESSAGE
from integrations.language.auth import Scheme
from integrations.language.budget import TooMuchWork, budget
from integrations.language.data_filters import iso_text
from integrations.language.document import Template
from integrations.language.errors import RenderError, child
from integrations.language.methods import Method
from integrations.language.segments import split_text
from integrations.language.urls import encode_pairs, merge_query
from integrations.language.values import Value, cleaned, is_empty, text
from integrations.redact import MASK

MAX_BYTES = 1024 * 1024
MAX_WITH_MEDIA = 25 * 1024 * 1024
MAX_REQUESTS = 255
# What rendering a message may cost, in units of the language's budget, besides half of its files' bytes.
MAX_WORK = 1_000_000


@dataclass(frozen=True)
class Part:
    """One request of a message, rendered with `variables`; `number` counts from 1.

    A request that contains something made of a secret, such as a digest, is `masked` as well: rendered
    without the secret, because what was made of it cannot be found by its value.
    """

    number: int
    method: str
    request: RenderedRequest
    variables: Mapping[str, Any]
    masked: RenderedRequest | None = None

    @property
    def shown(self) -> RenderedRequest:
        """The request for traces, where its secrets are still masked by value."""
        return self.masked or self.request


def plan(template: Template, properties: Mapping[str, Any], message: Mapping[str, Any]) -> list[Part]:
    """The requests that send a message, in order. Raises RenderError if the template cannot send it.

    `message` has `from`, `to`, `text`, `media` (a list of objects with `url`, and with `content` in bytes if
    `Method.needs_content`) and any other variables that are known; the rest are derived. A request is at most
    1 MiB, or 25 MiB with files, and there are at most 255; U+0000 and unpaired surrogates become U+FFFD.
    """
    with _bounded(message):
        return _planned(template, cleaned(properties), cleaned(message))


@contextmanager
def _bounded(message: Mapping[str, Any]) -> Iterator[None]:
    """Has what takes too much work raise RenderError."""
    files = [item.get("content") for item in message.get("media") or [] if isinstance(item, Mapping)]
    size = sum(len(content) for content in files if isinstance(content, str | bytes))
    try:
        with budget(MAX_WORK + size // 2):
            yield
    except (TooMuchWork, RecursionError):
        reason = "The request takes too much work: its shapes make too much of the values."
        raise RenderError(reason) from None


def _planned(template: Template, properties: Mapping[str, Value], message: dict[str, Value]) -> list[Part]:
    steps = _steps(template, properties, _derived(message))
    if len(steps) > MAX_REQUESTS:
        raise RenderError(f"The message would take {len(steps)} requests; at most {MAX_REQUESTS} are sent.")
    parts = []
    for number, (method, variables) in enumerate(steps, 1):
        numbered = {
            "nonce": secrets.token_hex(16),
            **variables,
            "part_no": number,
            "first_part": number == 1,
            "last_part": number == len(steps),
        }
        masked = _masked(template, method, properties, numbered) if method.derives else None
        request = _request(method, properties, numbered)
        parts.append(Part(number, method.name, request, numbered, masked))
    return parts


def build(
    template: Template, method_name: str, properties: Mapping[str, Any], variables: Mapping[str, Any]
) -> RenderedRequest:
    """The request of one method, with exactly these variables. Raises RenderError."""
    method = template.methods.get(method_name)
    if method is None:
        raise RenderError(f"{template.name} has no method {method_name}.", "/API")
    with _bounded(variables):
        known = {**fresh(), **cleaned(variables)}
        return _request(method, cleaned(properties), known)


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


def _derived(message: dict[str, Value]) -> dict[str, Value]:
    files = message.get("media")
    if files is None:
        urls = message.get("urls") or ([message["url"]] if message.get("url") else [])
        files = [{"url": url} for url in urls]
    urls = [item.get("url") for item in files]
    body = message.get("text")
    if body is None:
        body = "" if urls else message.get("content")
    body = text(body)
    return {
        "now": iso_text(datetime.now(UTC)),
        **message,
        "text": body,
        "content": body,
        "media": files,
        "urls": urls,
        "url": urls[0] if urls else None,
        "text_with_media": "\n".join([*([body] if body else []), *map(text, urls)]),
        "parts": [body],
    }


def _steps(
    template: Template, properties: Mapping[str, Value], variables: dict[str, Value]
) -> list[tuple[Method, dict[str, Value]]]:
    send_file = template.methods.get(SEND_FILE.name)
    if variables["media"] and send_file is not None and _applies(send_file, properties, variables):
        return _file_steps(template, send_file, properties, variables)
    send = template.methods.get(SEND_MESSAGE.name)
    if send is None:
        raise RenderError(
            f"{template.name} cannot send texts: its template has no {SEND_MESSAGE.name}.", "/API"
        )
    if variables["media"]:
        variables = {**variables, "content": variables["text_with_media"]}
        if send.per_file:
            return [
                step
                for _, own in _per_file(send, variables, variables["text"])
                for step in _text_steps(send, properties, {**own, "content": own["text_with_media"]})
            ]
    return _text_steps(send, properties, variables)


def _text_steps(
    method: Method, properties: Mapping[str, Value], variables: dict[str, Value]
) -> list[tuple[Method, dict[str, Value]]]:
    """One request of the method, or one for each part of a long text."""
    body = variables["content"]
    if not _applies(method, properties, variables):
        reason = "The provider does not accept this message: 'when' does not hold."
        raise RenderError(reason, child(method.pointer, "when"))
    if method.split is None:
        return [(method, {**variables, "parts": [body]})]
    parts = split_text(body, method.split.max, method.split.unit)
    if method.split.into == "list":
        return [(method, {**variables, "parts": parts})]
    return [(method, {**variables, "text": part, "content": part, "parts": parts}) for part in parts]


def _file_steps(
    template: Template, method: Method, properties: Mapping[str, Value], variables: dict[str, Value]
) -> list[tuple[Method, dict[str, Value]]]:
    """The requests for files; a text that they cannot carry is sent first, the rest of a long one last."""
    body, split = variables["text"], method.split
    steps: list[tuple[Method, dict[str, Value]]] = []
    alone = {**variables, "media": [], "urls": [], "url": None}
    parts = [body] if split is None else split_text(body, split.max, split.unit)
    rest = parts[1:] if split is not None and split.into == "requests" else []
    send = template.methods.get(SEND_MESSAGE.name)
    takes_text = bool(method.uses & {"text", "text_with_media", "parts"})
    if body and (rest or not takes_text) and send is None:
        reason = (
            f"The text cannot be sent with a file, and there is no {SEND_MESSAGE.name} to send it separately."
        )
        raise RenderError(reason, method.pointer)
    if body and not takes_text and send is not None:
        steps += _text_steps(send, properties, {**alone, "text_with_media": body})
    body = parts[0] if rest else body
    if not method.per_file:
        steps.append((method, {**variables, "text": body, "content": variables["url"], "parts": parts}))
    else:
        steps += _per_file(method, variables, body)
    if takes_text and send is not None:
        steps += [
            (send, {**alone, "text": part, "content": part, "text_with_media": part, "parts": parts})
            for part in rest
        ]
    return steps


def _per_file(
    method: Method, variables: dict[str, Value], body: str
) -> list[tuple[Method, dict[str, Value]]]:
    steps = []
    for index, item in enumerate(variables["media"]):
        caption, url = (body if index == 0 else ""), item.get("url")
        own = {
            "media": [item],
            "urls": [url],
            "url": url,
            "content": url,
            "text": caption,
            "parts": [caption],
        }
        together = "\n".join(filter(None, [caption, text(url)]))
        steps.append((method, {**variables, **own, "text_with_media": together}))
    return steps


def _applies(method: Method, properties: Mapping[str, Value], variables: Mapping[str, Value]) -> bool:
    return method.when({**variables, **properties})


def _request(
    method: Method, properties: Mapping[str, Value], variables: Mapping[str, Value], *, masked: bool = False
) -> RenderedRequest:
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


def _masked(
    template: Template, method: Method, properties: Mapping[str, Value], variables: Mapping[str, Value]
) -> RenderedRequest:
    secret = {item.label for item in template.properties if item.secret}
    method = replace(method, auth=tuple(tuple(map(_unsigned, group)) for group in method.auth))
    values = {label: MASK if label in secret else value for label, value in properties.items()}
    if "access_token" in values:
        values["access_token"] = MASK
    try:
        return _request(method, values, variables, masked=True)
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
