"""Whatever is written or sent, the language answers with its own errors, and soon."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from integrations import bodies, catalog
from integrations.case_http import inbound
from integrations.events import HttpResponse, InboundRequest
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError, RenderError
from integrations.language.filters import FILTERS
from integrations.language.matching import compile_match
from integrations.language.names import BOUND, SENDING
from integrations.language.scope import Scope
from integrations.language.shapes import compile_render
from integrations.language.values import dump, load
from integrations.requests import build, plan
from integrations.responses import read as read_answer
from integrations.webhooks import hints, read

# Each of these compiles several times; the share holds for any profile.
FEWER = settings(max_examples=settings.default.max_examples // 4)
SOURCES = [path.read_text() for path in sorted(catalog.FOLDER.glob("*/template.json"))]
TEMPLATES = [compile_document(source) for source in SOURCES]
NAMES = sorted(SENDING | BOUND | {"API key", "request.a", "headers.X-Id", "media[0].url", "_", "item"})
WORDS = st.text(max_size=20) | st.sampled_from(
    ["", "0", "12", "1e999999999", "+61412345678", "a\0b", "\ud800"]
)
ARGUMENTS = st.sampled_from(
    ["", ":1", ":-1", ":'a'", ":'%Y'", ":'bytes'", ":'utf-8'", ":content", ":'('", ":''''"]
)
PLACEHOLDERS = st.builds(
    lambda name, mark, filters: f"${name}{mark}{''.join(filters)}$",
    st.sampled_from(NAMES),
    st.sampled_from(["", "", "?"]),
    st.lists(st.builds("|{}{}".format, st.sampled_from(sorted(FILTERS)), ARGUMENTS), max_size=3),
)
TEXTS = WORDS | PLACEHOLDERS | st.lists(PLACEHOLDERS | WORDS, max_size=4).map("".join)
KEYS = WORDS | st.sampled_from(
    ["$first", "$when", "$value", "$each", "$as", "a?", "a??", "not", "gt", "matches"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | PLACEHOLDERS, inner, max_size=4),
    max_leaves=12,
)
METHOD_KEYS = (
    "request_method request_url request_content_type request_parameters request_headers request_query when"
)
METHOD_KEYS += (
    " variables split for_each response_format response_map response_success response_errors timeout"
)
EVENT_KEYS = (
    "event_key event_type request_method request_parameters path request_content_type request_charset when"
)
EVENT_KEYS += " request_query request_headers variables status_map continue concat verify media_auth response"
CONTENT_TYPES = st.sampled_from(
    [
        "",
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "text/xml",
        "text/html",
        "text/plain; charset=latin-1",
        "multipart/form-data; boundary=b",
    ]
)
BODIES = (
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [
            b"<a b='c'>d</a>",
            b"a=b&a=%ff&From=%2B1&To=2&Body=x&MessageSid=s",
            b"--b\r\n\r\nx\r\n--b--",
            b"<html>",
            b"{",
        ]
    )
)


def section(keys: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(keys.split()), SHAPES, max_size=6)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents near enough to a template that much of one is compiled."""
    return {
        "id": "acme",
        "name": "Acme",
        "properties": draw(st.just(["API key", {"name": "item", "secret": False}]) | SHAPES),
        "tables": {"a": {"1": "x", "*": "y"}},
        "auth": draw(st.just({"type": "Bearer", "token": "$API key$"}) | SHAPES),
        "API": {"SendMessage": {"request_url": "https://a.example/$to$", **draw(section(METHOD_KEYS))}},
        "Webhook": [{"event_type": "ignore", **draw(section(EVENT_KEYS))}],
    }


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """A template of the catalogue with some values replaced, removed or doubled."""
    document = json.loads(draw(st.sampled_from(SOURCES)))
    for _ in range(draw(st.integers(1, 4))):
        place: Any = document
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if draw(st.integers(0, 3)) == 0 or not isinstance(place[key], dict | list):
                place[key] = draw(SHAPES | st.just(place[key]).map(lambda value: [value, value]))
                break
            place = place[key]
    return document


