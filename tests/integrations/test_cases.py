"""A case passes if all is as it says, and tells what is not."""

from __future__ import annotations

import pytest

from integrations.cases import run
from integrations.language.document import compile_document

TEMPLATE = compile_document(
    {
        "id": "acme",
        "name": "Acme",
        "properties": [
            {"name": "Region", "secret": False, "default": "eu"},
            {"name": "Tag", "required": False},
        ],
        "API": {
            "SendMessage": {
                "request_url": "https://$Region$.example.com/send",
                "request_headers": {"X-Tag": "$Tag$"},
                "request_parameters": {"t": "$content$", "n": 1, "b": True, "token": "$access_token$"},
                "response_map": {"id": "$messageid$"},
                "when": {"$to$": True},
            }
        },
        "Webhook": {"event_type": "message", "request_parameters": {"f": "$from$", "b": "$text?$"}},
    }
)
SEND = {"kind": "send", "message": {"to": "+1", "content": "Hi"}}
RECEIVE = {"kind": "receive", "request": {"json": {"f": "0412345678", "b": "Hi"}}}
BODY = {"t": "Hi", "n": 1, "b": True}


@pytest.mark.parametrize(
    "case",
    [
        {**SEND, "expect": [{"url": "https://eu.example.com/send", "json": BODY}]},
        {**SEND, "properties": {"Region": "us", "Tag": " ", "access_token": "x"}, "expect": [{"url": "https://us.example.com/send", "headers": {"x-tag": None}, "json": {**BODY, "token": "x"}}]},
        {**SEND, "expect": [{"method": "POST", "path": "/send", "query": None, "headers": {"Content-Type": "application/json"}}]},
        {"kind": "send", "message": {"content": "Hi"}, "expect": [], "outcome": {"result": "failed"}},
        {**SEND, "responses": [{"json": {"id": 7}}], "outcome": {"result": "sent", "messageid": "7", "code": None}},
        {**SEND, "responses": [{"error": "connect"}], "outcome": {"result": "retry", "messageid": None}},
        {**SEND, "responses": [{"error": "timeout"}], "outcome": {"result": "unknown"}},
        {**SEND, "responses": [{"error": "tls"}], "outcome": {"result": "failed"}},
        {**RECEIVE, "expect": {"events": [{"type": "message", "from": "0412345678", "text": "Hi"}]}},
        {**RECEIVE, "country": "AU", "expect": {"response": {"status": 200, "json": None}, "unmatched": False, "events": [{"type": "message", "from": "+61412345678", "text": "Hi"}]}},
        {"kind": "receive", "request": {"json": {}}, "expect": {"unmatched": True, "response": {"status": 400}, "events": []}},
    ],
)  # fmt: skip
def test_a_case_that_holds(case):
    assert run(TEMPLATE, case) == ""


@pytest.mark.parametrize(
    ("case", "difference"),
    [
        ({**SEND, "expect": []}, "Expected 0 requests, got 1."),
        ({**SEND, "expect": [{"json": None}]}, 'request 1: json: expected no body, got "{\\"t\\":\\"Hi\\",\\"n\\":1,\\"b\\":true}"'),
        ({**SEND, "expect": [{"json": {**BODY, "b": 1}}]}, "request 1: json/b: expected 1, got true"),
        ({**SEND, "expect": [{"json": {**BODY, "n": "1"}}]}, 'request 1: json/n: expected "1", got 1'),
        ({**SEND, "expect": [{"headers": {"content-type": None}}]}, 'request 1: header content-type: expected nothing, got "application/json"'),
        ({**SEND, "outcome": {"result": "sent"}}, "outcome: there is no response to read; add the provider's to 'responses'."),
        ({**SEND, "responses": [{"json": {"id": 7}}], "outcome": {"messageid": None}}, 'outcome messageid: expected nothing, got "7"'),
        ({**SEND, "responses": [{"status": 400, "text": "no"}], "outcome": {"result": "sent"}}, 'outcome result: expected "sent", got "failed"\noutcome text: The provider responded with status 400: no'),
        ({**RECEIVE, "request": {"text": "<a/>"}, "expect": {"events": [{"type": "message"}]}}, 'events: expected [{"type":"message"}], got []\n/Webhook did not match: /Webhook/request_parameters: expected an object, got \'<a/>\'. If it is XML, write "request_content_type" or "response_format": "xml"\nNo event of the template matches the request.'),
        ({**RECEIVE, "expect": {"events": [{"type": "message", "from": "0412345678"}]}}, 'events/0/text: expected nothing, got "Hi"'),
    ],
)  # fmt: skip
def test_a_case_that_does_not_hold(case, difference):
    assert run(TEMPLATE, case) == difference


def test_a_polled_request_carries_the_access_token_of_the_case() -> None:
    polled = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "auth": {"type": "Bearer", "token": "$access_token$"},
            "API": {
                "Login": {"request_url": "https://x.example/login", "response_map": {"t": "$access_token$"}},
                "ReceiveMessages": {
                    "request_method": "GET",
                    "request_url": "https://x.example/inbox",
                    "events": [{"event_type": "message", "request_parameters": [{"f": "$from$"}]}],
                },
            },
        }
    )
    case = {
        "kind": "receive",
        "method": "ReceiveMessages",
        "properties": {"access_token": "at-1"},
        "responses": [{"json": []}],
        "expect": {"requests": [{"headers": {"Authorization": "Bearer at-1"}}], "events": []},
    }
    assert run(polled, case) == ""


@pytest.mark.parametrize("sender", ["ACME1", "Route 66", "72345"])
@pytest.mark.parametrize("name", ["plus", "e164"])
def test_a_sender_with_few_digits_passes_the_filters_of_numbers(sender: str, name: str) -> None:
    shapes = {"f": f"$from|{name}$"}
    template = compile_document(
        {"id": "acme", "name": "Acme", "Webhook": {"event_type": "message", "request_parameters": shapes}}
    )
    case = {
        "kind": "receive",
        "request": {"json": {"f": sender}},
        "expect": {"events": [{"type": "message", "from": sender}]},
    }
    assert run(template, case) == ""


@pytest.mark.parametrize("items", [[], ["x"]])
def test_an_empty_list_in_a_shape_says_why_it_matches_nothing(items: list[str]) -> None:
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "Webhook": {"event_type": "ignore", "request_parameters": {"items": []}},
        }
    )
    case = {
        "kind": "receive",
        "request": {"json": {"items": items}},
        "expect": {"events": [{"type": "ignore"}]},
    }
    reason = "/Webhook/request_parameters/items: [] matches nothing; that a list is empty is a condition for 'when'"
    assert reason in run(template, case)
