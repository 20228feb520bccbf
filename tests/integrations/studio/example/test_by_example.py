"""Samples of documentation become a document that compiles, sends what they show, and reads what they report."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations import cases, webhooks
from integrations.events import HttpResponse, InboundRequest, StatusUpdate
from integrations.language.document import compile_document
from integrations.language.values import dump
from integrations.requests import plan
from integrations.responses import read as read_answer
from integrations.studio.example.by_example import Draft, by_example, named_by_host
from integrations.studio.example.guesses import Meaning, SampleMessage
from integrations.studio.example.http_text import read_text
from integrations.studio.example.sample_limits import UnreadableText
from integrations.studio.example.samples import Sample, Samples

PROVIDERS = sorted(Path(__file__).parent.glob("samples/*.json"))


def samples_of(shown: dict[str, Any]) -> Samples:
    return Samples(
        read_text(shown["request"], "request"),
        None,
        read_text(shown["answer"], "response"),
        read_text(shown["error"], "response") if shown["error"] else None,
        tuple(read_text(text, "webhook") for text in shown["webhooks"]),
    )


def made(shown: dict[str, Any]) -> tuple[Samples, Draft]:
    samples = samples_of(shown)
    return samples, by_example(samples, SampleMessage(**shown["known"]), statuses=shown.get("say", {}))


def values_of(samples: Samples, draft: Draft) -> dict[str, str]:
    """The values that the samples have for the properties."""
    found = {}
    for name, sample in samples.named().items():
        for leaf in sample.leaves:
            meaning = draft.meanings[name][leaf.key]
            if meaning.role in ("credential", "property"):
                found.setdefault(meaning.label, leaf.text[len(meaning.before) :])
    labels = {item.label for item in compile_document(draft.document).properties}
    return {label: value for label, value in found.items() if label in labels}


@pytest.mark.parametrize("path", PROVIDERS, ids=lambda path: path.stem)
def test_a_draft_sends_the_request_of_the_sample(path):
    shown = json.loads(path.read_text())
    samples, draft = made(shown)
    request, known = samples.request, shown["known"]
    digits = "".join(each for each in known["sender"] if each.isdigit())
    sender = f"+{digits}" if len(digits) > 6 else known["sender"]
    message = {
        "from": sender,
        "to": "+" + "".join(each for each in known["to"] if each.isdigit()),
        "text": known["text"],
        "webhook_url": "https://sms.example.com/a1",
        "message_uuid": cases.MESSAGE_UUID,
    }
    if "file_url" in known:
        message["media"] = [{"url": known["file_url"]}]
    parts = plan(
        compile_document(draft.document), values_of(samples, draft), {**message, "content": known["text"]}
    )
    assert len(parts) == 1
    made_request = parts[0].request
    wanted = Sample("request", request.method, request.url, request.headers, request.body)
    expected = {leaf.key: leaf.text for leaf in wanted.leaves}
    for leaf in wanted.leaves:
        if draft.meanings["request"][leaf.key].role == "webhook_url":
            expected[leaf.key] = "https://sms.example.com/a1"
        elif draft.meanings["request"][leaf.key].role == "reference":
            expected[leaf.key] = cases.MESSAGE_UUID
    found = Sample(
        "request",
        made_request.method,
        made_request.url,
        tuple(made_request.headers.items()),
        made_request.body or b"",
    )
    found_leaves = {leaf.key: leaf.text for leaf in found.leaves}
    assert found.method == wanted.method
    assert found_leaves == expected


@pytest.mark.parametrize("path", PROVIDERS, ids=lambda path: path.stem)
def test_a_draft_reads_the_answer_of_the_sample(path):
    shown = json.loads(path.read_text())
    samples, draft = made(shown)
    template = compile_document(draft.document)

    def outcome(sample: Sample):
        headers = {name.lower(): value for name, value in sample.headers}
        response = HttpResponse(sample.status or 200, headers, sample.body)
        return read_answer(template, "SendMessage", values_of(samples, draft), {}, response)

    assert (outcome(samples.answer).result, outcome(samples.answer).messageid) == ("sent", shown["messageid"])
    if samples.error is not None:
        assert outcome(samples.error).result in ("failed", "unauthorized")


@pytest.mark.parametrize("path", PROVIDERS, ids=lambda path: path.stem)
def test_a_draft_reads_the_webhooks_of_the_samples(path):
    shown = json.loads(path.read_text())
    samples, draft = made(shown)
    template = compile_document(draft.document)
    kinds, statuses, ids = [], [], []
    for sample in samples.webhooks:
        headers = {name.lower(): value for name, value in sample.headers}
        query, body = sample.url.partition("?")[2], sample.body
        if reference := shown.get("reference"):
            body = body.replace(reference.encode(), cases.MESSAGE_UUID.encode())
        received = webhooks.read(template, InboundRequest(sample.method, "", query, headers, body), {})
        (event,) = received.events
        kinds.append(template.webhook.events[received.event_index].type)
        statuses.append(event.status if isinstance(event, StatusUpdate) else "")
        if isinstance(event, StatusUpdate):
            ids.append(event.messageid or event.message_uuid)
    assert (kinds, statuses) == (shown["events"], shown["statuses"])
    assert set(ids) == {shown["messageid"] or cases.MESSAGE_UUID}


@pytest.mark.parametrize("path", PROVIDERS, ids=lambda path: path.stem)
def test_cases_pass_and_have_nobody_s_data(path):
    shown = json.loads(path.read_text())
    samples, draft = made(shown)
    template = compile_document(json.dumps(draft.document))
    assert draft.notes == ()
    refused = 1 if samples.error is not None else 0
    files = 1 if "file_url" in shown["known"] else 0
    assert len(draft.cases) == 1 + files + refused + len(samples.webhooks)
    for case in json.loads(json.dumps(draft.cases)):
        assert cases.run(template, case) == ""
    written = json.dumps([draft.document, draft.cases])
    known = shown["known"]
    numbers = ["".join(each for each in known[name] if each.isdigit()) for name in ("to", "sender")]
    for value in [*shown["secrets"], *filter(None, numbers), known["text"]]:
        if value != "15005550001" and value != "15005550006":
            assert value not in written
            assert base64.b64encode(value.encode()).decode() not in written


ELKS = {
    "request": "curl https://api.46elks.com/a1/sms -u <api_username>:<api_password> -d from=CurlyElk -d to=+46766861004 -d message=Hi",
    "answer": '{"id": "s1234", "status": "created"}',
    "error": "",
    "webhooks": [],
}


def test_placeholders_of_documentation_name_properties():
    _samples, draft = made({**ELKS, "known": {}})
    assert draft.document == {
        "id": "46elks",
        "name": "46elks",
        "class": "sms",
        "properties": [{"name": "API user name", "secret": False}, "API password"],
        "auth": {"type": "Basic", "username": "$API user name$", "password": "$API password$"},
        "API": {
            "SendMessage": {
                "request_url": "https://api.46elks.com/a1/sms",
                "request_content_type": "form",
                "request_parameters": {"from": "$from$", "to": "$to$", "message": "$content$"},
                "response_map": {"id": "$messageid$"},
            }
        },
    }


def test_what_a_person_says_takes_the_place_of_guesses():
    samples = samples_of(ELKS)
    choices = {
        ("request", "form/message"): Meaning("text"),
        ("request", "form/from"): Meaning("property", "Sender name"),
        ("answer", "json/status"): Meaning("messageid"),
    }
    draft = by_example(samples, SampleMessage(), choices)
    method = draft.document["API"]["SendMessage"]
    assert method["request_parameters"] == {"from": "$Sender name$", "to": "$to$", "message": "$content$"}
    assert method["response_map"] == {"status": "$messageid$"}
    assert draft.meanings["request"]["form/message"].guessed is False
    assert draft.meanings["request"]["form/to"].guessed is True


@pytest.mark.parametrize(
    ("written", "known", "shape"),
    [
        ('"+15005550001"', "+1 (500) 555-0001", "$to$"),
        ('"15005550001"', "+1 500 555 0001", "$to|digits$"),
        ("15005550001", "0015005550001", "$to|digits|unjson$"),
        ('"0015005550001"', "+15005550001", "00$to|digits$"),
        ('"07700900001"', "+447700900001", "0$to|national$"),
        ('"7700900001"', "+447700900001", "$to|national$"),
        ('"tel:+15005550001"', "+15005550001", "tel:$to$"),
    ],
)
def test_a_number_is_written_as_the_provider_writes_it(written, known, shape):
    samples = Samples(read_text(f"curl https://x.example.com/sms --json '{{\"x\": {written}}}'", "request"))
    method = by_example(samples, SampleMessage(to=known)).document["API"]["SendMessage"]
    assert method["request_parameters"] == {"x": shape}


@pytest.mark.parametrize(
    ("header", "document"),
    [
        ("Authorization: Bearer s3cr3t-key-1", {"auth": {"type": "Bearer", "token": "$API token$"}, "properties": ["API token"]}),
        ("Authorization: App s3cr3t-key-1", {"request_headers": {"Authorization": "App $API key$"}, "properties": ["API key"]}),
        ("X-API-KEY: s3cr3t-key-1", {"request_headers": {"X-API-KEY": "$API key$"}, "properties": ["API key"]}),
        ("X-PRODUCTTOKEN: <YOUR PRODUCT TOKEN>", {"request_headers": {"X-PRODUCTTOKEN": "$Product token$"}, "properties": ["Product token"]}),
        ("X-Key: s3cr3t-key-1", {"request_headers": {"X-Key": "$Key$"}, "properties": ["Key"]}),
        ("X-Customer: s3cr3ta1b2c3d4e5f6a7b8", {"request_headers": {"X-Customer": "$Customer$"}, "properties": ["Customer"]}),
        ("X-TM-Username: ann-example", {"request_headers": {"X-TM-Username": "$TM user name$"}, "properties": [{"name": "TM user name", "secret": False}]}),
    ],
)  # fmt: skip
def test_credentials_become_properties(header, document):
    samples = Samples(read_text(f"curl -X POST https://x.example.com/sms -H '{header}'", "request"))
    found = by_example(samples).document
    assert {key: found[key] for key in document} == document
    assert "s3cr3t" not in json.dumps(found)


@pytest.mark.parametrize(
    ("webhook", "event"),
    [
        ('{"from": "15005550001", "text": "Hi", "media": ["https://x.example/a.png"]}', {"event_type": "mms", "request_parameters": {"from": "$from|international$", "text": "$text?$", "media": ["$urls$"]}}),
        ("from=%2B15005550001&NumMedia=1&MediaUrl0=https://x.example/a.png", {"event_type": "mms", "request_parameters": {"from": "$from$"}, "variables": {"urls": "$request|numbered:'MediaUrl'$"}}),
        ('[{"msisdn": "+15005550001", "message": "Hi", "ts": 1767268800}]', {"event_type": "message", "request_parameters": [{"msisdn": "$from$", "message": "$content?$", "ts": "$date?|epoch$"}]}),
        ('{"type": "dlr", "message_id": "m-1", "status": "DELIVRD", "err": "0"}', {"event_type": "messageStatus", "request_parameters": {"message_id": "$messageid$", "status": "$status$", "err": "$error_code?|null_if:'0'$", "type": "dlr"}, "status_map": {"DELIVRD": "delivered", "ENROUTE": "sent", "ACCEPTD": "queued", "UNDELIV": "failed", "REJECTD": "failed", "EXPIRED": "failed", "DELETED": "failed"}}),
        ('{"event": "message.delivered", "id": "m-1"}', {"event_type": "messageStatus", "request_parameters": {"event": "$status$", "id": "$messageid$"}, "status_map": {"message.delivered": "delivered", "message.queued": "queued", "message.sent": "sent", "message.read": "read", "message.failed": "failed", "message.undelivered": "failed", "message.rejected": "failed", "message.expired": "failed"}}),
        ("POST /in HTTP/1.1\nX-Auth-Token: t0k3n-1\n\nfrom=1&text=a", {"event_type": "message", "request_parameters": {"from": "$from$", "text": "$content?$"}, "verify": {"type": "header", "name": "X-Auth-Token", "value": "$Webhook token$"}}),
        ('{"to": {"number": "+15005550006"}, "from": {"number": "+15005550001", "name": "Ann"}, "text": "Hi"}', {"event_type": "message", "request_parameters": {"to": {"number": "$to$"}, "from": {"number": "$from$", "name": "$sendername?$"}, "text": "$content?$"}}),
        ('{"type": "ping"}', {"event_type": "ignore", "request_parameters": {"type": "ping"}}),
    ],
)  # fmt: skip
def test_a_webhook_becomes_an_event(webhook, event):
    draft = by_example(Samples(webhooks=(read_text(webhook, "webhook"),)))
    (found,) = draft.document["Webhook"]["events"]
    assert found == event
    assert [case["expect"]["events"][0]["type"] for case in draft.cases] == [event["event_type"]]


def test_webhooks_that_look_alike_are_told_apart():
    inbound = '{"id": "m-1", "from": "+15005550001", "to": "+15005550006", "text": "Hi"}'
    report = '{"id": "m-2", "from": "+15005550006", "to": "+15005550001", "text": "Hi", "status": "delivered", "cost": "1"}'
    draft = by_example(Samples(webhooks=tuple(read_text(text, "webhook") for text in (inbound, report))))
    assert [case["expect"]["events"][0]["type"] for case in draft.cases] == ["message", "messageStatus"]


def test_files_in_objects_are_sent_as_a_loop():
    request = """curl https://x.example.com/mms --json '{"to": "+15005550001", "text": "Look",
        "media": [{"url": "https://x.example/a.png", "type": "image/png"}]}'"""
    choices = {("request", "json/media/0/type"): Meaning("file_type")}
    api = by_example(Samples(read_text(request, "request")), SampleMessage(text="Look"), choices).document[
        "API"
    ]
    assert api["SendMessage"]["request_parameters"] == {"to": "$to$", "text": "$content$"}
    media = [
        {"$each": "$media$", "$as": "item", "$value": {"url": "$item.url$", "type": "$item.content_type$"}}
    ]
    assert api["SendFile"]["request_parameters"] == {"to": "$to$", "text?": "$text$", "media": media}