def mended(document: Any) -> Template | None:
    """The template of a document without what is wrong in it, so that what is right runs too."""
    for _ in range(30):
        try:
            return compile_document(json.dumps(document))
        except DocumentError as error:
            assert all(problem.line and problem.column for problem in error.problems)
            for problem in error.problems:
                remove(document, problem.pointer)
    return None


def remove(document: Any, pointer: str) -> None:
    *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]] or [""]
    with contextlib.suppress(LookupError, ValueError, TypeError):
        for step in steps:
            document = document[int(step) if isinstance(document, list) else step]
        del document[int(last) if isinstance(document, list) else last]


def exercise(document: Any, message: dict[str, Any], request: InboundRequest, answer: HttpResponse) -> None:
    """Compiles, sends, reads an answer and receives; anything but the documented errors is raised."""
    note(repr(document))
    template = mended(document)
    if template is None:
        return
    values = {"API key": "k"}
    with contextlib.suppress(RenderError):
        plan(template, values, message)
    for name in template.methods:
        with contextlib.suppress(RenderError):
            build(template, name, values, message)
        assert read_answer(template, name, values, message, answer).result
    received = read(template, request, values)
    assert received.verdict in ("accepted", "ignored", "unmatched", "unverified", "unparsable")
    assert 200 <= received.answer.status <= 599
    refused = hints(template, request).refused
    assert refused is None or refused.verdict in ("unmatched", "unparsable", "ignored")


MESSAGES = st.fixed_dictionaries(
    {"from": WORDS, "to": WORDS, "text": WORDS},
    optional={
        "media": st.lists(st.fixed_dictionaries({"url": WORDS, "content": st.binary(max_size=9)}), max_size=2)
    }
    | dict.fromkeys(("domain", "country", "userid", "access_token"), JSON),
)
REQUESTS = st.builds(
    lambda method, path, query, kind, word, body: InboundRequest(
        method, path, query, {"content-type": kind, "x-id": word, "authorization": word}, body, word, word
    ),
    st.sampled_from(["GET", "POST", "PUT", "HEAD", ""]),
    st.sampled_from(["", "/status", "a/b"]) | WORDS,
    WORDS | st.sampled_from(["to=%2B1", "a=%00&a=b", "From=%2B1&To=%2B2&Body=x&MessageSid=1"]),
    CONTENT_TYPES,
    WORDS,
    BODIES,
)
ANSWERS = st.builds(
    lambda status, kind, word, body: HttpResponse(status, {"content-type": kind, "retry-after": word}, body),
    st.sampled_from([200, 204, 302, 400, 401, 404, 408, 429, 500, 504]),
    CONTENT_TYPES,
    WORDS,
    BODIES,
)


@given(SHAPES)
def test_any_json_is_a_template_or_refused(document):
    note(repr(document))
    with pytest.raises(DocumentError):
        compile_document(json.dumps(document))


@given(st.text() | st.binary())
def test_any_text_is_a_template_or_refused(source):
    with pytest.raises(DocumentError):
        compile_document(source)


@FEWER
@given(documents(), MESSAGES, REQUESTS, ANSWERS)
def test_any_document_any_message_any_request(document, message, request_, answer):
    exercise(document, message, request_, answer)


@FEWER
@given(mutants(), MESSAGES, REQUESTS, ANSWERS)
def test_any_change_of_the_catalogue(document, message, request_, answer):
    exercise(document, message, request_, answer)


@given(st.sampled_from(TEMPLATES), REQUESTS)
def test_any_request_to_the_catalogue(template, request_):
    assert read(template, request_, {}).verdict in (
        "accepted",
        "ignored",
        "unmatched",
        "unverified",
        "unparsable",
    )


