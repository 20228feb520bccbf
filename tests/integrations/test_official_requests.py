"""The requests of the cases are those that the services' own OpenAPI documents, and SDKs, describe.

`openapi/<slug>/` has the part of a published document that is about messages, with its licence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import httpx
import jsonschema
import pytest

from integrations import case_exchanges, cases, catalog
from integrations.events import RenderedRequest
from integrations.language.document import compile_document
from integrations.language.errors import RenderError
from integrations.language.values import load

DOCUMENTS = {file.parent.name: file for file in (Path(__file__).parent / "openapi").glob("*/openapi.json")}


def requests_of(slug: str) -> list[tuple[str, RenderedRequest]]:
    """All requests of an entry's cases, with the name of the case."""
    template = compile_document((catalog.FOLDER / slug / "template.json").read_text())
    found = []
    for file in sorted((catalog.FOLDER / slug / "cases").glob("*.json")):
        held = load(file.read_text())
        for case in held if isinstance(held, list) else [held]:
            if case["kind"] == "send":
                try:
                    parts = case_exchanges.requests_of(template, cases.completed(template, case))
                except RenderError:  # the case is about a message that is refused
                    continue
                found += [(case["name"], part.request) for part in parts]
    return found


def document_of(slug: str) -> dict[str, Any]:
    """A service's document, with what it refers to in place of each reference."""
    document: dict[str, Any] = json.loads(DOCUMENTS[slug].read_text())

    def resolved(value: Any) -> Any:
        if isinstance(value, dict) and "$ref" in value:
            kind, name = value["$ref"].removeprefix("#/components/").split("/")
            return resolved(document["components"][kind][name])
        if isinstance(value, dict):
            return {key: resolved(item) for key, item in value.items()}
        return [resolved(item) for item in value] if isinstance(value, list) else value

    return {**document, "paths": resolved(document["paths"])}


def differences(document: dict[str, Any], request: RenderedRequest) -> Iterator[str]:
    """What an OpenAPI document does not allow in a request."""
    url, _, query = request.url.partition("?")
    for path, item in document["paths"].items():
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(item["servers"][0]["url"] + path))
        found = re.fullmatch(pattern, url)
        operation = item.get(request.method.lower())
        if found and operation:
            break
    else:
        yield f"{request.method} {url} is no operation."
        return
    known = document["components"]["securitySchemes"]
    names = [name for one in operation.get("security", document.get("security")) for name in one]
    ways = tuple(known[name].get("scheme", "bearer") for name in names)
    if not request.headers["Authorization"].lower().startswith(ways):
        yield "The credentials are sent otherwise."
    for place, values in (("path", found.groupdict()), ("query", dict(parse_qsl(query)))):
        parameters = [one for one in operation["parameters"] if one["in"] == place]
        schema = {
            "properties": {one["name"]: one["schema"] for one in parameters},
            "required": [one["name"] for one in parameters if one.get("required")],
        }
        whole = {one["name"] for one in parameters if one["schema"]["type"] == "integer"}
        read = {key: int(one) if key in whole and one.isdecimal() else one for key, one in values.items()}
        yield from _problems(schema, read)
    bodies = operation.get("requestBody", {}).get("content", {})
    kind = request.headers.get("Content-Type", "")
    if kind in bodies:
        yield from _problems(
            bodies[kind]["schema"], _fields(kind, bodies[kind]["schema"], request.body or b"")
        )
    elif bodies or request.body:
        yield f"{kind!r} is no type of a body."


def _fields(kind: str, schema: dict[str, Any], body: bytes) -> Any:
    """What is in a body; in a form, what may be a list is one."""
    if kind == "application/json":
        return json.loads(body)
    lists = {name for name, one in schema["properties"].items() if one["type"] == "array"}
    found = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True)
    return {key: one if key in lists or len(one) > 1 else one[0] for key, one in found.items()}


def _problems(schema: dict[str, Any], values: Any) -> Iterator[str]:
    """What a schema does not allow; a field that it does not have is none of the service's."""
    for error in jsonschema.Draft4Validator({**schema, "additionalProperties": False}).iter_errors(values):
        yield f"{'/'.join(map(str, error.path))}: {error.message}"


@pytest.mark.parametrize("slug", DOCUMENTS)
def test_the_requests_are_as_in_the_openapi_document(slug: str) -> None:
    document, found = document_of(slug), requests_of(slug)
    assert {request.method for _, request in found} == {"GET", "POST"}
    assert [(name, list(differences(document, request))) for name, request in found] == [
        (name, []) for name, _ in found
    ]


@pytest.mark.parametrize(
    ("slug", "change", "expected"),
    [
        ("twilio", {"url": "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json"}, "is no operation"),
        ("twilio", {"url": "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"}, "AccountSid"),
        ("twilio", {"method": "DELETE"}, "is no operation"),
        ("twilio", {"body": b"To=%2B15005550001&Text=Hi"}, "'Text' was unexpected"),
        ("twilio", {"body": b"Body=Hi"}, "'To' is a required property"),
        ("twilio", {"body": b"To=1&To=2"}, "is not of type 'string'"),
        ("twilio", {"headers": {"Authorization": "Bearer 1"}}, "The credentials are sent otherwise."),
        (
            "bandwidth",
            {"body": b'{"applicationId": "1", "to": "+15005550001", "from": "1"}'},
            "is not of type 'array'",
        ),
        (
            "bandwidth",
            {"headers": {"Content-Type": "text/xml", "Authorization": "Basic eA=="}},
            "is no type of a body",
        ),
    ],
)
def test_a_request_that_differs_is_noticed(slug: str, change: dict[str, Any], expected: str) -> None:
    document = document_of(slug)
    right = next(request for _, request in requests_of(slug) if request.method == "POST")
    assert expected in "\n".join(differences(document, replace(right, **change)))


def test_the_requests_to_telnyx_are_those_of_its_sdk() -> None:
    """The SDK is generated from Telnyx's OpenAPI document; it takes no field that is not in there."""
    from telnyx import Telnyx  # takes a second, which only the process of this test should need

    made: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        made.append(request)
        return httpx.Response(200, json={"data": {}})

    sent = [request for _, request in requests_of("telnyx") if request.method == "POST"]
    # One of each kind: making a client takes long.
    found = {tuple(json.loads(request.body or b"")): request for request in sent}
    with httpx.Client(transport=httpx.MockTransport(answer)) as transport:
        for fields, request in found.items():
            values = json.loads(request.body or b"")
            client = Telnyx(
                api_key=request.headers["Authorization"].removeprefix("Bearer "), http_client=transport
            )
            client.messages.send(
                **{"from_" if name == "from" else name: values[name] for name in fields},
                idempotency_key=request.headers["Idempotency-Key"],
            )
            official = made.pop()
            assert (official.method, str(official.url)) == (request.method, request.url)
            assert json.loads(official.content) == values
            for name in ("Authorization", "Content-Type", "Idempotency-Key"):
                assert official.headers[name] == request.headers[name]
    assert {"text", "media_urls", "messaging_profile_id"} <= {name for fields in found for name in fields}
