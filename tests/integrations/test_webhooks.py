"""Whatever a service sends is read as its template says, or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.events import Consent, HttpResponse, InboundMessage, InboundRequest, StatusUpdate
from integrations.language.document import compile_document
from integrations.senders import normalise_number
from integrations.webhooks import read

PARAMS = {"from": "+61855555555", "to": "+61123456789"}
SEED = compile_document(
    {
        "id": "acme",
        "name": "Acme",
        "Webhook": [
            {
                "event_key": key,
                "event_type": kind,
                "request_method": "POST",
                "request_parameters": {"method": "$event_key$", "params": params},
            }
            for key, kind, params in (
                ("message", "message", {"from": "$from$", "to": "$to$", "content": "$content$"}),
                ("file", "mms", {"from": "$from$", "to": "$to$", "text": "$text$", "url": "$url$"}),
                ("delivered", "messageDelivered", {"messageid": "$messageid$"}),
            )
        ],
    }
)


def template(*events):
    return compile_document({"id": "acme", "name": "Acme", "Webhook": list(events)})


def post(document):
    return InboundRequest(
        "POST", headers={"content-type": "application/json"}, body=json.dumps(document).encode()
    )


@pytest.mark.parametrize(
    ("method", "params", "event"),
    [
        (
            "message",
            {**PARAMS, "content": "Hello there!"},
            InboundMessage("message", PARAMS["from"], (PARAMS["to"],), "Hello there!"),
        ),
        (
            "file",
            {**PARAMS, "text": "A file", "url": "https://y/f"},
            InboundMessage("mms", PARAMS["from"], (PARAMS["to"],), "A file", ("https://y/f",)),
        ),
        ("delivered", {"messageid": 12345678901234567890}, StatusUpdate("delivered", "12345678901234567890")),
    ],
)
def test_the_published_documents(method, params, event):
    received = read(SEED, post({"method": method, "params": params}), {})
    assert (received.verdict, received.events, received.answer) == ("accepted", (event,), HttpResponse(200))


@pytest.mark.parametrize(
    ("body", "verdict", "reason"),
    [
        (b"[" * 100_000, "unparsable", "The JSON is nested more than 64 levels deep."),
        (b'{"a": NaN}', "unparsable", "NaN is not a JSON number."),
        (b'"\xff"', "unparsable", "The body is not valid utf-8."),
        (b" " * (2**20 + 1), "unparsable", "The body is larger than 1 MiB."),
        (b'{"method": "other"}', "unmatched", "No event of the template matches the request."),
    ],
)
def test_refusals(body, verdict, reason):
    received = read(SEED, InboundRequest("POST", headers={"content-type": "application/json"}, body=body), {})
    assert (received.verdict, received.events, received.reason) == (verdict, (), reason)
    assert received.answer == HttpResponse(400)
    assert [pointer for pointer, _ in received.tried] == ["/Webhook/0", "/Webhook/1", "/Webhook/2"]


def test_statuses_by_map_in_a_form_with_iteration_and_answer():
    service = template(
        {
            "event_type": "messageStatus",
            "path": "status",
            "request_parameters": {"id": "$messageid$", "s": "$status$"},
            "status_map": {"DELIVRD": "delivered", ">20": "failed"},
            "response": {"body": {"ours": "$message_uuid$"}},
        }
    )
    request = InboundRequest("GET", "/status/", "id=7&s=21")
    received = read(service, request, {}, message_uuid="u-1")
    assert received.events == (StatusUpdate("failed", "7"),)
    assert received.answer == HttpResponse(200, {"content-type": "application/json"}, b'{"ours":"u-1"}')
    assert read(service, InboundRequest("GET", "/status/", "id=7&s=3"), {}).verdict == "unmatched"
    assert read(service, InboundRequest("GET", "/other", "id=7&s=21"), {}).verdict == "unmatched"


def test_a_challenge_is_answered():
    event = {"event_type": "ignore", "request_query": {"hub.challenge": "$c$"}, "response": {"body": "$c$"}}
    received = read(template(event), InboundRequest("GET", query="hub.challenge=abc"), {})
    assert (received.verdict, received.answer.body) == ("ignored", b"abc")


def test_without_properties_they_match_anything():
    service = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "properties": [{"name": "Tag", "secret": False}],
            "Webhook": {"event_type": "optOut", "request_parameters": {"tag": "$Tag$", "n": "$from$"}},
        }
    )
    request = InboundRequest(
        "POST", headers={"content-type": "application/x-www-form-urlencoded"}, body=b"tag=a&n=1"
    )
    assert read(service, request, None, number_to="+1").events == (Consent("optOut", "1", ("+1",)),)
    assert read(service, request, {"Tag": "b"}).verdict == "unmatched"


@pytest.mark.parametrize(
    ("given_number", "country", "result"),
    [
        ("0412 345 678", "AU", "+61412345678"),
        ("61412345678", None, "+61412345678"),
        ("12345", "US", "12345"),
        ("Acme Ltd", None, "Acme Ltd"),
    ],
)
def test_senders_are_normalised(given_number, country, result):
    assert normalise_number(given_number, country) == result


@pytest.mark.parametrize("number", ["", "12", "+1", "a name that is too long"])
def test_other_senders_are_refused(number):
    with pytest.raises(ValueError, match="is not a phone number"):
        normalise_number(number, "US")


GENERIC = compile_document(
    (Path(__file__).parents[2] / "integrations/catalog/generic/template.json").read_text()
)


@given(
    st.sampled_from(["GET", "POST", "PUT", ""]),
    st.text(),
    st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "text/xml"]),
    st.binary()
    | st.text().map(
        lambda text: json.dumps({"method": "message", "params": {"from": text, "to": [text]}}).encode()
    ),
)
def test_any_input_is_received(method, query, content_type, body):
    request = InboundRequest(method, query, query, {"content-type": content_type, "x": query}, body)
    assert read(GENERIC, request, None).verdict in ("accepted", "ignored", "unmatched", "unparsable")
