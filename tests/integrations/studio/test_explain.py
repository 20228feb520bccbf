"""What a template makes of a message, an answer and a webhook, in words and beside the part that makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations import cases
from integrations.language.document import compile_document
from integrations.redact import Redactor
from integrations.studio.invented.values import secrets_in, values_for
from integrations.studio.preview.pasted import webhook_in
from integrations.studio.preview.receiving import preview_webhook
from integrations.studio.preview.sending import MessagePreview, preview_answer, preview_message
from tests.integrations.studio.conftest import PREVIEWED

COMPILED = compile_document(PREVIEWED)
VALUES = values_for(COMPILED, optional=["Signing key"])
HIDE = Redactor(secrets_in(COMPILED, VALUES))
MESSAGE = {"from": "+15005550006", "to": "+15005550001", "text": 'He said "hi"'}


def case(**changes: Any) -> dict[str, Any]:
    return cases.completed(
        COMPILED, {"kind": "send", "properties": VALUES, "message": {**MESSAGE, **changes}}
    )


def sent_by(document: dict[str, Any], **changes: Any) -> MessagePreview:
    template = compile_document({"id": "xx", "name": "X", **document})
    wanted = {"kind": "send", "message": {**MESSAGE, **changes}}
    return preview_message(template, cases.completed(template, wanted), Redactor(()))


def test_each_part_of_a_request_stands_beside_the_part_of_the_template_that_made_it() -> None:
    found = preview_message(COMPILED, case(), HIDE)
    (step,) = found.steps
    assert (found.count, found.problem, step.title, step.method) == (1, "", "The request", "SendMessage")
    assert step.why == "The message has no file."
    url, headers, body = step.rows
    assert url.sent == "POST https://api.acme.example/v2/sms"
    assert json.loads(url.template) == {"request_url": "https://api.acme.example/v2/sms"}
    assert headers.sent == "X-Api-Key: •••\nContent-Type: application/json"
    assert json.loads(headers.template) == {"auth": PREVIEWED["auth"]}
    assert json.loads(body.sent) == {
        "sender": "invented-sender", "recipient": "15005550001", "message": 'He said "hi"',
    }  # fmt: skip
    assert json.loads(body.template) == {
        "request_parameters": PREVIEWED["API"]["SendMessage"]["request_parameters"]
    }


URL = {"request_url": "https://x.example/send"}
PICTURE = [{"url": "https://sms.example.com/a.png", "content_type": "image/png", "filename": "a.png"}]


@pytest.mark.parametrize(
    ("api", "changes", "steps"),
    [
        (
            {"SendMessage": {**URL, "request_parameters": {"t": "$content$"}}},
            {"media": PICTURE},
            [("SendMessage", "There is no SendFile, so the URL of the file follows the text.")],
        ),
        (
            {
                "SendMessage": {**URL, "request_parameters": {"t": "$content$"}},
                "SendFile": {**URL, "request_parameters": {"u": "$url$"}},
            },
            {"media": PICTURE},
            [
                ("SendMessage", "SendFile cannot carry this part of the text."),
                ("SendFile", "The message has a file."),
            ],
        ),
        (
            {
                "SendMessage": {**URL, "request_parameters": {"t": "$content$"}},
                "SendFile": {**URL, "when": {"$country$": "CA"}, "request_parameters": {"u": "$url$"}},
            },
            {"media": PICTURE, "country": "US"},
            [
                (
                    "SendMessage",
                    "SendFile does not take this message ('when' does not hold): the URL follows the text.",
                )
            ],
        ),
        (
            {"SendMessage": {**URL, "split": {"max": 5}, "request_parameters": {"t": "$content$"}}},
            {"text": "123456"},
            [
                (
                    "SendMessage",
                    "The message has no file. The text is longer than 5 characters, so it is split.",
                )
            ]
            * 2,
        ),
    ],
)
def test_it_is_said_why_this_method_is_called(
    api: dict[str, Any], changes: dict[str, Any], steps: list[tuple[str, str]]
) -> None:
    assert [(step.method, step.why) for step in sent_by({"API": api}, **changes).steps] == steps


def test_an_error_is_shown_at_its_place() -> None:
    found = sent_by(
        {"API": {"SendMessage": {**URL, "request_headers": {"X-Text": "$content$"}}}}, text="a\nb"
    )
    assert (found.steps, found.pointer) == ((), "/API/SendMessage/request_headers/X-Text")
    assert "must not contain line breaks" in found.problem
    assert json.loads(found.template) == {"X-Text": "$content$"}


RULES = PREVIEWED["API"]["SendMessage"]["response_errors"]


@pytest.mark.parametrize(
    ("answer", "result", "decided", "template"),
    [
        (
            {"json": {"status": "accepted", "message_id": "m-1"}},
            "sent",
            "No rule of response_errors holds, the status is 2xx, and the answer fits.",
            {"response_map": PREVIEWED["API"]["SendMessage"]["response_map"]},
        ),
        (
            {"status": 400, "json": {"code": 21}},
            "opted_out",
            "The rule at /API/SendMessage/response_errors/0 holds.",
            RULES[0],
        ),
        (
            {"status": 400, "json": {"code": 5, "reason": "no"}},
            "failed",
            "The rule at /API/SendMessage/response_errors/1 holds.",
            RULES[1],
        ),
        (
            {"json": {"status": "odd"}},
            "failed",
            "The answer does not fit /API/SendMessage/response_map.",
            PREVIEWED["API"]["SendMessage"]["response_map"],
        ),
        (
            {"status": 503},
            "retry",
            "No rule of response_errors holds, so the status 503 decides.",
            None,
        ),
        (
            {"status": 504},
            "unknown",
            "No rule holds. With status 504 somebody on the way gave up waiting.",
            None,
        ),
        (
            {"status": 429},
            "throttled",
            "The status 429 always means that there were too many requests.",
            None,
        ),
        ({"status": 200, "text": "<html>"}, "unknown", "No rule holds, and the answer cannot be read.", None),
        ({"error": "timeout"}, "unknown", "There is no answer, so no rule is asked.", None),
        ({"error": "connect"}, "retry", "There is no answer, so no rule is asked.", None),
    ],
)
def test_it_is_said_what_an_answer_means_and_what_decided(
    answer: dict[str, Any], result: str, decided: str, template: Any
) -> None:
    found = preview_answer(COMPILED, case(), answer, HIDE)
    assert found is not None
    assert (found.outcome.result, found.decided) == (result, decided)
    assert (json.loads(found.template) if found.template else None) == template


INBOUND = {"event": "mo", "id": "7", "from": "+15005550001", "to": "+15005550006", "text": "Hi"}


def pasted(body: Any, **options: Any) -> Any:
    return preview_webhook(COMPILED, webhook_in(json.dumps(body), COMPILED), VALUES, HIDE, **options)


def test_a_webhook_matches_one_event_and_the_others_say_why_not() -> None:
    found = pasted(INBOUND)
    message, status = found.events
    assert found.filed == ("A message from +15005550001 to +15005550006: “Hi”",)
    assert (message.matches, message.reason) == (True, "")
    assert dict(message.bound) == {
        "messageid": "7", "from": "+15005550001", "to": "+15005550006", "text": "Hi",
    }  # fmt: skip
    assert json.loads(message.template) == PREVIEWED["Webhook"]["events"][0]
    assert not status.matches
    assert status.reason == "request_parameters/event: expected 'dlr', got 'mo'"
    assert found.answer == "HTTP 200"
    assert found.checked == "It is signed by us with the values above, as the provider would."


@pytest.mark.parametrize(
    ("check", "verdict", "said"),
    [
        ("signed", "accepted", "It is signed by us with the values above, as the provider would."),
        ("off", "accepted", "Its signature or key is not checked in this preview."),
        ("as it is", "unverified", "It is checked as it is."),
    ],
)
def test_the_check_is_passed_switched_off_or_made(check: Any, verdict: str, said: str) -> None:
    found = pasted(INBOUND, check=check)
    assert (found.received.verdict, found.checked) == (verdict, said)


@pytest.mark.parametrize(
    ("body", "filed"),
    [
        ({"event": "dlr", "id": "7", "state": "DELIVERED"}, ("The message with the id 7 is delivered.",)),
        ({"event": "dlr", "id": "7", "state": "ODD"}, ()),
        ({"event": "other"}, ()),
    ],
)
def test_what_will_be_filed_is_said_in_plain_words(body: dict[str, str], filed: tuple[str, ...]) -> None:
    assert pasted(body).filed == filed
