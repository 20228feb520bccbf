"""Documents, messages and requests of people who want the portal to stand still."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from integrations.events import HttpResponse, InboundRequest
from integrations.language.document import compile_document
from integrations.language.errors import DocumentError, RenderError
from integrations.requests import plan
from integrations.responses import read as read_answer
from integrations.webhooks import read
from tests.language.hostile import KINDS, SIZE, document, receives, sends, text_of

# What is measured is below a second; a test that fails now and then would be worth nothing.
# Measuring coverage takes several times as long as what it measures.
SECONDS = 3 if sys.gettrace() is None else 20


@contextlib.contextmanager
def soon():
    began = time.process_time()
    yield
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_worst_documents_are_checked_soon(kind):
    source = text_of(kind)
    assert len(source.encode()) <= SIZE
    with soon():
        try:
            listed = list(compile_document(source).warnings)
        except DocumentError as error:
            listed = error.problems
    assert sum(problem.severity == "error" for problem in listed) <= 51
    assert sum(problem.severity == "warning" for problem in listed) <= 50
    assert all(len(problem.reason) <= 600 and len(problem.suggestion) <= 600 for problem in listed)


PIECES = st.sampled_from(
    ["$", "$a", "$to$", "$nope$", "$to|", "|upper", "|nope", ":'x'", "'", "''", "\\", '"', "\n", "é", "\U0001f600", "\ud800",
     ".", "[0]", "?", " ", "{", "[", "(", "a{99}", "x"]
)  # fmt: skip
HUGE_TEXTS = st.builds(
    lambda pieces, size: "".join(pieces) * (size // sum(map(len, pieces))),
    st.lists(PIECES, min_size=1, max_size=5),
    st.sampled_from([1, 300, 3_000, 60_000]),
)
HUGE_SHAPES = st.recursive(
    HUGE_TEXTS,
    lambda inner: (
        st.builds(lambda item, count: [item] * count, inner, st.sampled_from([1, 3, 600]))
        | st.builds(
            lambda item, key, count: {f"{key[:400]}{i}": item for i in range(count)},
            inner,
            HUGE_TEXTS,
            st.sampled_from([1, 3, 600]),
        )
        | st.builds(lambda item: {"$first": [item, item]}, inner)
        | st.builds(lambda item: {"$each": "$media$", "$as": "item", "$value": item}, inner)
        | st.builds(lambda item, key: {"$when": {key: item}, "$value": item}, inner, HUGE_TEXTS)
    ),
    max_leaves=4,
)


def written_size(shape: Any, known: dict[int, int]) -> int:
    """About the characters of a shape as JSON. Equal elements are one object, which is looked at once."""
    if id(shape) not in known:
        parts = list(shape.values()) if isinstance(shape, dict) else shape if isinstance(shape, list) else []
        keys = sum(map(len, shape)) if isinstance(shape, dict | str) else 0
        known[id(shape)] = keys + 4 + sum(written_size(part, known) for part in parts)
    return known[id(shape)]


@settings(max_examples=settings.default.max_examples // 8)
@given(HUGE_SHAPES, st.sampled_from(["variables", "when", "request_headers", "request_query", "nothing"]))
def test_huge_documents_of_any_shape_are_checked_soon(shape, key):
    assume(written_size(shape, {}) < 64 * SIZE)  # a few levels of 600 elements each do not fit into memory
    for made in (
        sends(shape, **({} if key == "nothing" else {key: shape})),
        receives([{"event_type": "ignore"}] * 9, request_parameters=shape, when=shape),
    ):
        source = json.dumps(made)
        note(f"{len(source)} {source[:300]}")
        with soon(), contextlib.suppress(DocumentError):
            compile_document(source)


def test_many_problems_are_shown_in_part():
    with pytest.raises(DocumentError) as caught:
        compile_document(sends(["".join(f"$n{number}$" for number in range(100))]))
    problems = caught.value.problems
    assert len(problems) == 51
    assert [problem.column for problem in problems[:3]] == [1, 5, 9]
    assert problems[-1].reason == "There may be more problems: only the first 50 are shown."


def test_errors_are_found_behind_any_number_of_warnings():
    unused = {f"a{i}": f"$own{i}$" for i in range(100)}
    event = {"event_type": "message", "request_parameters": {"from": "$from$", **unused}}
    with pytest.raises(DocumentError) as caught:
        compile_document(receives([event, {"event_type": "nothing"}]))
    assert [problem.severity for problem in caught.value.problems] == ["error"] + ["warning"] * 50


def test_what_events_share_counts_for_each():
    parameters = {str(i): "x" for i in range(200)}
    compile_document(receives([{}] * 50, event_type="ignore", request_parameters=parameters))
    with pytest.raises(DocumentError) as caught:
        compile_document(receives([{}] * 100, event_type="ignore", request_parameters=parameters))
    assert [problem.reason for problem in caught.value.problems] == [
        "The document asks for too much: all that is compiled may have at most 20,000 values and "
        "placeholders. What the methods or the events share counts for each of them."
    ]


def test_columns_are_those_of_the_text_as_written():
    source = json.dumps(document()) [:-1] + (
        ', "API": {"SendMessage": {"request_url": "https://a.example/", "request_parameters": '
        r'["\n\\\ud83d\ude00\u00e9$no$ é😀 $nope$"]}}}'
    )  # fmt: skip
    with pytest.raises(DocumentError) as caught:
        compile_document(source)
    found = [(problem.line, problem.column) for problem in caught.value.problems]
    assert found == [(1, source.index("$no$") + 1), (1, source.index("$nope$") + 1)]


TOO_MUCH = "The request takes too much work: its shapes make too much of the values."
DOUBLING = {f"v{i}": f"$v{i - 1}$$v{i - 1}$" if i else "$text$" for i in range(60)}
LAUGHS = {f"v{i}": [f"$v{i - 1}$"] * 2 if i else ["$text$"] for i in range(60)}
DEEP = {f"v{i}": [f"$v{i - 1}$"] if i else "$text$" for i in range(900)}
LOOPS: Any = "$item0$"
for level in range(6):
    LOOPS = {"$each": "$parts_of_text$", "$as": f"item{5 - level}", "$value": LOOPS}


@pytest.mark.parametrize(
    "keys",
    [
        {"variables": DOUBLING, "request_parameters": "$v59$"},
        {"variables": LAUGHS, "request_parameters": "$v59$"},
        {"variables": LAUGHS, "request_parameters": {"a": "$v59$"}, "request_content_type": "xml"},
        {"variables": LAUGHS, "request_parameters": {"a": "$v59|json|length$"}},
        {"variables": DEEP, "request_parameters": "$v899$"},
        {"variables": {"parts_of_text": "$text|split:' '$"}, "request_parameters": [LOOPS]},
        {"request_parameters": f"$text|replace:'a':text{'|hex' * 9}$"},
        {"request_parameters": ["$text|replace:'a':text$"] * 1500},
        {"when": {"$text|replace:'a':text$": [{"matches": f"(a?){{300}}a{{300}}{i}"} for i in range(100)]}},
    ],
    ids=["doubling", "billion laughs", "laughs in XML", "laughs in a filter", "deep", "loops", "growing filters", "wide",
         "regular expressions"],
)  # fmt: skip
def test_shapes_that_grow_are_refused_soon(keys):
    template = compile_document(sends(**keys))
    with soon(), pytest.raises(RenderError) as caught:
        plan(template, {}, {"text": "a " * 1000, "to": "+1"})
    assert caught.value.reason in (TOO_MUCH, "The request is larger than 1 MiB.")


def test_a_message_takes_255_requests_at_most():
    template = compile_document(sends("$text$", split={"max": 1}))
    assert len(plan(template, {}, {"text": "a" * 255})) == 255
    with pytest.raises(RenderError, match="would take 256 requests; at most 255 are sent"):
        plan(template, {}, {"text": "a" * 256})


@pytest.mark.parametrize("part", ["request_url", "request_headers", "request_parameters"])
def test_a_request_is_at_most_1_mib(part):
    shapes = {
        "request_url": "https://a.example/?a=$text$",
        "request_headers": {"X-Text": "$text$"},
        "request_parameters": "$text$",
    }
    template = compile_document(sends(**{"request_content_type": "text", part: shapes[part]}))
    assert len(plan(template, {}, {"text": "a" * 1_000_000})) == 1
    with pytest.raises(RenderError, match=r"^/API/SendMessage: The request is larger than 1 MiB\.$"):
        plan(template, {}, {"text": "a" * 1024 * 1024})


def request(body: Any, kind: str = "application/json") -> InboundRequest:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return InboundRequest("POST", "", "", {"content-type": kind}, written[: 1024 * 1024], "", "https://a/")


MANY = {f"k{i}": i for i in range(50_000)}
MISSING = {f"Missing {i}?": f"$own{i}?$" for i in range(500)}
HOSTILE_REQUESTS = {
    "a search for keys": ({"request_parameters": MISSING}, MANY),
    "lists of lists": (
        {"event_type": "message", "request_parameters": [{"a": [{"b": [{"from": "$from$"}]}]}]},
        [{"a": [{"b": [{"from": "+1"}] * 10}] * 10}] * 11,
    ),
    "a long list": (
        {"event_type": "message", "continue": True, "request_parameters": [{"from": "$from$", **MISSING}]},
        [{"from": "+1"}] * 1000,
    ),
    "conditions on the whole": (
        {"when": {"$request$": [{"matches": f"no{i}"} for i in range(300)]}},
        MANY,
    ),
    "filters on the whole": (
        {"request_parameters": {}, "variables": {f"v{i}": "$request|json|upper|length$" for i in range(500)}},
        MANY,
    ),
    "variables that grow": ({"request_parameters": "$v$", "variables": {**DOUBLING, "v0": "$v$"}}, "a"),
    "numbers of telephones": (
        {"event_type": "mms", "request_parameters": {"from": "$from$", "urls": ["$urls|e164:'US'$"]}},
        {"from": "+1", "urls": [f"+1212555{i:06}" for i in range(30_000)]},
    ),
    "a body that is read in many ways": (
        [{"request_charset": f"cp{page}"} for page in (437, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866,
         869, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)],
        MANY,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_REQUESTS)
def test_hostile_requests_are_read_soon(case):
    events, body = HOSTILE_REQUESTS[case]
    written = [
        {"event_type": "ignore", **event} for event in (events if isinstance(events, list) else [events])
    ]
    template = compile_document(
        receives([{**event, "when": {"$method$": "PUT"}} for event in written[:-1]] + written[-1:])
    )
    with soon():
        received = read(template, request(body), {})
    assert received.verdict in ("unparsable", "unmatched", "ignored", "accepted")
    assert len(received.events) <= 1000
    assert received.answer.status in (200, 400)


def test_a_request_that_takes_too_much_work_says_so():
    template = compile_document(receives([{"event_type": "ignore", "request_parameters": MISSING}]))
    received = read(template, request(MANY), {})
    assert (received.verdict, received.answer.status) == ("unparsable", 400)
    assert received.reason == ("To read this request takes too much work: it is too large for this template.")


def test_a_hostile_response_is_read_soon():
    template = compile_document(
        sends(["x"], response_map=[{f"missing{i}?": "$_$", "id": "$messageid$"} for i in (1,)])
    )
    with soon():
        outcome = read_answer(
            template,
            "SendMessage",
            {},
            {},
            HttpResponse(200, {}, json.dumps([MANY] * 1).encode()[: 256 * 1024 - 9]),
        )
    assert outcome.result == "unknown"
    map_ = [{f"missing{i}?": "$_$" for i in range(1000)} | {"id": "$messageid$"}]
    template = compile_document(sends(["x"], response_map=map_))
    items = json.dumps([{f"k{i}": 1 for i in range(10)}] * 2000).encode()
    with soon():
        outcome = read_answer(template, "SendMessage", {}, {}, HttpResponse(200, {}, items))
    assert (outcome.result, outcome.text[:48]) == (
        "unknown",
        "To read the response takes too much work. The pr",
    )


@pytest.mark.parametrize(
    ("shape", "column"),
    [("$urls$", 1), ("$urls?$", 1), ({"$first": ["$urls$", "$url$"]}, 1)],
)
def test_urls_that_keep_one_file_only_are_warned_of(shape, column):
    event = {"event_type": "mms", "request_parameters": {"from": "$from$", "media": shape}}
    (warning,) = compile_document(receives([event])).warnings
    name = "$urls?$" if shape == "$urls?$" else "$urls$"
    assert (warning.reason, warning.suggestion, warning.column) == (
        f"{name} keeps only the last file of a list.",
        f'Write ["{name}"] to keep all of them, or $url$ if there is never more than one.',
        column,
    )


@pytest.mark.parametrize("shape", [["$urls$"], "$url$", "$urls|split:','$"])
def test_urls_that_keep_all_files_are_not_warned_of(shape):
    event = {"event_type": "mms", "request_parameters": {"from": "$from$", "media": shape}}
    assert compile_document(receives([event])).warnings == ()
