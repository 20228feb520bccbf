"""The language by its tables, and by what must hold for any value."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.language.conditions import compile_condition
from integrations.language.document import compile_document
from integrations.language.errors import DocumentError, Problem, did_you_mean
from integrations.language.filters import FILTERS
from integrations.language.matching import compile_match
from integrations.language.names import BOUND, SENDING
from integrations.language.properties import check_values
from integrations.language.response_rules import RESULTS
from integrations.language.scope import Scope
from integrations.language.shapes import compile_render
from integrations.language.values import Number, Table, dump, load
from integrations.language.webhook_events import KEYS, STATUSES, TYPES

HERE = Path(__file__).parent
WORDS = st.text(st.characters(codec="utf-8"), min_size=1)


def table(name: str) -> list[Any]:
    """The rows of a data file, numbers as spelled."""
    return load((HERE / f"{name}.json").read_text())


def sending(names: Iterable[str] = ()) -> Scope:
    return Scope({}, {}, [], names=dict.fromkeys([*SENDING, *names], True))


@pytest.mark.parametrize("case", table("render"), ids=lambda case: case["name"])
def test_render(case):
    scope = sending(case["variables"])
    render = compile_render(case["shape"], scope, "")
    assert [problem for problem in scope.problems if problem.severity == "error"] == []
    assert dump(render(case["variables"])) == dump(case["result"])


@pytest.mark.parametrize("case", table("match"), ids=lambda case: case["name"])
def test_match(case):
    scope, frames = Scope({}, {}, [], bindable=BOUND), [{}]
    reason = compile_match(case["shape"], scope, "", elements="all")(case["value"], frames)
    assert scope.problems == []
    assert dump(None if reason else frames) == dump(case["frames"])


@pytest.mark.parametrize("case", table("conditions"), ids=lambda case: dump(case["condition"]))
def test_condition(case):
    scope = sending()
    holds = compile_condition(case["condition"], scope, "")
    assert scope.problems == []
    assert holds(case["variables"]) is case["holds"]


@pytest.mark.parametrize("case", table("documents"), ids=lambda case: case["name"])
def test_document_problem(case):
    method = {"request_url": "https://api.example.com/", **case.get("method", {})}
    document = {"id": "acme", "name": "Acme", "API": {"SendMessage": method}, **case.get("change", {})}
    with pytest.raises(DocumentError) as caught:
        compile_document(document)
    expected = Problem(
        case["pointer"],
        case["reason"],
        case.get("suggestion", ""),
        column=int(case["column"]) if "column" in case else None,
        at_key=case.get("at_key", False),
    )
    assert caught.value.problems == [expected]


@pytest.mark.parametrize("name", FILTERS)
def test_filter_example(name):
    found = FILTERS[name]
    value, arguments, result = found.example
    if found.argument == "regex":
        arguments = tuple(map(re2.compile, arguments))
    assert found.doc.endswith(".")
    assert found(value, *arguments) == result


@pytest.mark.parametrize(
    "case", table("filters"), ids=lambda case: f"{case['filters']} of {dump(case['value'])[:30]}"
)
def test_filters(case):
    tables = {"t": Table({"x": "X", "10-12": "range", ">20": "many", "*": "*"})}
    scope = Scope({}, tables, [], names=dict.fromkeys(["value", "to", "urls", "country"], True))
    render = compile_render(f"$value|{case['filters']}$", scope, "")
    assert scope.problems == []
    assert dump(render({"value": case["value"], **case.get("variables", {})})) == dump(case["result"])


def test_a_problem_tells_line_and_column():
    with pytest.raises(DocumentError) as caught:
        compile_document(
            '{"id": "acme", "name": "Acme",\n "Webhook": {"event_type": "ignore", "path": "a", "wehn": {}}}'
        )
    assert str(caught.value) == "/Webhook/wehn (line 2, column 52): Unknown key 'wehn'. Did you mean 'when'?"


@pytest.mark.parametrize(
    ("word", "known", "suggestion"),
    [
        (
            "undelivered",
            STATUSES,
            "Expected one of: queued, sent, delivered, read, failed, retrying, ignore.",
        ),
        ("wired", STATUSES, "Expected one of: queued, sent, delivered, read, failed, retrying, ignore."),
        ("not_read", ["read"], "Expected one of: read."),
        ("messageUndelivered", [*TYPES, *"abc"], ""),
        ("name", sorted(SENDING), ""),
        ("hx", ["unhex"], "Expected one of: unhex."),
        ("unhx", ["hex", "unhex"], "Did you mean 'unhex'?"),
        ("deliverd", STATUSES, "Did you mean 'delivered'?"),
        ("messageDeliverd", TYPES, "Did you mean 'messageDelivered'?"),
        ("retry_later", RESULTS, "Did you mean 'retry'?"),
        ("content_type", KEYS, "Did you mean 'request_content_type'?"),
        ("uri", ["url", "size"], "Did you mean 'url'?"),
    ],
)
def test_a_suggestion_is_near_and_never_the_opposite(word, known, suggestion):
    assert did_you_mean(word, known) == suggestion


@pytest.mark.parametrize(
    ("source", "start"),
    [
        ('{"id": "x",\n oops}', "line 2, column 2: This is not JSON"),
        (b"\xff", "document: The document is not valid UTF-8."),
        ("[" * 100_000, "document: The JSON is nested more than 32 levels deep."),
        ("[]", "document: A template must be a JSON object."),
        ('{"a": NaN}', "document: NaN is not a JSON number."),
    ],
)
def test_a_document_that_cannot_be_read(source, start):
    with pytest.raises(DocumentError) as caught:
        compile_document(source)
    assert str(caught.value).startswith(start)


def test_values_are_checked_by_type():
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "properties": [
                "Key",
                {"name": "URL", "type": "url"},
                {"name": "Size", "type": "number", "default": 5},
            ],
            "Webhook": {"event_type": "ignore"},
        }
    )
    clean, errors = check_values(template.properties, {"URL": "https://u:p@x.example", "Ky": "1"})
    assert clean == {"Size": 5}
    assert errors == {
        "Ky": "There is no property 'Ky'. Did you mean 'Key'?",
        "Key": "Key is required.",
        "URL": "URL must not contain a user name or password.",
    }


@pytest.mark.parametrize("case", table("warnings"), ids=lambda case: case["name"])
def test_document_warning(case):
    method = {"request_url": "https://api.example.com/", **case.get("method", {})}
    document = {"id": "acme", "name": "Acme", "API": {"SendMessage": method}, **case.get("change", {})}
    expected = [
        Problem(
            each["pointer"],
            each["reason"],
            each.get("suggestion", ""),
            column=int(each["column"]) if "column" in each else None,
            severity="warning",
        )
        for each in case["warnings"]
    ]
    assert list(compile_document(document, stored=case.get("stored", False)).warnings) == expected


def test_all_problems_are_told_at_once():
    with pytest.raises(DocumentError) as caught:
        compile_document(
            {
                "id": "acme",
                "name": "Acme",
                "properties": ["Key"],
                "tables": {"a": {"1": "x"}, "b": 5},
                "API": {
                    "SendMessage": {"request_parameters": {"a": "$a$", "b": "$to|nothing:b|map:'a'$"}},
                    "SendFile": {"request_url": "https://a.example/", "split": {"unit": "word", "mux": 1}},
                },
                "Webhook": [
                    {"event_type": "mesage", "response": {"body": "$Key$"}, "verify": {"type": "header"}},
                    {
                        "event_type": "messageStatus",
                        "status_map": {"a": "undelivered"},
                        "concat": {"id": "$x$"},
                        "request_parameters": {"a": "$messageid|nothing$"},
                    },
                ],
            }
        )
    found = [problem.pointer for problem in caught.value.problems if problem.severity == "error"]
    assert found == [
        "/tables",
        "/API/SendMessage",
        "/API/SendMessage/request_parameters/a",
        "/API/SendMessage/request_parameters/b",
        "/API/SendMessage/request_parameters/b",
        "/API/SendFile/split",
        "/API/SendFile/split/mux",
        "/API/SendFile/split/unit",
        "/Webhook/0/verify",
        "/Webhook/0/verify",
        "/Webhook/0/event_type",
        "/Webhook/0/response/body",
        "/Webhook/1/request_parameters/a",
        "/Webhook/1",
        "/Webhook/1/status_map/a",
        "/Webhook/1/concat",
        "/Webhook/1/concat/id",
    ]


def test_numbers_keep_their_spelling():
    value = load('{"a": 1.0, "b": 12345678901234567890123}')
    assert value == {"a": Number("1.0"), "b": Number("12345678901234567890123")}


@given(WORDS)
def test_a_value_arrives_verbatim(value):
    render = compile_render({"a": "$content$", "b": "<$content$>"}, sending(), "")
    assert render({"content": value, "to": "no"}) == {"a": value, "b": f"<{value}>"}


@given(WORDS, WORDS)
def test_matching_gives_back_what_rendering_took(content, sender):
    shape = {"a": "$content$", "b": ["to: $from$"]}
    document = compile_render(shape, sending(), "")({"content": content, "from": sender})
    frames: list[dict[str, Any]] = [{}]
    assert compile_match(shape, Scope({}, {}, [], bindable=BOUND), "", elements="all")(document, frames) == ""
    assert frames == [{"content": content, "from": sender}]


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(FILTERS)),
    st.recursive(st.none() | st.booleans() | WORDS | st.binary(), st.lists),
    st.lists(WORDS, max_size=2),
)
def test_filters_are_total(name, value, arguments):
    found = FILTERS[name]
    if not found.argument and found.least <= len(arguments) <= found.most:
        found(value, *arguments)
