"""The JSON Schema and the compiler hold together: what one refuses by structure, the other does."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from integrations import catalog
from integrations.language import auth, methods, names, oauth, properties, verify, webhook_events
from integrations.language.api_methods import METHODS
from integrations.language.document import compile_document
from integrations.language.errors import DocumentError
from integrations.language.filters import FILTERS
from integrations.language.json_schema import PLACES, schema
from tests.docs.examples import examples, whole
from tests.processes import ROOT

FILES = sorted(
    [
        *catalog.FOLDER.glob("*/template.json"),
        *ROOT.glob("integrations/sandbox/examples/*/template.json"),
        *ROOT.glob("tests/authors/*/template.json"),
    ]
)
PAGE = ROOT / "docs/reference/template-language.md"
ROWS = json.loads((Path(__file__).parent / "documents.json").read_text())
METHOD = {"request_url": "https://api.example.com/"}
EVENT = {"event_type": "message", "request_parameters": {"from": "$from$", "text": "$content$"}}
STATUS = {"event_type": "messageStatus", "request_parameters": {"id": "$messageid$", "s": "$status$"}}
# Reasons that are no matter of structure: names, filters, and what fits together only by what it says. Any other
# refusal of the compiler must be one of the schema, too.
MEANING = re.compile(
    r"There is no (?:variable or property|filter|table) |The variable |The filter |The first argument of "
    r"|.*must bind |.*is not a known character set|In the webhook section, the secret "
    r"|.*begins a URL, so it must |The text is no XML|.*may not choose the host|.* is secret and may not "
    r"|Files are fetched with credentials only|.*has a meaning only in matching|.*cannot name the element"
    r"|XML can have only one root|.*cannot be the root element|.*cannot be the name of "
    r"|Two placeholders need |There are two properties |.*is the name of a variable|.*is not a valid label"
    r"|.* must be one of: |.* must be a complete URL|The regular expression |.*can have at most "
    r"|Keys (?:cannot contain|hold no) placeholders|.*must not have a fragment|Put a slash |.*cannot be bound"
    r"|'request_path' needs |.*both obtain an access token|OAuth2 is described twice|.*to compare with|.*may stand only in "
)
VALUES: list[Any] = [
    7, -1, 1.5, True, None, "x", "/x", "a/b", "post", "$x$", [], ["x"], ["a/b"], [{}], {}, {"x": 1}, {"type": "none"},
    {"event_type": "message"}, {"default": "$x$"}, {"$first": []}, {"$when": {"$x$": 1}, "$value": "x"},
]  # fmt: skip


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(schema())


@cache
def documents() -> list[Any]:
    """Documents that are right, with every key of the language: those that are sold, and those of the reference."""
    found = [json.loads(path.read_text()) for path in FILES]
    for example in examples(PAGE):
        if example.words in ("template", "part"):
            part = json.loads(example.source)
            found.append(part if example.words == "template" else whole(part))
    return found


def plain(**changes: Any) -> dict[str, Any]:
    return {"id": "acme", "name": "Acme", "API": {"SendMessage": METHOD}, **changes}


def refused(source: Any) -> list[str]:
    """The reasons for which the compiler refuses a document."""
    try:
        compile_document(json.dumps(source))
    except DocumentError as error:
        return [problem.reason for problem in error.problems if problem.severity == "error"]
    return []


def assert_both_agree(source: Any) -> None:
    reasons = refused(source)
    wrong = next(validator().iter_errors(source), None)
    if wrong is not None:
        assert reasons, f"Only the schema refuses it, at {list(wrong.absolute_path)}: {wrong.message}"
    else:
        assert [reason for reason in reasons if not MEANING.match(reason)] == []


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(schema())


def test_right_documents_are_valid() -> None:
    for source in documents():
        assert list(validator().iter_errors(source)) == [], source["id"]


def test_both_agree_on_the_table_of_problems() -> None:
    for row in ROWS:
        method = {**METHOD, **row.get("method", {})}
        assert_both_agree({**plain(API={"SendMessage": method}), **row.get("change", {})})


@pytest.mark.parametrize(
    "source",
    [
        {"name": "Acme", "API": {}},
        {"id": "acme", "name": "Acme"},
        plain(id="a"),
        plain(name=["Acme"]),
        plain(description={"en": "x"}),
        plain(properties={"API key": "x"}),
        plain(properties=[{"label": "API key"}]),
        plain(properties=[{"name": "Region", "type": "choice"}]),
        plain(properties=[{"name": "Region", "type": "chioce"}]),
        plain(properties=[{"name": "Flash", "type": "boolean", "default": "maybe"}]),
        plain(auth={"type": "Bearer"}),
        plain(auth={"type": "Bearer", "token": "x", "username": "y"}),
        plain(auth=[{"type": "bearer", "token": "x"}]),
        plain(auth={"type": "Header", "name": "Host", "value": "x"}),
        plain(OAuth2={"client_id": "x", "token_endpoint": "https://a.example"}),
        plain(
            OAuth2={"flow_type": {"default": "1"}, "client_id": "x", "token_endpoint": "https://a.example"}
        ),
        plain(request_headers={"X-List": ["a"]}),
        plain(tables={"errors": "x"}),
        plain(limits={"per_second": "10"}),
        plain(limits={"per_minute": 10}),
        plain(API={"SendMesage": METHOD}),
        plain(API={"SendMessage": {}}),
        plain(API={"SendMessage": {**METHOD, "interval": 30}}),
        plain(API={"SendMessage": {**METHOD, "timeout": 61}}),
        plain(API={"SendMessage": {**METHOD, "request_method": "HEAD"}}),
        plain(API={"SendMessage": {**METHOD, "request_query": {"a": {"b": 1}}}}),
        plain(API={"SendMessage": {**METHOD, "request_method": "get", "request_parameters": ["a"]}}),
        plain(API={"SendMessage": {**METHOD, "request_parameters": "a text"}}),
        plain(API={"SendMessage": {**METHOD, "request_parameters": {"a": {"$when": {}, "value": 1}}}}),
        plain(API={"SendMessage": {**METHOD, "when": {"to": "1"}}}),
        plain(API={"SendMessage": {**METHOD, "when": {"$to$": {"less": 1}}}}),
        plain(API={"SendMessage": {**METHOD, "response_map": {"$when": {"$to$": 1}, "$value": 1}}}),
        plain(API={"SendMessage": {**METHOD, "response_errors": [{"result": "later"}]}}),
        plain(API={"ReceiveMessages": METHOD}),
        plain(API={"ReceiveMessages": {**METHOD, "events": [{**EVENT, "path": "a"}]}}),
        plain(Webhook={"event_type": "mesage"}),
        plain(Webhook=[EVENT, {"request_parameters": {}}]),
        plain(Webhook={"a": EVENT, "b": {"request_parameters": {}}}),
        plain(Webhook={"events": [EVENT], "evnets": []}),
        plain(Webhook=STATUS),
        plain(Webhook={**STATUS, "status_map": {"1": "done"}}),
        plain(Webhook={**EVENT, "status_map": {"1": "sent"}}),
        plain(Webhook={**EVENT, "concat": {"id": "1", "part": "2"}}),
        plain(Webhook={**EVENT, "verify": {"type": "hmac", "key": "k"}}),
        plain(Webhook={**EVENT, "verify": {"type": "hamc", "key": "k"}}),
        plain(Webhook={**EVENT, "verify": {"type": "header", "name": ["X"], "value": "k"}}),
        plain(Webhook={**EVENT, "response": {"status": 99}}),
        plain(Webhook={**EVENT, "response": {"ignored": {}}}),
    ],
    ids=json.dumps,
)
def test_both_refuse(source: Any) -> None:
    assert refused(source)
    assert not validator().is_valid(source)


@pytest.mark.parametrize(
    "source",
    [
        plain(**{"$schema": "https://sms.example.com/schemas/template.json"}),
        plain(x_note="An unknown key of the document is only warned of."),
        plain(API={"SendMessage": {**METHOD, "request_path": "/sms"}}),
        plain(
            properties=[{"name": "Server", "type": "url"}],
            API={"SendMessage": {"request_path": "/sms", "request_url": None}},
        ),
        plain(Webhook={"message": EVENT, "other": {"event_type": "ignore"}}),
        plain(Webhook={"events": {"a": {"event_key": 1}, "b": EVENT}, **EVENT}),
        plain(
            Webhook={"events": [{}, STATUS], "event_type": "message", "status_map": {"1": "sent"}, **EVENT}
        ),
        plain(API={"SendMessage": {**METHOD, "request_method": "Patch", "request_content_type": "FORM"}}),
        {"id": "acme", "name": "Acme", "Webhook": EVENT, "auth": "Only methods read this."},
    ],
    ids=json.dumps,
)
def test_both_accept(source: Any) -> None:
    assert refused(source) == []
    assert list(validator().iter_errors(source)) == []


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all that is inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inner:
        yield (*path, step)
        yield from paths(item, (*path, step))


@given(st.data())
def test_both_agree_on_what_anybody_makes_of_a_document(data: st.DataObject) -> None:
    source = copy.deepcopy(data.draw(st.sampled_from(documents())))
    for _ in range(data.draw(st.sampled_from([1, 1, 2]))):
        *outer, step = data.draw(st.sampled_from(list(paths(source))))
        inside = source
        for each in outer:
            inside = inside[each]
        change = data.draw(st.sampled_from(["remove", "rename", "retype", "retype"]))
        if change == "retype":
            inside[step] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
        elif change == "rename" and isinstance(inside, dict):
            inside[f"{step}x"] = inside.pop(step)
        else:
            del inside[step]
    assert_both_agree(source)


def test_every_place_has_variables_with_help() -> None:
    extension = schema()["x-patchbay"]
    used = set(re.findall(r'"x-patchbay": \{"place": "(\w+)"\}', json.dumps(schema())))
    assert used == set(PLACES)
    for place in PLACES.values():
        assert set(place["reads"]) | set(place.get("binds", ())) <= set(extension["variables"])
    for method in extension["methods"].values():
        assert {*method["reads"], *(method["binds"] or ())} <= set(extension["variables"]["method"])
    known = {name for group in extension["variables"].values() for name in group}
    assert names.BUILT_IN - known == {"_"}
    assert list(extension["filters"]) == list(FILTERS)
    assert list(extension["methods"]) == list(METHODS)
    assert extension["filters"]["slice"]["usage"] == "slice:start[:end]"
    assert extension["filters"]["map"]["argument"] == "table"


@pytest.mark.parametrize(
    ("definition", "declared"),
    [
        ("property", properties.KEYS),
        ("method", methods.KEYS),
        ("event", webhook_events.KEYS),
        ("polled", webhook_events.POLLED_KEYS),
        ("oauth", oauth.KEYS),
    ],
)
def test_every_key_has_help(definition: str, declared: dict[str, str]) -> None:
    found = schema()["definitions"][definition]
    found = found.get("properties") or found["allOf"][0]["properties"]
    assert set(declared) <= set(found)
    for key in declared:
        assert re.fullmatch(r"[A-Z0-9`*].*[.]", found[key]["description"]), key
        assert "](" not in found[key]["description"]


def test_every_scheme_of_verify_has_help() -> None:
    assert list(verify.TYPES) == list(verify.SCHEMES)
    used = {key for required, optional, _ in verify.SCHEMES.values() for key in required + optional}
    assert {*used, *verify.COMMON} == set(verify.KEYS)


def test_kinds_of_authentication_are_offered_before_there_is_an_api() -> None:
    assert schema()["properties"]["auth"]["properties"]["type"] == {"examples": list(auth.TYPES)}


def test_help_does_not_refer_to_the_page_that_it_is_from() -> None:
    assert "see below" not in json.dumps(schema())
