"""Each answer of a provider has one outcome, with a sentence where it is not sent."""

from __future__ import annotations

import pytest

from integrations.events import Fault, HttpResponse, Outcome
from integrations.language.document import compile_document
from integrations.responses import read

TEMPLATE = compile_document(
    {
        "id": "acme",
        "name": "Acme",
        "tables": {"errors": {"21610": "Opted out"}},
        "API": {
            "SendMessage": {
                "request_url": "https://api.example.com/",
                "response_map": {"data": [{"id": "$messageid$"}]},
                "response_success": {"$response.ok$": {"not": "false"}},
                "response_errors": [
                    {
                        "when": {"$response.code$": "21610"},
                        "result": "opted_out",
                        "code": "$response.code$",
                        "text": "$response.code|map:'errors'$",
                    }
                ],
            }
        },
    }
)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Fault("connect", "Refused."), Outcome("retry", text="Refused.")),
        (Fault("tls", "Expired."), Outcome("failed", text="Expired.")),
        (Fault("blocked", "Private."), Outcome("failed", text="Private.")),
        (Fault("unanswered", "Late."), Outcome("unknown", text="Late.")),
        (
            HttpResponse(200, {}, b'{"data": [{}, {"id": 12345678901234567890}]}'),
            Outcome("sent", "12345678901234567890"),
        ),
        (
            HttpResponse(429, {"retry-after": "7"}),
            Outcome("throttled", text="The provider responded with status 429.", retry_after=7.0),
        ),
        (HttpResponse(500, {}, b'{"code": 21610}'), Outcome("opted_out", code="21610", text="Opted out")),
        (
            HttpResponse(401, {}, b"no"),
            Outcome("unauthorized", text="The provider responded with status 401: no"),
        ),
        (HttpResponse(408), Outcome("unknown", text="The provider responded with status 408.")),
        (HttpResponse(504), Outcome("unknown", text="The provider responded with status 504.")),
        (HttpResponse(503), Outcome("retry", text="The provider responded with status 503.")),
        (HttpResponse(302), Outcome("failed", text="The provider responded with status 302.")),
        (
            HttpResponse(200),
            Outcome("unknown", text="The response is empty. The provider responded with status 200."),
        ),
        (
            HttpResponse(200, {}, b'{"da'),
            Outcome(
                "unknown",
                text='The response cannot be read. The body is not JSON: Unterminated string starting at at character 2. The provider responded with status 200: {"da',
            ),
        ),
        (
            HttpResponse(200, {}, b'{"ok": false, "data": {"id": 1}}'),
            Outcome(
                "failed",
                text='The provider responded with status 200: {"ok": false, "data": {"id": 1}} The condition response_success does not hold.',
            ),
        ),
    ],
)
def test_outcome(answer, outcome):
    assert read(TEMPLATE, "SendMessage", {}, {}, answer) == outcome


def outcome_of(method, answer, message=None):
    method = {"request_url": "https://api.example.com/", **method}
    template = compile_document({"id": "acme", "name": "Acme", "API": {"SendMessage": method}})
    return read(template, "SendMessage", {}, message or {}, answer)