@st.composite
def shapes_with_values(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    """A shape in which each name stands once, and what it is rendered with."""
    names = draw(st.lists(st.sampled_from(sorted(BOUND - {"url", "urls", "to"})), unique=True, max_size=5))
    values = {name: draw(st.text(st.characters(codec="utf-8"), min_size=1)) for name in names}
    # Ids are bound without white space at their ends.
    values |= {name: values[name].strip() or "id" for name in names if name in ("messageid", "message_uuid")}
    leaves = [draw(st.sampled_from([f"${name}$", f"<${name}$"])) for name in names]
    shape: Any = {"fixed": draw(st.sampled_from(["x", 1, True, None]))}
    for number, leaf in enumerate(leaves):
        shape = {f"k{number}": leaf, "rest": shape if draw(st.booleans()) else [shape]}
    return shape, values


@given(shapes_with_values())
def test_matching_what_was_rendered_gives_the_values(case):
    shape, values = case
    shape, values = load(dump(shape)), values
    rendered = compile_render(shape, Scope({}, {}, [], names=dict.fromkeys(BOUND, True)), "")(values)
    frames: list[dict[str, Any]] = [{}]
    assert compile_match(shape, Scope({}, {}, [], bindable=BOUND), "", elements="all")(rendered, frames) == ""
    assert frames == [values]


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"), min_size=1), min_size=1),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]),
)  # fmt: skip
def test_values_arrive_verbatim(values, kind):
    body, content_type = bodies.render(values, kind, "")
    assert bodies.parse(body, content_type) == values
    xml, _ = bodies.render({"root": values}, "text/xml", "")
    assert bodies.parse(xml, "text/xml") == {"root": values}
    method = {
        "request_url": "https://a.example/",
        "request_method": "GET",
        "request_parameters": {"t": "$text$"},
    }
    template = compile_document({"id": "acme", "name": "Acme", "API": {"SendMessage": method}})
    for value in values.values():
        url = plan(template, {}, {"text": value})[0].request.url
        assert bodies.pairs(url.partition("?")[2]) == {"t": value}


@pytest.mark.parametrize(
    "text",
    [
        "$" * 100_000,
        "$a.b" * 25_000,
        "$a|f:'" * 15_000,
        "$a|f:'''x" * 10_000,
        "$a" + " " * 99_000,
        "$a[1]" * 20_000,
    ],
    ids=["dollars", "steps", "quotes", "quotes in quotes", "spaces", "indexes"],
)
def test_long_texts_compile_in_bounded_time(text):
    began = time.thread_time()
    method = {"request_url": "https://a.example/", "request_parameters": text}
    with contextlib.suppress(DocumentError):
        compile_document({"id": "acme", "name": "Acme", "API": {"SendMessage": method}})
    assert time.thread_time() - began < 3


def received_by_catalogue() -> list[tuple[Template, dict[str, Any], InboundRequest]]:
    """The requests of the catalogue's own cases, with the properties of the case."""
    found = []
    for folder, template in zip(sorted(catalog.FOLDER.glob("*/template.json")), TEMPLATES, strict=True):
        for file in sorted(folder.parent.glob("cases/*.json")):
            cases = load(file.read_text())
            for case in cases if isinstance(cases, list) else [cases]:
                if case["kind"] == "receive":
                    request = inbound(case["request"], case.get("webhook_url", ""))
                    found.append((template, case.get("properties", {}), request))
    return found


RECEIVED = received_by_catalogue()
ODD_BYTES = st.sampled_from(
    [b"", b"\0", b"\xff", b"\xed\xa0\x80", b"%00", b"null", b"[]", b"{}", b'""', b"1e999999999", b"NaN", b"-0", b"%d%d", b"&", b"=", b"<a/>",
     b"9" * 400, b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59", b"\\ud800"]
)  # fmt: skip


@given(st.data())
def test_any_change_of_a_request_to_the_catalogue(data):
    template, properties, request = data.draw(st.sampled_from(RECEIVED))
    body = request.body
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 30)))
        body = body[:start] + data.draw(ODD_BYTES) + body[end:]
    headers = {
        name: data.draw(st.just(value) | WORDS) if data.draw(st.integers(0, 3)) == 0 else value
        for name, value in request.headers.items()
    }
    values = {
        label: data.draw(st.just(value) | JSON) if data.draw(st.integers(0, 3)) == 0 else value
        for label, value in properties.items()
    }
    changed = replace(request, body=body, headers=headers, query=data.draw(st.just(request.query) | WORDS))
    note(repr((template.id, values, changed)))
    received = read(template, changed, values)
    assert received.verdict in ("accepted", "ignored", "unmatched", "unverified", "unparsable")
    assert 200 <= received.answer.status <= 599
    refused = hints(template, changed).refused
    assert refused is None or refused.verdict in ("unmatched", "unparsable", "ignored")