def test_a_file_of_a_form_is_sent_as_a_part():
    request = "curl https://x.example.com/mms -F to=+15005550001 -F 'text=Look here' -F file=@a.png"
    draft = by_example(Samples(read_text(request, "request")), SampleMessage(text="Look here"))
    method = draft.document["API"]["SendFile"]
    assert method["request_parameters"] == {"to": "$to$", "text?": "$text$", "file": "$media[0]$"}
    assert method["for_each"] == "media"
    assert [case["name"] for case in draft.cases] == ["A text is sent", "A file is sent"]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.46elks.com", ("46elks", "46elks")),
        ("rest.acme.co.uk", ("acme", "Acme")),
        ("10.0.0.1", ("provider", "Provider")),
        ("localhost", ("provider", "Provider")),
        ("", ("provider", "Provider")),
    ],
)
def test_a_provider_is_named_by_its_host(host, name):
    assert named_by_host(host) == name


ROLES = [
    "to", "from", "text", "file", "file_type", "file_name", "messageid", "reference", "status", "date", "error_code",
    "error_text", "sendername", "credential", "property", "webhook_url", "constant", "ignore",
]  # fmt: skip
SECRET = "zq7-S3cr3t/Kw9+x"
NAMES = st.sampled_from(
    ["to", "from", "text", "id", "status", "media", "url", "type", "key", "token", "code", "a b", "a?", "a??", "$first",
     "$to$", "$each", "@x", "é", "", "1x", "error", "message", "callback_url", "createdAt", SECRET, "MediaUrl0"]
)  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 10**16),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        ["+15005550001", "15005550001", "delivered", "DELIVRD", "$to$", "$$x|y$", "https://x.example/a.png", "<token>",
         "2026-01-05T12:00:00Z", "a$b$c", SECRET, f"x {SECRET} y", base64.b64encode(SECRET.encode()).decode(), "m-17", "<a>&'\""]
    ),
)  # fmt: skip
TREES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
FORMS = st.dictionaries(NAMES, st.text(max_size=8) | st.sampled_from(["1", SECRET, "delivered"]), max_size=5)


