"""Documents of the published format: every variant that a customer may have is read, and says what was mended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.language.document import KEYS, compile_document
from integrations.language.errors import DocumentError
from integrations.language.mending import mend

MESSAGE = {
    "event_key": "message",
    "event_type": "message",
    "request_method": "POST",
    "request_parameters": {"method": "$event_key$", "params": {"from": "$from$", "content": "$content$"}},
}
DELIVERED = {
    "event_key": "delivered",
    "event_type": "messageDelivered",
    "request_parameters": {"method": "$event_key$", "params": {"messageid": "$messageid$"}},
}
METHOD = {"request_url": "https://api.example.com/webhook", "request_parameters": {"to": "$to$"}}


def document(**changes: Any) -> dict[str, Any]:
    return {"id": "acme", "name": "Acme", "API": {"SendMessage": METHOD}, **changes}


def without(key: str, model: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in model.items() if name != key}


@pytest.mark.parametrize(
    ("webhook", "pointers"),
    [
        (MESSAGE, ["/Webhook"]),
        ([MESSAGE, DELIVERED], ["/Webhook/0", "/Webhook/1"]),
        ({"events": [MESSAGE, DELIVERED]}, ["/Webhook/events/0", "/Webhook/events/1"]),
        ({"message": MESSAGE, "delivered": DELIVERED}, ["/Webhook/message", "/Webhook/delivered"]),
        (
            {"message": without("event_key", MESSAGE), "delivered": without("event_key", DELIVERED)},
            ["/Webhook/message", "/Webhook/delivered"],
        ),
        ({"path": without("event_key", MESSAGE), "x": DELIVERED}, ["/Webhook/path", "/Webhook/x"]),
        (
            {"events": {"message": without("event_key", MESSAGE), "x/y": DELIVERED}, "path": "a"},
            ["/Webhook/events/message", "/Webhook/events/x~1y"],
        ),
    ],
)
def test_every_form_of_the_webhook_is_right(webhook: Any, pointers: list[str]) -> None:
    template = compile_document(json.dumps(document(Webhook=webhook)))
    assert template.warnings == ()
    assert [event.pointer for event in template.webhook.events] == pointers
    expected = ["path"] if "/Webhook/path" in pointers else ["message"]
    expected += ["delivered"] * (len(pointers) - 1)
    assert [event.event_key for event in template.webhook.events] == expected


def test_problems_of_named_models_are_where_they_are_written() -> None:
    model = {"event_type": "message", "request_parameters": {"from": "$from|plis$"}}
    source = json.dumps(document(Webhook={"delivered": DELIVERED, "message": model}), indent=1)
    with pytest.raises(DocumentError) as caught:
        compile_document(source)
    (problem,) = caught.value.problems
    assert problem.pointer == "/Webhook/message/request_parameters/from"
    assert problem.line is not None and problem.column is not None
    assert source.split("\n")[problem.line - 1][problem.column - 1 :].startswith("plis")


@pytest.mark.parametrize(
    ("method", "properties", "url"),
    [
        ({"request_url": "https://a.example", "request_path": "/v1/sms"}, [], "https://a.example/v1/sms"),
        ({"request_url": "https://a.example/v1/", "request_path": "sms"}, [], "https://a.example/v1/sms"),
        (
            {"request_url": "https://a.example/v1", "request_path": "?to=$to$"},
            [],
            "https://a.example/v1?to=1",
        ),
        ({"request_url": "https://a.example/v1", "request_path": ""}, [], "https://a.example/v1"),
        ({"request_url": "$API URL$", "request_path": "/sms/$to$"}, ["API URL"], "https://b.example/x/sms/1"),
        ({"request_path": "sms"}, ["API key", "API URL"], "https://b.example/x/sms"),
        ({"request_path": "sms"}, ["Key", {"name": "API URL", "type": "url"}], "https://b.example/x/sms"),
    ],
)
def test_a_path_follows_its_base(method: Any, properties: Any, url: str) -> None:
    template = compile_document(document(API={"SendMessage": method}, properties=properties))
    values = {"to": "1", "API URL": "https://b.example/x/"}
    assert template.methods["SendMessage"].url(values) == url
    alone = [item for item in template.warnings if item.pointer == "/API/SendMessage/request_path"]
    assert [item.reason for item in alone] == (
        []
        if "request_url" in method
        else ["The request goes to the URL in 'API URL', followed by this path."]
    )


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ({"request_path": "sms"}, "needs 'request_url', or exactly one property that holds the base URL"),
        ({"request_url": "https://a.example", "request_path": 1}, "must be a text"),
        (
            {"request_url": "https://a.example?x=1", "request_path": "sms"},
            "only follow a URL without a query",
        ),
        ({"request_url": "https://a.example", "request_path": "a/$tto$"}, "no variable or property 'tto'"),
        ({"request_url": "https://a.example/", "request_path": "//$tto$"}, "no variable or property 'tto'"),
        ({"request_path": "a/$tto$", "properties": ["Server URL"]}, "no variable or property 'tto'"),
    ],
)
def test_a_wrong_path_is_told_where_it_is(method: dict[str, Any], reason: str) -> None:
    properties = method.pop("properties", [])
    source = json.dumps(document(API={"SendMessage": method}, properties=properties))
    with pytest.raises(DocumentError) as caught:
        compile_document(source)
    problem = caught.value.problems[0]
    assert (problem.pointer, reason in problem.reason) == ("/API/SendMessage/request_path", True)
    if "tto" in reason:
        assert problem.column is not None and source[problem.column - 1 :].startswith("$tto$")


@pytest.mark.parametrize("kind", ["sms", "SMS", "messaging", "sms/mms", None])
def test_any_class_of_messaging_is_right(kind: str | None) -> None:
    assert compile_document(document(**{"class": kind})).warnings == ()


@pytest.mark.parametrize("kind", ["crm", "CRM", "sso"])
def test_the_class_of_another_product_is_refused(kind: str) -> None:
    with pytest.raises(DocumentError, match=f"/class: A document of class '{kind}' describes a"):
        compile_document(document(**{"class": kind}))


def test_an_unknown_key_is_a_warning() -> None:
    (problem,) = compile_document(json.dumps(document(nmae=1))).warnings
    assert str(problem) == (
        "/nmae (line 1, column 147): Unknown key 'nmae', which has no meaning here. Did you mean 'name'?"
    )


API = json.dumps({"SendMessage": METHOD}, indent=2)
SNIPPETS = f"""// the service
"id": "acme", “name”: “Acme”,
"API": {API[:-2]},
}},