MAP = {"response_map": {"id": "$messageid$"}}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "answer", "result", "messageid"),
    [
        ({}, HttpResponse(204), "sent", ""),
        ({}, HttpResponse(200, {}, b"<html>hello"), "sent", ""),
        (MAP, HttpResponse(200, {"content-type": "text/html"}, b"<html>hello"), "unknown", ""),
        (MAP, HttpResponse(200, JSON, b'{"id": 1.0}'), "sent", "1.0"),
        (MAP, HttpResponse(200, {"content-type": "text/plain"}, b'{"id": 1}'), "sent", "1"),
        ({"response_map": {"id": "$messageid?$"}}, HttpResponse(200, JSON, b"{}"), "sent", ""),
        (MAP, HttpResponse(200, JSON, b'{"id": ""}'), "failed", ""),
        # What cannot be read cannot be a refusal, by response_success neither.
        ({"response_success": {"$response.ok$": "true"}}, HttpResponse(200), "unknown", ""),
        ({"response_success": {"$response.ok$": "true"}}, HttpResponse(200, JSON, b'{"ok": tr'), "unknown", ""),
        ({"response_success": {"$response.ok$": "true"}}, HttpResponse(200, JSON, b"{}"), "failed", ""),
        ({"response_success": {"$status$": "202"}}, HttpResponse(200, JSON, b"{}"), "failed", ""),
        ({"response_success": {"$body$": {"matches": "^OK"}}, "response_format": "text"}, HttpResponse(200, {}, b"OK 1"), "sent", ""),
        ({"response_format": "text", "response_map": "OK $messageid$"}, HttpResponse(200, JSON, b"OK 1"), "sent", "1"),
        ({"response_format": "form", **MAP}, HttpResponse(200, {}, b"id=7&x=1"), "sent", "7"),
        ({"response_format": "xml", "response_map": {"r": {"id": "$messageid$"}}}, HttpResponse(200, {}, b'<r><id t="u">7</id></r>'), "sent", "7"),
        ({"response_map": {"r": {"id": "$messageid$"}}}, HttpResponse(200, {"content-type": "text/xml"}, "<?xml version='1.0' encoding='latin-1'?><r><id>é</id></r>".encode("latin-1")), "sent", "é"),
        (MAP, HttpResponse(200, {"content-type": "application/json; charset=iso-8859-1"}, '{"id": "é"}'.encode("latin-1")), "sent", "é"),
        ({"response_headers": {"X-Id": "$messageid$"}}, HttpResponse(201, {"x-id": "9"}), "sent", "9"),
        # A variable of the message is compared.
        ({"response_map": {"to": "$to$", "id": "$messageid$"}}, HttpResponse(200, JSON, b'{"to": "+2", "id": 1}'), "failed", ""),
        ({"response_map": {"to": "$to$", "id": "$messageid$"}}, HttpResponse(200, JSON, b'{"to": "+1", "id": 1}'), "sent", "1"),
        ({"response_map": [{"to": "$to$", "id": "$messageid$"}]}, HttpResponse(200, JSON, b'[{"to": "+2", "id": 1}, {"to": "+1", "id": 2}]'), "sent", "2"),
        # The order: 429, then the rules (5xx too), then 401 and the rest.
        ({"response_errors": [{"result": "opted_out"}]}, HttpResponse(429), "throttled", ""),
        ({"response_errors": [{"when": {"$status$": 500}, "result": "failed"}]}, HttpResponse(500), "failed", ""),
        ({"response_errors": [{"when": {"$status$": 401}, "result": "throttled"}]}, HttpResponse(401), "throttled", ""),
        ({"response_errors": [{"when": {"$response.e$": True}}]}, HttpResponse(200, JSON, b'{"e": 1}'), "failed", ""),
        ({"response_errors": [{"when": {"$response.e$": "2"}}, {"result": "retry"}]}, HttpResponse(407), "retry", ""),
        # Somebody gave up waiting: unknown, unless a rule names that very status.
        ({"response_errors": [{"when": {"$response.e$": "2"}}, {"result": "retry"}]}, HttpResponse(408), "unknown", ""),
        ({"response_errors": {"when": {"$status$": {"gte": 400}}}}, HttpResponse(524), "unknown", ""),
        ({"response_errors": {"when": {"$status$": [500, 524]}, "result": "retry"}}, HttpResponse(524), "retry", ""),
        ({"response_errors": [{"when": {"$status$": {"lt": 600}}}, {"when": {"$status$": "599"}, "result": "retry"}]}, HttpResponse(599), "retry", ""),
        ({"response_errors": {"when": [{"$status$": 504}, {"$body$": "x"}], "result": "throttled"}}, HttpResponse(504), "throttled", ""),
        ({"response_format": "text", "response_map": "OK: $messageid$"}, HttpResponse(200, {}, b"\r\n OK: 902 \r\n"), "sent", "902"),
        ({"response_map": {"r": {"id": "$messageid$"}}}, HttpResponse(200, {"content-type": "text/xml"}, b"\n <r><id> 9\n</id></r> \n"), "sent", "9"),
        ({"response_map": {"id": "$messageid$", "cost": {"amount": "$_?$"}}}, HttpResponse(200, {"content-type": "application/json"}, b'{"id": " 9 "}'), "sent", "9"),        (MAP, HttpResponse(200, JSON, b" " * 300_000), "unknown", ""),
    ],
)  # fmt: skip
def test_result_and_id(method, answer, result, messageid):
    outcome = outcome_of(method, answer, {"to": "+1"})
    assert (outcome.result, outcome.messageid) == (result, messageid)


def test_a_readable_answer_that_the_map_refuses_is_failed():
    outcome = read(TEMPLATE, "SendMessage", {}, {}, HttpResponse(200, {}, b"{}"))
    assert (outcome.result, outcome.messageid) == ("failed", "")
    assert "/API/SendMessage/response_map/data" in outcome.text


@pytest.mark.parametrize(
    ("body", "result", "says"),
    [
        (b"OK 17\n", "sent", ""),
        (b"ERR 9", "failed", "The provider responded with status 200: ERR 9 It does not match response_map"),
        (b" \n", "unknown", "The response is empty."),
        (b"\n<!DOCTYPE html><p>Maintenance", "unknown", "The response is a web page."),
    ],
)
def test_a_service_that_answers_in_texts(body, result, says):
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "API": {
                "SendMessage": {
                    "request_url": "https://api.example.com/",
                    "response_format": "text",
                    "response_map": "OK $messageid|trim$",
                }
            },
        }
    )
    answer = HttpResponse(200, {"content-type": "text/html"}, body)
    outcome = read(template, "SendMessage", {}, {}, answer)
    assert (outcome.result, outcome.messageid) == (result, "17" if result == "sent" else "")
    assert outcome.text.startswith(says)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            b'<?xml version="1.0"?><a><id>1</id></a>',
            "The response is XML, which its content type does not say: ",
        ),
        (b'<?xml version="1.0"?><html><body/></html>', "The response is a web page. "),
        (b"<a><id>1</id></a>", "The response is a web page. "),
    ],
)
def test_xml_that_is_not_declared_says_how_to_read_it(body: bytes, says: str) -> None:
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "API": {
                "SendMessage": {
                    "request_url": "https://api.example.com/",
                    "response_map": {"a": {"id": "$messageid$"}},
                }
            },
        }
    )
    outcome = read(template, "SendMessage", {}, {}, HttpResponse(200, {}, body))
    assert (outcome.result, outcome.text[: len(says)]) == ("unknown", says)