@st.composite
def _bodies(draw) -> tuple[str, str]:
    """A content type and a body."""
    kind = draw(st.sampled_from(["json", "form", "xml", "text", ""]))
    if kind == "json":
        return "application/json", json.dumps(draw(TREES))
    if kind == "form":
        return "application/x-www-form-urlencoded", urlencode(draw(FORMS))
    if kind == "xml":
        values = draw(
            st.lists(
                st.sampled_from(["1", "$to$", SECRET, "a & b", "+15005550001", "é"]), min_size=3, max_size=3
            )
        )
        one, two, three = values
        return (
            "text/xml",
            f"<m x={quoteattr(one)}><t>{escape(two)}</t><t><![CDATA[{three}]]></t><!-- {SECRET} --></m>",
        )
    return (
        ("text/plain", draw(st.text(max_size=30)) + draw(st.sampled_from(["", "| m-17", SECRET])))
        if kind
        else ("", "")
    )


@st.composite
def _samples(draw) -> Samples:
    def http(first: str, kind: str) -> Sample | None:
        header = draw(
            st.sampled_from(
                [
                    "",
                    "Authorization: Bearer " + SECRET,
                    f"X-Key: {SECRET}",
                    "X-Event: mo",
                    "Authorization: Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode(),
                ]
            )
        )
        content_type, body = draw(_bodies())
        lines = [
            first,
            *([header] if header else []),
            *([f"Content-Type: {content_type}"] if content_type else []),
            "",
            body,
        ]
        try:
            return read_text("\n".join(lines), kind)  # type: ignore[arg-type]
        except UnreadableText:
            return None

    method = draw(st.sampled_from(["GET", "POST", "PUT"]))
    path = draw(
        st.sampled_from(
            ["/sms", f"/v1/{SECRET.replace('/', '%2F')}/sms?key=1", "/a%24to%24/{id}/x?to=1&to=2&$to$=3", ""]
        )
    )
    host = draw(st.sampled_from(["https://api.example.com", "https://{region}.example.com", "{{base}}"]))
    answer = http("HTTP/1.1 200 OK", "response")
    error = http(f"HTTP/1.1 {draw(st.sampled_from([200, 400, 401, 500]))} X", "response")
    found = [http("POST /in?kind=mo HTTP/1.1", "webhook") for _index in range(draw(st.integers(0, 3)))]
    request, files = http(f"{method} {host}{path} HTTP/1.1", "request"), None
    if draw(st.booleans()):
        files = http(f"POST {host}/mms HTTP/1.1", "request")
    return Samples(request, files, answer, error, tuple(each for each in found if each is not None))