//model
{json.dumps(MESSAGE, indent=2)}

// POST request JSON body
{{
  "method": "message", "params": {{"from": "+61855555555", "content": "Hello // there, }} “you”"}},
}}

// model
{json.dumps(DELIVERED, indent=2)},
"""


def test_snippets_are_read_with_a_warning_that_shows_the_document() -> None:
    template = compile_document(SNIPPETS)
    expected = document(Webhook=[MESSAGE, DELIVERED])
    assert template.document == expected
    first, second = template.warnings
    assert (first.line, first.column, first.severity) == (1, 1, "warning")
    assert first.reason == (
        "This is not JSON. It was read without its comments, without commas that nothing follows, with straight "
        "quotes for typographic ones, as one document made of its parts:"
    )
    assert json.loads(first.document) == expected
    lines = SNIPPETS.split("\n")
    assert "example of a request" in second.reason
    assert (lines[second.line - 2], second.column) == ("// POST request JSON body", 1)  # type: ignore[operator]


def test_problems_of_snippets_are_where_they_are_written() -> None:
    source = SNIPPETS.replace("$messageid$", "$messageid|lenght$").replace('"$to$"', '"$tto$"')
    with pytest.raises(DocumentError) as caught:
        compile_document(source)
    lines = source.split("\n")
    for problem, start in zip(caught.value.problems, ("$tto$", "lenght"), strict=False):
        assert lines[problem.line - 1][problem.column - 1 :].startswith(start)  # type: ignore[operator]


ONE = '{"id": "acme", "name": "Acme", "Webhook": {"event_type": "ignore"}}'


@pytest.mark.parametrize(
    ("source", "how"),
    [
        (ONE[:-1] + ",}", "without commas that nothing follows"),
        (ONE.replace('"Acme"', '/* its name */ "Acme"'), "without its comments"),
        (ONE.replace('"Acme"', "“Acme”"), "with straight quotes for typographic ones"),
        (ONE.replace('"Acme"', '“Acme"'), "with straight quotes for typographic ones"),
        (ONE.replace(" ", "\xa0"), "with plain spaces"),
        (ONE[1:-1], "as one document made of its parts"),
        (
            '{"id": "acme"}\n{"name": "Acme", "Webhook": {"event_type": "ignore"}}',
            "as one document made of its parts",
        ),
        (
            '{"id": "acme", "name": "Acme", "API": {}}\r\n{"event_type": "ignore"}',
            "as one document made of its parts",
        ),
    ],
)
def test_what_is_almost_json_is_read(source: str, how: str) -> None:
    template = compile_document(source.encode())
    assert (template.id, template.name, template.webhook.events[0].type) == ("acme", "Acme", "ignore")
    assert [item.reason for item in template.warnings] == [f"This is not JSON. It was read {how}:"]


@pytest.mark.parametrize(
    "source",
    [
        ONE + " x",
        ONE + '{"method": "message"}',
        ONE + '// model\n{"method": "message"}',
        ONE + "[1]",
        ONE + '"text"',
        ONE.replace('"Acme"', '"Acme”'),
        ONE.replace('"Acme"', "‘Acme’"),
        ONE.replace('"Acme"', "'Acme'"),
        ONE.replace('"Acme"', '“Ac"me”'),
        ONE.replace('"Acme"', '"Ac\nme"'),
        ONE.replace('"Acme",', '"Acme",,'),
        ONE.replace('"Acme",', '"Acme"'),
        ONE.replace('"id"', "id"),
        ONE + "/* no end",
        "// nothing but a comment",
        "[" * 40 + "," + "]" * 40,
        "/*" * 100_000,
    ],
)
def test_what_is_not_certain_is_no_json(source: str) -> None:
    with pytest.raises(DocumentError, match=r"This is not JSON:|nested more than"):
        compile_document(source)


def test_a_lone_model_is_no_document_but_shows_where_it_belongs() -> None:
    with pytest.raises(DocumentError) as caught:
        compile_document("//model\n" + json.dumps(MESSAGE))
    *errors, warning = caught.value.problems
    assert [item.reason for item in errors] == ["The template needs 'id'.", "The template needs 'name'."]
    assert json.loads(warning.document) == {"Webhook": [MESSAGE]}


def test_a_webhook_beside_models_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"/Webhook .*: This object has this key twice"):
        compile_document(ONE + json.dumps(MESSAGE))


@given(st.text('{}[]",:“”/*ab\\ \n$', max_size=60))
def test_mending_never_fails(source: str) -> None:
    found = mend(source, KEYS, 32)
    assert found is None or isinstance(json.loads(found.text), dict)
    assert found is None or len(found.origins) == len(found.text) + 1
