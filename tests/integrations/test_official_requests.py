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
from urllib.parse import parse_qs, urlsplit

import httpx
import jsonschema
import pytest

from integrations import cases, catalog
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
                    parts = cases.requests_of(template, cases.completed(template, case))
                except RenderError:  # the case is about a message that is refused
                    continue
                found += [(case["name"], part.request) for part in parts]
    return found


def differences(document: dict[str, Any], request: RenderedRequest) -> Iterator[str]:
    """What an OpenAPI document does not allow in a request."""
    url = urlsplit(request.url)
    paths = {
        path: re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)), url.path)
        for path in document["paths"]
    }
    path, found = next(((path, match) for path, match in paths.items() if match), ("", None))
    if found is None:
        yield f"{url.path} is no path."
        return
    item = document["paths"][path]
    if f"{url.scheme}://{url.netloc}" not in [server["url"] for server in item["servers"]]:
        yield f"{url.netloc} is no server."
    operation = item.get(request.method.lower())
    if operation is None:
        yield f"{request.method} is no method of {path}."
        return
    schemes = [
        document["components"]["securitySchemes"][name] for one in operation["security"] for name in one
    ]
    if not any(request.headers["Authorization"].lower().startswith(scheme["scheme"]) for scheme in schemes):
        yield "The credentials are sent otherwise."
    for place, values in (("path", found.groupdict()), ("query", _fields(url.query))):
        known = [one for one in operation["parameters"] if one["in"] == place]
        yield from _problems(
            document,
            {
                "properties": {one["name"]: one["schema"] for one in known},
                "required": [one["name"] for one in known if one.get("required")],
            },
            values,
        )
    body = operation.get("requestBody", {"content": {}})["content"]
    kind = request.headers.get("Content-Type", "")
    if kind in body:
        yield from _problems(document, body[kind]["schema"], _fields((request.body or b"").decode()))
    elif body or request.body:
        yield f"{kind} is no type of a body."


def _fields(written: str) -> dict[str, list[str]]:
    return parse_qs(written, keep_blank_values=True, strict_parsing=bool(written))


def _problems(document: dict[str, Any], schema: dict[str, Any], written: dict[str, Any]) -> Iterator[str]:
    """What a schema does not allow in texts by name; fields that it does not have are none of the service's."""
    values = {}
    for name, value in written.items():
        kind = schema["properties"].get(name, {}).get("type")
        one = value[0] if isinstance(value, list) and len(value) == 1 and kind != "array" else value
        values[name] = int(one) if kind == "integer" and str(one).isdecimal() else one
    strict = {**schema, "additionalProperties": False, "components": document["components"]}
    for error in jsonschema.Draft4Validator(strict).iter_errors(values):
        yield f"{'/'.join(map(str, error.path))}: {error.message}"


@pytest.mark.parametrize("slug", DOCUMENTS)
def test_the_requests_are_as_in_the_openapi_document(slug: str) -> None:
    document, found = json.loads(DOCUMENTS[slug].read_text()), requests_of(slug)
    assert {request.method for _, request in found} == {"GET", "POST"}
    assert [(name, list(differences(document, request))) for name, request in found] == [
        (name, []) for name, _ in found
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"url": "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json"}, "is no path"),
        ({"url": "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"}, "AccountSid"),
        ({"method": "DELETE"}, "DELETE is no method"),
        ({"body": b"To=%2B15005550001&Text=Hi"}, "'Text' was unexpected"),
        ({"body": b"Body=Hi"}, "'To' is a required property"),
        ({"body": b"To=1&To=2"}, "is not of type 'string'"),
        ({"headers": {"Authorization": "Bearer 1"}}, "The credentials are sent otherwise."),
    ],
)
def test_a_request_that_differs_is_noticed(change: dict[str, Any], expected: str) -> None:
    document = json.loads(DOCUMENTS["twilio"].read_text())
    right = next(request for _, request in requests_of("twilio") if request.method == "POST")
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