@given(_samples(), st.data())
@settings(max_examples=settings.default.max_examples // 2)
def test_every_draft_compiles_and_has_no_credentials(samples, data):
    leaves = [(name, leaf) for name, sample in samples.named().items() for leaf in sample.leaves]
    filters = st.sampled_from(["", "digits", "iso", "nothing", "map:'x'", "e164:'AU'", "'|$", "upper:1"])
    choices = {
        (name, leaf.key): Meaning(
            data.draw(st.sampled_from(ROLES)), data.draw(st.sampled_from(["", "API key", "from", "1x", "Text", "a.b"])),
            data.draw(filters), data.draw(st.sampled_from(["", leaf.text[:1]])),
        )
        for name, leaf in data.draw(st.lists(st.sampled_from(leaves), max_size=6) if leaves else st.just([]))
    }  # fmt: skip
    draft = by_example(
        samples,
        SampleMessage("+1 500 555 0001", "Acme", "Hello", "m-17"),
        choices,
        {"delivered": "sent", "x": "y"},
    )
    template = compile_document(json.dumps(draft.document))
    for case in draft.cases:
        assert cases.run(template, json.loads(json.dumps(case))) == ""
    assert not [note for note in draft.notes if note.startswith("This was left out")]
    hidden = any(
        meaning.role == "credential" and leaf.text[len(meaning.before) :] == SECRET
        for name, sample in samples.named().items()
        for leaf in sample.leaves
        for meaning in [draft.meanings[name][leaf.key]]
    )
    if hidden:
        written = dump([draft.document, draft.cases])
        assert SECRET not in written
        assert SECRET.replace("/", "%2F") not in written
        for value in (SECRET, f"ann:{SECRET}"):
            assert base64.b64encode(value.encode()).decode() not in written
