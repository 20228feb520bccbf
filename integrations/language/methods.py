"""A method of the API section, compiled: how its request is made and its response is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

from integrations.language.api_methods import ApiMethod
from integrations.language.auth import Scheme, compile_schemes
from integrations.language.body_shapes import compile_body, compile_query
from integrations.language.conditions import Condition, compile_condition
from integrations.language.errors import child
from integrations.language.receiving import RECEIVING_KEYS, Receiving, compile_receiving
from integrations.language.response_rules import ResponseRules, compile_response_rules
from integrations.language.scope import Scope
from integrations.language.sections import (
    REQUEST_METHODS,
    Headers,
    boolean,
    check_keys,
    choice,
    compile_headers,
    compile_variables,
    media_type,
    number,
)
from integrations.language.segments import Unit
from integrations.language.shapes import Render
from integrations.language.urls import Url, compile_url
from integrations.language.values import Value, text

KEYS = {
    "request_method": "`POST` by default; `GET`, `PUT`, `PATCH`, `DELETE`",
    "request_url": "the complete URL; required",
    "request_content_type": "`json` by default; `form`, `xml`, `multipart`, or a full media type, which "
    "becomes the header: one of JSON or XML, such as `text/xml`, is written like `json` or `xml`",
    "request_parameters": "the shape of the body. With GET they are added to the query, after those of the "
    "URL and of `request_query`. With XML, a text is [the document](#rendering); with a media type that is "
    "none of these, it is sent as it is",
    "request_query": "the shape of the query, in addition to a body",
    "request_headers": "replace the document's headers, which replace `auth`",
    "when": "the method is called only if this [condition](#conditions) holds",
    "variables": "[values of your own](#variables-of-your-own)",
    "split": "[splits long texts](#long-texts-split)",
    "for_each": '`"media"`: [one request for each file](#files)',
    "response_format": "`json`, `xml`, `form`, `text`. By default as the response's content type says, else "
    "JSON if possible, else text",
    "response_map": "a shape that the body of a success must match; it binds `$messageid$`, in `Login` [the "
    "token](#login), in `UploadFile` [the results of the upload](#uploads-uploadfile)",
    "response_headers": "a shape that the headers of a success must match; it binds like `response_map`",
    "response_success": "a condition that a success must meet",
    "response_errors": "[the meaning of other responses](#what-a-response-means)",
    "timeout": "seconds, 1 to 60; 30 by default",
    "idempotent": "`true` if the provider sends a message only once if it gets it twice with the same "
    "`$message_uuid$`",
}
SPLIT = {
    "max": "the maximum size of a part; required",
    "unit": "what is counted: `characters` (the default), `bytes` of UTF-8, or SMS `segments`",
    "into": "`requests` (the default): each part is sent in its own request, as `$content$` and `$text$`. "
    "`list`: one request is sent, with all parts in `$parts$`",
}
UNITS = ["characters", "bytes", "segments"]
INTO = ["requests", "list"]
MAX_PART = 100_000
SHORTEST, LONGEST = 1, 60  # seconds until a request times out


@dataclass(frozen=True)
class Split:
    """How a long text is cut: at most `max` units in a part, sent as separate requests or as `$parts$`."""

    max: int
    unit: Unit
    into: Literal["requests", "list"]


@dataclass(frozen=True)
class Method:
    """A compiled method; `pointer` is its place in the document.

    `uses` holds the names that its shapes read, and "media.content" or the like where they read the bytes of
    files. `reads` holds those that its condition reads, too, and `header_reads` those of its headers alone.
    It `derives` if a filter, condition or signature makes something of a secret.
    """

    name: str
    pointer: str
    request_method: str
    url: Url
    content_type: str
    parameters: Render | None
    query: Render | None
    headers: Headers
    auth: tuple[tuple[Scheme, ...], ...]
    when: Condition
    variables: Headers
    split: Split | None
    uses: frozenset[str]
    reads: frozenset[str]
    header_reads: frozenset[str]
    derives: bool
    per_file: bool
    response: ResponseRules
    timeout: float
    idempotent: bool
    receiving: Receiving | None = None

    @property
    def needs_content(self) -> bool:
        """Whether the request contains the files themselves, not only their URLs."""
        return any(name.endswith(".content") for name in self.uses) or (
            "media" in self.uses and self.is_multipart
        )

    @property
    def is_multipart(self) -> bool:
        """Whether the body is multipart, in which files are bytes."""
        return self.content_type.casefold().startswith("multipart/")


def compile_method(
    declared: ApiMethod, node: Value, common: Mapping[str, Value], scope: Scope, pointer: str
) -> Method | None:
    """The compiled method, with the document's common headers and auth; problems go to the scope."""
    name = declared.name
    if not isinstance(node, Mapping):
        scope.report(pointer, f"{name} must be an object.")
        return None
    check_keys(node, KEYS | RECEIVING_KEYS if declared.receives else KEYS, scope, pointer)
    scope = replace(
        scope, names=dict.fromkeys(declared.variables, True), used=set(), private=set(), derived=set()
    )

    def at(key: str) -> str:
        return child(pointer, key)

    request_method = text(node.get("request_method", "POST")).upper()
    if request_method not in REQUEST_METHODS:
        scope.report(
            at("request_method"),
            f"The method must be GET, POST, PUT, PATCH or DELETE, not {request_method!r}.",
        )
    # A name that only `when` reads is not sent, so it does not count as used.
    deciding, heading = replace(scope, used=set()), replace(scope, used=set())
    when = compile_condition(node.get("when", {}), deciding, at("when"))
    variables = compile_variables(node.get("variables", {}), scope, at("variables"))
    if "request_url" not in node:
        scope.report(pointer, f"{name} needs 'request_url'.")
    url = compile_url(node.get("request_url", "https://missing.invalid"), scope, at("request_url"))
    headers = _common_headers(common.get("request_headers", {}), heading)
    headers += compile_headers(node.get("request_headers", {}), heading, at("request_headers"))
    auth = compile_schemes(common, heading)
    signs = any(scheme.signs for group in auth for scheme in group)
    scope.used |= heading.used
    content_type = media_type(node.get("request_content_type", "json"), scope, at("request_content_type"))
    if request_method == "GET":
        parameters = compile_query("request_parameters", node, scope, pointer)
    else:
        parameters = compile_body("request_parameters", node, content_type, scope, pointer)
    query = compile_query("request_query", node, scope, pointer)
    split = _split(node["split"], scope, at("split")) if "split" in node else None
    for_each = node.get("for_each")
    if for_each not in (None, "media"):
        scope.report(at("for_each"), f'for_each must be "media", not {text(for_each)!r}.')
    uses = frozenset(scope.used)
    per_file = for_each == "media" or (declared.per_file and not uses & {"urls", "media"})
    return Method(
        name, pointer, request_method, url, content_type, parameters, query, headers, auth, when, variables,
        split, uses, uses | deciding.used, frozenset(heading.used), bool(scope.derived) or signs,
        per_file,
        compile_response_rules(node, scope, pointer, declared),
        number(node, "timeout", 30, SHORTEST, LONGEST, scope, pointer),
        boolean(node, "idempotent", scope, at("idempotent")),
        compile_receiving(node, scope, pointer) if declared.receives else None,
    )  # fmt: skip


def _common_headers(node: Value, scope: Scope) -> Headers:
    """The document's headers; without those that name the access token where there is none, as in Login."""
    place = "/request_headers"
    if not isinstance(node, Mapping):
        return compile_headers(node, scope, place)
    headers: Headers = ()
    for name, value in node.items():
        own = replace(scope, names=scope.names | {"access_token": True}, used=set())
        found = compile_headers({name: value}, own, place)
        if "access_token" in scope.names or "access_token" not in own.used:
            headers += found
            scope.used |= own.used
    return headers


def _split(node: Value, scope: Scope, pointer: str) -> Split | None:
    if not isinstance(node, Mapping) or "max" not in node:
        scope.report(pointer, "split must be an object with 'max' and, optionally, 'unit' and 'into'.")
    if not isinstance(node, Mapping):
        return None
    check_keys(node, SPLIT, scope, pointer)
    maximum = int(number(node, "max", 1600, 1, MAX_PART, scope, pointer))
    unit = cast(Unit, choice(node, "unit", UNITS, scope, pointer))
    into = choice(node, "into", INTO, scope, pointer)
    return Split(maximum, unit, cast(Literal["requests", "list"], into))
