"""Whatever a service sends is read as its template says, or refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.events import Consent, HttpResponse, Ignored, InboundMessage, InboundRequest, StatusUpdate
from integrations.language.document import compile_document
from integrations.received import Hints
from integrations.senders import normalise_number
from integrations.webhooks import hints, owner_values, read

PICTURES = compile_document(
    {
        "id": "acme",
        "name": "Acme",
        "Webhook": [
            {
                "event_type": "mms",
                "path": "one",
                "request_parameters": {"from": "$from$", "text": "$text?$", "file": "$url$"},
            },
            {
                "event_type": "mms",
                "path": "all",
                "request_parameters": {"from": "$from$", "text": "$text?$", "files": ["$urls$"]},
            },
        ],
    }
)
SMIL, PICTURE = "https://f.example/0.SMIL?key=1", "https://f.example/smil/p.jpg"


@pytest.mark.parametrize(
    ("path", "said", "expected"),
    [
        ("all", {"files": [SMIL, PICTURE]}, ("mms", (PICTURE,))),
        ("all", {"files": ["data:application/smil;base64,PHNtaWw+", PICTURE]}, ("mms", (PICTURE,))),
        ("all", {"files": [PICTURE, "https://f.example/a.smile", "https://f.example/smil"]}, ("mms", (PICTURE, "https://f.example/a.smile", "https://f.example/smil"))),
        ("one", {"file": PICTURE}, ("mms", (PICTURE,))),
        # The text is not lost with the layout.
        ("all", {"files": [SMIL]}, ("message", ())),
        ("one", {"file": SMIL}, ("message", ())),
    ],
)  # fmt: skip
def test_the_layout_of_an_mms_is_no_file(
    path: str, said: dict[str, Any], expected: tuple[str, tuple[str, ...]]
) -> None:
    request = post({"from": "+61412345678", "text": "Look", **said})
    found = read(PICTURES, replace(request, path=path), {}, number_to="+61855555555")
    assert found.verdict == "accepted", found.reason
    [event] = found.events
    assert isinstance(event, InboundMessage)
    assert (event.type, event.urls, event.text) == (*expected, "Look")
    [(_, bound)] = found.bindings
    assert SMIL not in str(bound)


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
    assert hints(service, request) == Hints(values={"Tag": frozenset(["a"])}, nameless=True)
    assert read(service, request, {"Tag": "a"}, number_to="+1").events == (Consent("optOut", "1", ("+1",)),)
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
    refused = hints(GENERIC, request).refused
    assert refused is None or refused.verdict in ("unmatched", "unparsable", "ignored")
    assert read(GENERIC, request, {}).verdict in ("accepted", "ignored", "unmatched", "unparsable")


def form(body, query="", path="", method="POST", **headers):
    kind = {"content-type": "application/x-www-form-urlencoded", **headers}
    return InboundRequest(method, path, query, kind, body if isinstance(body, bytes) else body.encode())


MESSAGE = {"event_type": "message", "request_parameters": {"from": "$from$", "text": "$text?$"}}
TEXT = InboundMessage("message", "+1", (), "Hi")


@pytest.mark.parametrize(
    ("event", "request_", "events"),
    [
        # One thing under two names, in shapes and in variables.
        ({"event_type": "message", "request_parameters": {"f": "$from$", "b": "$content$"}, "variables": {"content": "$text|upper$"}}, form("f=%2B1&b=hi"), [InboundMessage("message", "+1", (), "HI")]),
        ({"event_type": "message", "request_parameters": {"f": "$from$", "b": "$content$"}, "variables": {"text": "x$content$"}}, form("f=%2B1&b=hi"), [InboundMessage("message", "+1", (), "xhi")]),
        ({"event_type": "mms", "request_parameters": {"f": "$from$", "u": ["$url$"]}}, form("f=%2B1&u=a&u=b"), [InboundMessage("mms", "+1", (), "", ("a", "b"))]),
        ({"event_type": "mms", "request_parameters": {"f": "$from$", "u": "$url$"}}, form("f=%2B1&u=a&u=b"), [InboundMessage("mms", "+1", (), "", ("b",))]),
        # Query and body are merged for forms and for GET, not for JSON.
        (MESSAGE, form("text=Hi", "from=%2B1"), [TEXT]),
        (MESSAGE, InboundRequest("GET", "", "from=%2B1&text=Hi"), [TEXT]),
        (MESSAGE, InboundRequest("GET", "", "from=%2B1", {}, b'{"text": "Hi"}'), [TEXT]),
        (MESSAGE, InboundRequest("POST", "", "from=%2B1", {}, b'{"text": "Hi"}'), None),
        ({**MESSAGE, "request_query": {"from": "$from$"}, "request_parameters": {"text": "$text$"}}, InboundRequest("POST", "", "from=%2B1", {}, b'{"text": "Hi"}'), [TEXT]),
        ({**MESSAGE, "request_headers": {"X-From": "$from$"}, "request_parameters": "$text$"}, InboundRequest("POST", "", "", {"x-from": "+1"}, b"Hi"), [TEXT]),
        # A body is read as the event says, else as its header does.
        ({**MESSAGE, "request_content_type": "json"}, form('{"from": "+1", "text": "Hi"}'), [TEXT]),
        ({**MESSAGE, "request_charset": "latin-1"}, form(b"from=%2B1&text=%E9"), [InboundMessage("message", "+1", (), "é")]),
        ({**MESSAGE, "request_charset": "latin-1"}, InboundRequest("GET", "", "from=%2B1&text=%E9"), [InboundMessage("message", "+1", (), "é")]),
        (MESSAGE, form(b"from=%2B1&text=%E9", **{"content-type": "application/x-www-form-urlencoded; charset=ISO-8859-1"}), [InboundMessage("message", "+1", (), "é")]),
        (MESSAGE, InboundRequest("POST", "", "", {"content-type": "application/json; charset=utf-16"}, '{"from": "+1", "text": "Hi"}'.encode("utf-16")), [TEXT]),
        ({**MESSAGE, "request_content_type": "xml", "request_charset": "latin-1", "request_parameters": {"m": {"f": "$from$", "t": "$text$"}}}, form("<m><f>+1</f><t>é</t></m>".encode("latin-1")), [InboundMessage("message", "+1", (), "é")]),
        ({**MESSAGE, "request_content_type": "xml", "request_parameters": {"m": {"@id": "$messageid$", "f": "$from$", "t": "$text$"}}}, form('<n:m xmlns:n="u" id="7"><f type="e">+1</f><t>Hi</t></n:m>'), [InboundMessage("message", "+1", (), "Hi", (), "7")]),
        # The recipient: bound, of the address, or the only one.
        ({**MESSAGE, "request_parameters": {"from": "$from$", "text": "$text$", "n": ["$to$"]}}, form("from=%2B1&text=Hi&n=2&n=3"), [InboundMessage("message", "+1", ("2", "3"), "Hi")]),
        ({**MESSAGE, "request_content_type": "json"}, form('{"from": "+1", "text": "Hi"}', "to=%2B2"), [InboundMessage("message", "+1", ("+2",), "Hi")]),
        # `date` is ISO 8601 or unset.
        ({**MESSAGE, "request_parameters": {"from": "$from$", "text": "$text$", "d": "$date$"}}, form("from=%2B1&text=Hi&d=Tue,+3+Jun+2025+10:00:00+GMT"), [TEXT]),
        ({**MESSAGE, "request_parameters": {"from": "$from$", "text": "$text$", "d": "$date|iso$"}}, form("from=%2B1&text=Hi&d=Tue,+3+Jun+2025+10:00:00+GMT"), [InboundMessage("message", "+1", (), "Hi", date=datetime(2025, 6, 3, 10, tzinfo=UTC))]),
        # Parts of a text; without an id, or with nonsense, it is whole.
        ({**MESSAGE, "concat": {"id": "$request.r$", "part": "$request.n$", "count": "$request.m$"}}, form("from=%2B1&text=Hi&r=a&n=2&m=3"), [InboundMessage("message", "+1", (), "Hi", concat_id="a", concat_part=2, concat_count=3)]),
        ({**MESSAGE, "concat": {"id": "$request.r$", "part": "$request.n$", "count": "$request.m$"}}, form("from=%2B1&text=Hi&n=2&m=3"), [TEXT]),
        ({**MESSAGE, "concat": {"id": "$request.r$", "part": "$request.n$", "count": "$request.m$"}}, form("from=%2B1&text=Hi&r=a&n=1&m=" + "0" * 5000), [TEXT]),
        # Statuses: exact, any case, ranges, `*`; a strange id of ours counts as missing.
        ({"event_type": "messageStatus", "request_parameters": {"i": "$messageid$", "s": "$status$"}, "status_map": {"10-12": "retrying", ">20": "failed", "ok": "sent", "*": "ignore"}}, form("i=1&s=11"), [StatusUpdate("retrying", "1")]),
        ({"event_type": "messageStatus", "request_parameters": {"i": "$messageid$", "s": "$status$"}, "status_map": {"ok": "sent"}}, form("i=1&s=OK"), [StatusUpdate("sent", "1")]),
        ({"event_type": "messageRead", "request_parameters": {"i": "$message_uuid$"}}, form("i=7"), None),
        ({"event_type": "messageRead", "request_parameters": {"i": "$message_uuid$"}}, form("i=0B6F4C1E-3F2A-4D55-9A39-1D2F7B1F0A11"), [StatusUpdate("read", "", "0b6f4c1e-3f2a-4d55-9a39-1d2f7b1f0a11")]),
        # Elements: one that does not fit holds up none of the others.
        ({"event_type": "messageRead", "request_parameters": [{"i": "$messageid$"}]}, post([{"i": 1}, {}]), [StatusUpdate("read", "1")]),
        ({"event_type": "messageRead", "request_parameters": [{"i": "$messageid$"}]}, post([{"i": ""}, {}]), None),
        ({"event_type": "messageRead", "continue": True, "request_parameters": [{"i": "$messageid$"}]}, post([{"i": 1}, {}, {"i": 1}]), [StatusUpdate("read", "1")] * 2),
        # The path.
        ({**MESSAGE, "path": ["a/b", "c"]}, form("from=%2B1&text=Hi", path="/a/b/"), [TEXT]),
        ({**MESSAGE, "path": ""}, form("from=%2B1&text=Hi", path="a"), None),
        ({**MESSAGE, "request_method": "PUT"}, form("from=%2B1&text=Hi", method="PUT"), [TEXT]),
        (MESSAGE, form("from=%2B1&text=Hi", method="PUT"), None),
    ],
)  # fmt: skip
def test_what_an_event_makes_of_a_request(event, request_, events):
    received = read(template(event), request_, {})
    assert received.events == tuple(events or ())
    assert received.verdict == ("accepted" if events else "unmatched")


def test_when_chooses_the_event_for_good():
    first = {
        **MESSAGE,
        "when": {"$request.kind$": "text"},
        "request_parameters": {"from": "$from$", "x": "y"},
    }
    service = template(first, MESSAGE)
    assert read(service, form("from=%2B1&text=Hi&kind=text"), {}).verdict == "unmatched"
    assert read(service, form("from=%2B1&text=Hi&kind=other"), {}).events == (TEXT,)


def test_continue_tries_the_next_events_and_the_first_answers():
    out = {"event_type": "optOut", "continue": True, "request_parameters": {"from": "$from$", "out": "1"}}
    service = template({**out, "response": {"body": "first"}}, {**MESSAGE, "response": {"body": "second"}})
    received = read(service, form("from=%2B1&text=Hi&out=1"), {})
    assert (received.events, received.answer.body) == ((Consent("optOut", "+1", ()), TEXT), b"first")
    received = read(service, form("from=%2B1&text=Hi"), {})
    assert (received.events, received.answer.body) == ((TEXT,), b"second")


def test_an_unmatched_request_is_answered_as_ignored_where_its_event_verified_it():
    verify = {"type": "header", "name": "X-Key", "value": "k"}
    service = compile_document(
        {"id": "acme", "name": "Acme", "Webhook": {"response": {"ignored": {"status": 202}}, "events": [{**MESSAGE, "verify": verify}]}}
    )  # fmt: skip
    assert read(service, form("x=1", **{"x-key": "k"}), {}).answer.status == 202
    assert read(service, form("x=1"), {}).answer.status == 401
    assert read(service, form("x=1", method="PUT"), {}).answer.status == 400


def test_an_answer_that_cannot_be_written_loses_nothing():
    response = {"status": 201, "content_type": "form", "body": {"a": "$request.a$"}}
    service = template({**MESSAGE, "request_content_type": "json", "response": response})
    received = read(service, post({"from": "+1", "text": "Hi", "a": {"b": 1}}), {})
    assert (received.events, received.answer) == ((TEXT,), HttpResponse(201))


def test_head_is_answered_and_says_nothing():
    received = read(template(MESSAGE), form("from=%2B1&text=Hi", method="HEAD"), {})
    assert (received.verdict, received.events, received.answer) == ("ignored", (), HttpResponse(200))


def test_defaults_of_the_section_hold_where_an_event_says_nothing_else():
    events = [MESSAGE, {**MESSAGE, "path": "other", "response": {"status": 204}}]
    section = {"path": "in", "response": {"status": 202, "error": {"status": 418}}, "events": events}
    service = compile_document({"id": "acme", "name": "Acme", "Webhook": section})
    assert read(service, form("from=%2B1", path="in"), {}).answer.status == 202
    assert read(service, form("from=%2B1", path="other"), {}).answer.status == 204
    assert read(service, form("from=%2B1"), {}).answer.status == 418


PLAIN = {
    "event_type": "message",
    "request_parameters": {"from": "$from$", "to": "$to$", "text": "$content$"},
}


@pytest.mark.parametrize(
    ("webhook", "same"),
    [
        (PLAIN, True),
        ({"events": [PLAIN], "response": {"ignored": {"body": "$body$"}}}, True),
        ({**PLAIN, "request_query": {"k": "$Our$"}}, False),
        ({**PLAIN, "request_headers": {"k": "x$Our|lower$"}}, False),
        ({**PLAIN, "response": {"body": "$Our$"}}, False),
        ({**PLAIN, "response": {"headers": {"x-a": "$Our$"}}}, False),
        ({**PLAIN, "variables": {"sendername": "$Our$"}}, False),
        ({**PLAIN, "when": {"$Our$": "a"}}, False),
        ({**PLAIN, "verify": {"type": "query", "name": "k", "value": "$Our$"}}, False),
        ({"events": [PLAIN], "verify": {"type": "ip", "ranges": ["192.0.2.1"]}}, False),
        ({"events": [PLAIN], "response": {"ignored": {"body": "$Our$"}}}, False),
        ({"events": [PLAIN], "response": {"error": {"body": "$Our$"}}}, False),
    ],
)
def test_whether_the_values_of_properties_matter(webhook: dict[str, Any], same: bool) -> None:
    document = {"id": "own", "name": "Own", "properties": [{"name": "Our", "secret": False}]}
    assert compile_document({**document, "Webhook": webhook}).webhook.same_for_all is same


LISTS = {
    "id": "lists",
    "name": "Lists",
    "properties": [],
    "Webhook": [
        {"event_type": "messageDelivered", "request_parameters": {"reports": [{"id": "$messageid$"}]}},
        {"event_type": "mms", "request_parameters": {"texts": [{"from": "$from$", "media": ["$urls$"]}]}},
        {"event_type": "message", "request_parameters": {"texts": [{"from": "$from$", "text": "$text$"}]}},
        {"event_type": "ignore", "request_parameters": {"ping": "1"}},
    ],
}


def test_lists_of_several_kinds_in_one_request():
    element = {"from": "+1", "text": "Hi"}
    body = {
        "ping": "1",
        "texts": [element, {"from": "+1"}, {"from": "+2", "media": ["u"]}],
        "reports": [{"id": " 7 "}],
    }
    received = read(compile_document(LISTS), post(body), {})
    assert received.events == (
        StatusUpdate("delivered", "7"),
        InboundMessage("mms", "+2", (), "", ("u",)),
        TEXT,
        Ignored(),
    )
    assert (received.verdict, received.unfit) == ("accepted", ())  # the last one takes all that is left
    assert received.places() == ("/reports/0", "/texts/2", "/texts/0", "")
    received = read(compile_document(LISTS), post({**body, "ping": "0"}), {})
    assert [place for place, _ in received.unfit] == ["/texts/1"]


TEXT_ALONE = {"event_type": "message", "request_parameters": {"from": "$from$", "text": "$text$"}}
TEXT_INSIDE = {
    "event_type": "message",
    "request_parameters": {"entry": [{"texts": [{"from": "$from$", "text": "$text$"}]}]},
}
REPORTS = {"event_type": "messageDelivered", "request_parameters": {"reports": [{"id": "$messageid$"}]}}
REPORTS_INSIDE = {
    "event_type": "messageDelivered",
    "request_parameters": {"entry": [{"reports": [{"id": "$messageid$"}]}]},
}
PING = {"event_type": "ignore", "request_parameters": {"ping": "1"}}
SAID_AS = {"from": "$from$", "text": "$text$"}
PARTS = {"event_type": "message", "request_parameters": {"from": "$from$", "parts": [{"text": "$text$"}]}}
FILES = {"event_type": "mms", "request_parameters": {"from": "$from$", "media": [{"url": "$url$"}]}}
NUMBERED = {
    "event_type": "message",
    "request_parameters": {"items": [{**SAID_AS, "id": "$messageid$"}]},
}
SAID, DONE = {"from": "+1", "text": "Hi"}, {"id": "7"}
LEFT = 'Another event has taken what this is in. With "continue": true, it leaves it to the next'


@pytest.mark.parametrize(
    ("events", "body", "taken", "unfit"),
    [
        ([TEXT_ALONE, REPORTS], {**SAID, "reports": [DONE]}, [TEXT], [("/reports/0", LEFT)]),
        (
            [REPORTS_INSIDE, TEXT_INSIDE],
            {"entry": [{"texts": [SAID], "reports": [DONE]}, {"texts": [SAID]}]},
            [StatusUpdate("delivered", "7"), TEXT],
            [("/entry/0/texts/0", LEFT)],
        ),
        ([TEXT_ALONE, TEXT_INSIDE], {**SAID, "entry": [{"texts": [SAID]}]}, [TEXT], []),
        (
            [TEXT_ALONE, TEXT_INSIDE],
            {**SAID, "entry": [{"texts": [SAID, {**SAID, "text": "Bye"}, {**SAID, "from": "+2"}]}]},
            [TEXT],
            [("/entry/0/texts/1", LEFT), ("/entry/0/texts/2", LEFT)],
        ),
        ([TEXT_ALONE, PARTS], {**SAID, "parts": [{"text": "H"}, {"text": "i"}]}, [TEXT], []),
        (
            [TEXT_ALONE, FILES],
            {**SAID, "media": [{"url": "https://files.example.com/1"}]},
            [TEXT],
            [("/media/0", LEFT)],
        ),
        (
            [{**NUMBERED, "request_parameters": {**SAID_AS, "id": "$messageid$"}}, NUMBERED],
            {"id": "1", **SAID, "items": [{"id": "1", "from": "+1", "text": "<b>Hi</b>"}]},
            [replace(TEXT, messageid="1")],
            [],
        ),
        (
            [NUMBERED, {**NUMBERED, "request_parameters": {"items": [{"quoted": [SAID_AS]}]}}],
            {"items": [{"id": "1", **SAID, "quoted": [SAID, {**SAID, "text": "Bye"}]}]},
            [replace(TEXT, messageid="1")],
            [("/items/0/quoted/1", LEFT)],
        ),
        (
            [
                TEXT_ALONE,
                {**REPORTS, "request_parameters": {"from": "$messageid$", "reports?": [{"id": "$_$"}]}},
            ],
            SAID,
            [TEXT],
            [],
        ),
        ([PING, REPORTS], {"ping": "1", "reports": [DONE]}, [Ignored()], []),
        (
            [
                {"event_type": "ignore", "request_parameters": {"reports": [{"ping": "1"}]}},
                TEXT_ALONE,
                REPORTS,
            ],
            {**SAID, "reports": [{**DONE, "ping": "1"}, DONE]},
            [Ignored(), TEXT],
            [("/reports/1", LEFT)],
        ),
        (
            [{**TEXT_INSIDE, "continue": True}, REPORTS_INSIDE],
            {"entry": [{"texts": [SAID], "reports": [DONE]}]},
            [TEXT, StatusUpdate("delivered", "7")],
            [],
        ),
        (
            [TEXT_INSIDE],
            {"entry": [{"texts": [SAID, {"from": "+1"}]}, {"texts": [SAID]}]},
            [TEXT],
            [("/entry/0", "/Webhook/0/request_parameters/entry/0/texts/0/text: $text$ is missing or empty")],
        ),
    ],
    ids=[
        "beside a list",
        "inside",
        "the same text again",
        "other texts",
        "parts of the text",
        "a picture",
        "another form of the text",
        "other texts inside",
        "no list",
        "ignored",
        "an element that is ignored",
        "continue",
        "one that does not fit",
    ],
)
def test_nothing_that_is_taken_whole_is_lost_in_silence(
    events: list[Any], body: dict[str, Any], taken: list[Any], unfit: list[Any]
) -> None:
    received = read(compile_document({**LISTS, "Webhook": events}), post(body), {})
    assert (list(received.events), list(received.unfit)) == (taken, unfit)


def test_what_is_not_proven_beside_what_need_not_be_is_noted() -> None:
    texts = {"event_type": "message", "request_parameters": {"texts": [{"from": "$from$", "text": "$text$"}]}}
    reports = {
        "event_type": "messageDelivered",
        "verify": {"type": "header", "name": "X-Key", "value": "$Key$"},
        "request_parameters": {"reports": [{"id": "$messageid$"}]},
    }
    section = {"events": [texts, reports]}
    template = compile_document({"id": "acme", "name": "Acme", "properties": ["Key"], "Webhook": section})
    body = {"texts": [{"from": "+1", "text": "Hi"}], "reports": [{"id": "7"}]}
    forged = read(template, post(body), {"Key": "secret"})
    assert (forged.events, forged.verified) == ((TEXT,), False)
    assert forged.unfit == (("/reports/0", "The header X-Key is missing or wrong"),)
    alone = read(template, post({"texts": body["texts"]}), {"Key": "secret"})
    assert (alone.events, alone.unfit) == ((TEXT,), ())


@pytest.mark.parametrize("request_", [InboundRequest("HEAD"), InboundRequest("OPTIONS", query="a=1"), InboundRequest("GET"), InboundRequest("POST")])  # fmt: skip
def test_a_probe_is_answered(request_):
    received = read(template(MESSAGE), request_, {})
    assert (received.verdict, received.answer.status, received.events) == ("ignored", 200, ())


@pytest.mark.parametrize("request_", [InboundRequest("GET", query="from=%2B1&text=caf%E9"), form("from=%2B1&text=caf%E9")])  # fmt: skip
def test_escapes_of_another_character_set_are_refused(request_):
    received = read(template(MESSAGE), request_, {})
    assert (received.verdict, received.answer.status) == ("unparsable", 400)
    assert received.reason == (
        "The percent escapes of a form or query are not valid utf-8. "
        "If another character set is meant, set 'request_charset'."
    )


def test_u_0000_reaches_decode():
    event = {"event_type": "message", "request_parameters": {"f": "$from$", "t": "$text|decode:'utf-16-be'$"}}
    assert read(template(event), form("f=%2B1&t=%00H%00i"), {}).events == (TEXT,)


CAPTIONED = {"from": "$from$", "text": "$text$", "files": ["$urls?$"]}


@pytest.mark.parametrize("kind", ["message", "mms"])
@pytest.mark.parametrize("caption", [{}, {"text": ""}, {"text": None}])
def test_files_without_a_caption_are_filed_whatever_the_model_says(
    kind: str, caption: dict[str, Any]
) -> None:
    service = template({"event_type": kind, "request_parameters": CAPTIONED})
    received = read(service, post({"from": "+1", "files": [PICTURE], **caption}), {})
    assert received.events == (InboundMessage(kind, "+1", (), "", (PICTURE,)),)


def test_a_text_that_is_empty_without_files_is_unmatched_with_the_reason() -> None:
    service = template({"event_type": "message", "request_parameters": CAPTIONED})
    for said in ({"text": ""}, {}, {"text": "", "files": []}):
        received = read(service, post({"from": "+1", **said}), {})
        assert (received.verdict, received.events) == ("unmatched", ())
        assert received.tried == (
            ("/Webhook/0", "/Webhook/0/request_parameters/text: $text$ is missing or empty"),
        )


def test_a_text_of_white_space_is_a_text() -> None:
    service = template({"event_type": "message", "request_parameters": CAPTIONED})
    assert read(service, post({"from": "+1", "text": "  "}), {}).events[0].text == "  "


def test_a_probe_is_taken_by_an_event_for_it() -> None:
    service = template(
        {"event_type": "ignore", "request_parameters": {"a?": "x"}, "response": {"status": 202}}
    )
    assert read(service, InboundRequest("POST"), {}).answer.status == 202


STATUS = {
    "event_type": "messageDelivered",
    "request_parameters": {"account": "$Account$", "id": "$messageid$"},
}
MAYBE = {
    "event_type": "messageDelivered",
    "request_parameters": {"account?": "$Account$", "id": "$messageid$"},
}
EITHER = {
    "event_type": "messageDelivered",
    "request_parameters": {"account": {"$first": ["$Account$", "all"]}, "id": "$messageid$"},
}
EACH = {
    "event_type": "messageDelivered",
    "request_parameters": {"items": [{"account?": "$Account$", "id": "$messageid$"}]},
}
ANYBODYS = {"event_type": "message", "request_parameters": {"from": "$from$", "content": "$content$"}}
REST = {"event_type": "ignore", "request_parameters": {"id": "$_$"}}
OTHER = {
    "event_type": "messageSent",
    "request_query": {"account": "$Account$"},
    "request_parameters": {"id": "$messageid$"},
}


@pytest.mark.parametrize(
    ("events", "said", "expected"),
    [
        ([STATUS], {"account": "a", "id": "1"}, {"Account": {"a"}}),
        ([MAYBE], {"account": "a", "id": "1"}, {"Account": {"a"}}),
        # An event that does not match says nothing of whose it is.
        ([STATUS, ANYBODYS], {"account": "a", "id": "1"}, {"Account": {"a"}}),
        # One that is not tried after the first may match for others.
        ([STATUS, OTHER], {"account": "a", "id": "1"}, {"Account": {"a", "b"}}),
        ([EACH], {"items": [{"account": "a", "id": "1"}, {"account": "c", "id": "2"}]}, {"Account": {"a", "c"}}),
        # Whoever's key verifies these may read them.
        ([STATUS, REST], {"account": "a", "id": "1"}, {}),
        ([MAYBE], {"id": "1"}, {}),
        ([MAYBE], {"account": "", "id": "1"}, {}),
        ([STATUS], {"id": "1"}, {}),
        ([EITHER], {"account": "all", "id": "1"}, {}),
        ([EACH], {"items": [{"account": "a", "id": "1"}, {"id": "2"}]}, {}),
        # No event matches.
        ([STATUS], {"account": "a"}, {}),
    ],
)  # fmt: skip
def test_whose_value_a_request_needs(events: list[Any], said: Any, expected: dict[str, set[str]]) -> None:
    verify = {"type": "header", "name": "X-Key", "value": "$Key$"}
    source = {
        "id": "acme",
        "name": "Acme",
        "properties": [{"name": "Account", "secret": False}, "Key"],
        "Webhook": {"verify": verify, "events": events},
    }
    request = replace(post(said), query="account=b")
    assert owner_values(compile_document(source), request) == expected
    del source["Webhook"]["verify"]  # type: ignore[attr-defined]
    source["properties"] = [{"name": "Account", "secret": False}]
    assert owner_values(compile_document(source), request) == {}
