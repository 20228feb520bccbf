"""What other systems know of a provider becomes a document that sends and receives the same, without secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations import cases
from integrations.language.document import compile_document
from integrations.language.values import dump
from integrations.studio import importers
from integrations.studio.importers import ImportProblem, ImportReport

FOLDER = Path(__file__).parent / "imports"
OURS, THEIRS, MESSAGE_ID = "+15005550006", "+15005550001", "5f0c2d6e-0000-4000-8000-00000000000a"
FILE = {
    "url": "https://sms.example.com/f/a.gif",
    "content_type": "image/gif",
    "filename": "a.gif",
    "base64": "R0k=",
}
# Each with the name of what to choose, and the secrets in it.
FILES = {
    "kannel.conf": ("kannel", "", ["s3a-l10n-77", "another-secret-9"]),
    "fusionpbx.csv": ("fusionpbx", "", ["fog-horn-4411", "k-998877", "lighthouse-7"]),
    "fusionpbx.sql": ("fusionpbx", "", ["t0k-en-5"]),
    "fusionpbx.json": ("fusionpbx", "gull", ["gull-token-66"]),
    "rapidpro.json": ("rapidpro", "", ["pier-key-31", "pier-secret-8", "abc-def-123"]),
    "rapidpro_form.json": ("rapidpro", "", ["sea-salt-55", "cGllcjpzZWEtc2FsdC01NQ"]),
    "rapidpro_xml.json": ("rapidpro", "", ["jetty-pass-12"]),
    "postman.json": ("postman", "Send form", ["beacon-key-3141", "beacon-live-0815"]),
    "published.json": (
        "published",
        "",
        ["quay-live-token-9", "quay-client-secret-4", "quay-query-key-5", "quay-pass-6"],
    ),
}


def text_of(file: str) -> str:
    return (FOLDER / file).read_text()


def imported(file: str, name: str = "") -> ImportReport:
    return importers.read(text_of(file), name=name or FILES[file][1])


def labels(report: ImportReport) -> list[str]:
    return [
        item if isinstance(item, str) else f"({item['name']})"
        for item in report.document.get("properties", [])
    ]


def difference(report: ImportReport, case: dict[str, Any]) -> str:
    """How a case fails with the document that was imported; "" if it passes."""
    template = compile_document(report.document)
    values = {item.label: f"value of {item.label}" for item in template.properties if item.type != "url"}
    return cases.run(template, {"name": "", "properties": values, **case})


def sends(report: ImportReport, expected: dict[str, Any], **message: Any) -> str:
    case = {"kind": "send", "message_uuid": MESSAGE_ID, "expect": [expected]}
    return difference(
        report, {**case, "message": {"from": OURS, "to": THEIRS, "content": "Fog at 5 & 6?", **message}}
    )


def answers(report: ImportReport, response: dict[str, Any], outcome: dict[str, Any]) -> str:
    message = {"from": OURS, "to": THEIRS, "content": "Hello"}
    case = {"kind": "send", "message": message, "responses": [response], "outcome": outcome}
    return difference(report, case)


def receives(report: ImportReport, request: dict[str, Any], *events: dict[str, Any], **response: Any) -> str:
    expect = {"events": list(events), **({"response": response} if response else {})}
    return difference(report, {"kind": "receive", "request": request, "expect": expect})


@pytest.mark.parametrize("file", FILES)
def test_a_text_tells_its_kind(file: str) -> None:
    assert importers.detect(text_of(file)) == FILES[file][0]


@pytest.mark.parametrize("file", FILES)
def test_no_secret_is_in_the_document_or_the_report(file: str) -> None:
    report = imported(file)
    compile_document(report.document)
    written = dump([report.document, report.taken, report.left])
    assert [secret for secret in FILES[file][2] if secret in written] == []


@pytest.mark.parametrize(
    "text", ["", "Dear Sir,", "[]", "{}", "group = sms-service", '{"a": 1}', "\x00", "a,b\n1,2"]
)
def test_other_texts_are_of_no_kind(text: str) -> None:
    assert importers.detect(text) == ""
    with pytest.raises(ImportProblem, match=r"^(Nobody knows what this is|There is nothing to import)"):
        importers.read(text)


def test_a_kannel_group_sends_and_receives_the_same() -> None:
    report = imported("kannel.conf")
    assert labels(report) == ["(User)", "Pass"]
    assert report.document["limits"] == {"per_second": 20}
    query: dict[str, str] = {
        "user": "value of User", "pass": "value of Pass", "to": THEIRS, "from": OURS, "msg": "Fog at 5 & 6?",
        "enc": "0", "cs": "UTF-8", "ref": MESSAGE_ID, "fixed": "a b",
    }  # fmt: skip
    url = "https://sms.harbour.example/api/send"
    assert not sends(report, {"method": "GET", "url": url, "query": query})
    assert not sends(
        report, {"method": "GET", "url": url, "query": {**query, "msg": "Ж", "enc": "2"}}, content="Ж"
    )
    assert not answers(report, {"status": 200, "text": "OK id=77ab"}, {"result": "sent", "messageid": "77ab"})
    assert not answers(report, {"status": 200, "text": "BUSY"}, {"result": "retry", "text": "BUSY"})
    assert not answers(report, {"status": 200, "text": "ERR 4"}, {"result": "failed", "text": "ERR 4"})
    here: dict[str, Any] = {"method": "GET", "ip": "198.51.100.8"}
    sms = {**here, "query": {"msisdn": THEIRS, "shortcode": OURS, "body": "Ahoy"}}
    event = {"type": "message", "from": THEIRS, "to": OURS, "content": "Ahoy"}
    assert not receives(report, sms, event, status=200, text="ACK")
    delivered = {**here, "query": {"ref": "77ab", "dlr-mask": "1"}}
    assert not receives(
        report, delivered, {"type": "messageStatus", "messageid": "77ab", "status": "delivered"}
    )
    assert not receives(report, {**sms, "ip": "192.0.2.1"}, status=401)


def test_what_a_kannel_group_has_besides_is_told() -> None:
    left = imported("kannel.conf").left
    assert "The group “sendsms-user” was not taken." in left
    assert "The code %u of “send-url” has no counterpart, and was left out." in left
    assert "“alt-charset” was not taken. Texts are sent and read in UTF-8." in left
    assert "“denied-smsc-id” was not taken." in left


def test_the_password_of_a_kannel_group_proves_who_calls() -> None:
    text = """
        group = smsc
        smsc = "http"
        system-type = generic
        send-url = http://10.0.0.7:8080/x?to=%P
        status-success-regex = ok
        smsc-username = pier
        smsc-password = "low \\"tide\\" 9"
    """
    report = importers.read(text)
    assert labels(report) == ["Webhook password"]
    request: dict[str, Any] = {"method": "GET", "query": {"from": THEIRS, "to": OURS, "text": "x"}}
    right = {**request, "query": {**request["query"], "password": "value of Webhook password"}}
    assert not receives(report, right, {"type": "message", "from": THEIRS, "to": OURS, "content": "x"})
    assert not receives(report, request, status=401)
    form = {"method": "POST", "form": right["query"]}
    assert not receives(report, form, {"type": "message", "from": THEIRS, "to": OURS, "content": "x"})
    assert any(each.startswith("Delivery reports were not taken") for each in report.left)


def test_settings_of_fusionpbx_send_and_receive_the_same() -> None:
    report = imported("fusionpbx.csv")
    assert labels(report) == ["(User name)", "Password", "API key"]
    attributes = {"from": "15005550006", "to": [THEIRS], "body": "Fog at 5 & 6?"}
    data = {"type": "message", "api_key": "value of API key", "attributes": attributes}
    request = {"method": "POST", "url": "https://api.lighthouse.example/v3/15005550006/messages"}
    headers = {"Content-Type": "application/vnd.api+json", "X-Channel": "web", "X-Debug": None}
    assert not sends(report, {**request, "headers": headers, "json": {"data": data}})
    with_file = {**attributes, "body": "Look", "media_urls": [FILE["url"]], "is_mms": "true"}
    data = {**data, "attributes": with_file}
    assert not sends(
        report, {**request, "json": {"data": data}}, text="Look", content=FILE["url"], media=[FILE]
    )
    payload: dict[str, Any] = {
        "from": {"phone_number": THEIRS},
        "to": [{"phone_number": OURS}],
        "text": "Ahoy",
    }
    event: dict[str, Any] = {"type": "message", "from": THEIRS, "to": OURS, "content": "Ahoy"}
    assert not receives(report, {"method": "POST", "json": {"data": {"payload": payload}}}, event)
    payload["media"] = [{"url": "https://x.example/1.png"}, {"url": "https://x.example/2.png"}]
    event = {**event, "type": "mms", "urls": ["https://x.example/1.png", "https://x.example/2.png"]}
    assert not receives(report, {"method": "POST", "json": {"data": {"payload": payload}}}, event)
    assert "“outbound / header / X-Debug” was not taken. It is disabled." in report.left
    assert "“inbound / content / message_media_type” was not taken." in report.left


def test_a_dump_of_fusionpbx_is_read() -> None:
    report = imported("fusionpbx.sql")
    assert report.document["name"] == "Captain's SMS"
    form = {"From": OURS, "To": THEIRS, "Body": "Fog at 5 & 6?", "Route": "west(1)"}
    url = "https://captain.example/sms.php"
    assert not sends(
        report, {"method": "POST", "url": url, "query": {"token": "value of Token"}, "form": form}
    )
    request = {"method": "POST", "ip": "203.0.113.9", "form": {"From": THEIRS, "To": OURS, "Body": "Ahoy"}}
    assert not receives(report, request, {"type": "message", "from": THEIRS, "to": OURS, "content": "Ahoy"})
    assert not receives(report, {**request, "ip": "192.0.2.1"}, status=401)


@pytest.mark.parametrize("delimiter", ["\t", ";", " | "])
def test_tables_of_fusionpbx_have_any_delimiter_and_copies_none(delimiter: str) -> None:
    rows = [line.split(",") for line in text_of("fusionpbx.csv").splitlines()]
    expected = imported("fusionpbx.csv").document
    assert importers.read("\n".join(delimiter.join(row) for row in rows)).document == expected
    lines = "\n".join("\t".join(cell or "\\N" for cell in row) for row in rows[1:])
    copied = f"COPY public.v_provider_settings ({', '.join(rows[0])}) FROM stdin;\n{lines}\n\\.\n"
    assert importers.read(copied).document == expected


def test_lists_of_fusionpbx_are_lists() -> None:
    report = imported("fusionpbx.json")
    assert report.document["auth"] == {"type": "Bearer", "token": "$API token$"}
    sent = {"to": [{"number": THEIRS}], "text": "Fog at 5 & 6?"}
    assert not sends(report, {"url": "https://gull.example/v1/out", "json": sent})
    message: dict[str, Any] = {
        "from": THEIRS,
        "to": [OURS],
        "text": "Ahoy",
        "media": ["https://x.example/1.png"],
    }
    event = {"type": "mms", "from": THEIRS, "to": [OURS], "content": "Ahoy", "urls": message["media"]}
    assert not receives(report, {"method": "POST", "json": [{"message": message}]}, event)


def test_a_channel_of_rapidpro_sends_and_receives_the_same() -> None:
    report = imported("rapidpro.json")
    assert labels(report) == ["Key", "Secret", "API key"]
    body = {
        "id": MESSAGE_ID,
        "message": {"text": "Fog at 5 & 6?", "to": THEIRS, "from": OURS},
        "channel": "0a9b7c1e-1111-4222-8333-444455556666",
        "secret": "value of Secret",
        "flash": False,
        "note": "costs $5 ",
    }
    expected = {"method": "POST", "url": "https://gw.pier.example/push", "json": body}
    headers = {"Authorization": "Token value of API key", "X-Region": "north"}
    query = {"to": "15005550001", "key": "value of Key"}
    assert not sends(report, {**expected, "query": query, "headers": headers})
    assert not answers(report, {"status": 200, "text": '{"ok": true}'}, {"result": "sent"})
    assert answers(report, {"status": 200, "text": '{"ok": false}'}, {"result": "sent"})
    status = {"type": "messageDelivered", "message_uuid": MESSAGE_ID}
    assert not receives(report, {"method": "GET", "path": "delivered", "query": {"id": MESSAGE_ID}}, status)
    for field in ("msisdn", "from", "sender"):
        request = {"method": "POST", "path": "receive", "form": {field: THEIRS, "text": "Ahoy"}}
        event = {"type": "message", "from": THEIRS, "content": "Ahoy"}
        assert not receives(report, request, event, status=200, text="<ok/>")
    stopped = {"method": "POST", "path": "stopped", "form": {"from": THEIRS}}
    assert not receives(report, stopped, {"type": "optOut", "from": THEIRS})
    assert "“callback_domain” was not taken." in report.left
    assert "The variable unknown is not known here, and was left out." in report.left


def test_forms_and_xml_of_rapidpro_are_escaped() -> None:
    report = imported("rapidpro_xml.json")
    xml = {"sms": {"pass": "value of Pass", "to": "15005550001", "body": "Fog at 5 & 6?"}}
    assert not sends(report, {"method": "PUT", "url": "https://jetty.example/xml", "xml": xml})
    config = {
        "send_url": "https://pier.example/x",
        "content_type": "urlencoded",
        "send_body": "t={{text}}&n=a%26b",
    }
    form = {"t": "Fog at 5 & 6?", "n": "a&b"}
    assert not sends(importers.read(json.dumps(config)), {"url": "https://pier.example/x", "form": form})


def test_basic_authentication_of_rapidpro_is_taken_apart() -> None:
    auth = {"type": "Basic", "username": "$User name$", "password": "$Password$"}
    assert imported("rapidpro_form.json").document["auth"] == auth


def test_a_request_of_a_collection_is_chosen_by_its_name() -> None:
    names = ("Messages / Send SMS", "Messages / Send form", "Messages / Send picture", "Balance")
    for name in ("", "Send SNS"):
        with pytest.raises(ImportProblem) as caught:
            importers.read(text_of("postman.json"), name=name)
        assert caught.value.choices == names
        assert "“Messages / Send SMS”" in str(caught.value)
    for name in ("send sms", "Messages / Send SMS"):
        assert (
            imported("postman.json", name).taken[1]
            == "The request “Messages / Send SMS” is how a text is sent."
        )


def test_a_request_of_a_collection_sends_the_same() -> None:
    report = imported("postman.json", "Send SMS")
    assert labels(report) == ["(Account ID)", "API token"]
    url = "https://api.beacon.example/v2/accounts/value%20of%20Account%20ID/messages"
    body = {"to": THEIRS, "from": OURS, "text": "Fog at 5 & 6?"}
    headers = {"Authorization": "Bearer value of API token", "X-Trace": "off", "X-Old": None}
    assert not sends(report, {"url": url, "query": {"dry": "0"}, "headers": headers, "json": body})
    accepted = {"status": 202, "json": {"messageId": "m-1", "state": "queued"}}
    assert not answers(report, accepted, {"result": "sent", "messageid": "m-1"})
    refused = {"status": 400, "json": {"error": {"code": 21, "message": "No such number"}}}
    assert not answers(report, refused, {"result": "failed", "code": "21", "text": "No such number"})
    assert "“debug” was not taken. It is disabled." in report.left
    assert "“prerequest” was not taken. Scripts are not run." in report.left
    form = {"recipient": "15005550001", "sender": OURS, "message": "Fog at 5 & 6?"}
    headers = {"X-Beacon-Key": "value of Beacon key"}
    assert not sends(imported("postman.json", "Send form"), {"headers": headers, "form": form})
    assert "for_each" in imported("postman.json", "Send picture").document["API"]["SendFile"]


def test_secrets_of_a_document_become_properties() -> None:
    report = imported("published.json")
    assert labels(report) == ["API key", "Client secret", "API key 2", "Key", "Password"]
    assert report.document["request_headers"]["Authorization"] == "Bearer $API key 2$"
    assert report.document["OAuth2"]["client_secret"] == "$Client secret$"
    method = report.document["API"]["SendMessage"]
    assert method["request_url"] == "https://quay.example/send?key=$Key$"
    assert method["request_parameters"]["password"] == "$Password$"
    assert method["request_parameters"]["key"] == "$API key$"


def test_a_snippet_without_an_id_gets_one() -> None:
    text = '"API": {"SendMessage": {"request_url": "https://api.buoy.example/x", "request_parameters": "$content$",}}'
    report = importers.read(text)
    assert (report.document["id"], report.document["name"]) == ("buoy", "Buoy")
    assert report.left[:2] == [
        "“id” is missing, so “buoy” was written.",
        "“name” is missing, so “Buoy” was written.",
    ]


GENERIC = "group = smsc\nsmsc = http\nsystem-type = generic\n"


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("group = smsc\nsmsc = smpp\n", "", "There is no group with “group = smsc” and “smsc = http”."),
        (
            "group = smsc\nsmsc = http\nsystem-type = kannel\n",
            "",
            "The system-type of this group is “kannel”.",
        ),
        (GENERIC, "", "“send-url” has no URL that begins with http:// or https:// and a host."),
        (f"{GENERIC}smsc-id = a\n\n{GENERIC}smsc-id = a", "", "Choose one by its smsc-id: “a”, “a (2)”."),
        ("x", "fusionpbx", "The table needs its first line"),
        ("provider_setting_name\n", "", "There are no provider settings in this text"),
        (
            "provider_setting_name,provider_setting_value\nhttp_method,GET",
            "",
            "There is no setting http_destination",
        ),
        ("{", "rapidpro", "The JSON cannot be read: "),
        ("{}", "rapidpro", "This is no External channel: it has no “send_url”."),
        (
            '{"send_url": "ftp://x"}',
            "",
            "“send_url” has no URL that begins with http:// or https:// and a host.",
        ),
        (
            '{"send_url": "https://a.example", "content_type": "json", "send_body": "{{{text}}"}',
            "",
            "“send_body” is not JSON: ",
        ),
        ("[]", "postman", "A Postman collection is exported as JSON."),
        ('{"info": {}, "item": []}', "", "There is no request in this collection."),
        (
            '{"info": {}, "item": [{"name": "a", "request": {"method": "GET", "url": ""}}]}',
            "",
            "The request “a” cannot be read: ",
        ),
        ('{"API": {}, "id": "!", "name": "x"}', "", "The document cannot be used: /id (line 1, column 20): "),
        (
            f'{GENERIC}send-url = "https://tide.example/x?password=tide"',
            "",
            "A secret of this text is also part of something else in it",
        ),
        ("x" * (2 * 1024 * 1024 + 1), "", "The text is larger than 2 MiB. Import a part of it."),
    ],
)
def test_what_cannot_be_imported_is_refused_with_a_sentence(text: str, kind: str, says: str) -> None:
    with pytest.raises(ImportProblem) as caught:
        importers.read(text, kind)
    assert says in str(caught.value)


def test_an_expression_that_cannot_be_used_is_left_out() -> None:
    text = f'{GENERIC}send-url = https://a.example/x\nstatus-success-regex = "(?<=a)b"\n'
    report = importers.read(text)
    assert "response_success" not in report.document["API"]["SendMessage"]
    assert any(each.startswith("This was left out: ") for each in report.left)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.from_regex(r"[a-z]{3}-[A-Z0-9]{5,40}", fullmatch=True), st.data())
def test_no_secret_is_in_any_document(file: str, secret: str, data: st.DataObject) -> None:
    text = text_of(file).replace(data.draw(st.sampled_from(FILES[file][2])), secret)
    try:
        report = importers.read(text, name=FILES[file][1])
    except ImportProblem as problem:
        assert secret not in str(problem)
        return
    assert secret not in dump([report.document, report.taken, report.left])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(importers.KINDS), st.text(max_size=200), st.text(max_size=8))
def test_no_text_is_an_error(kind: str, text: str, name: str) -> None:
    for each in (kind, ""):
        try:
            compile_document(importers.read(text, each, name).document)
        except ImportProblem as problem:
            assert str(problem)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_no_damaged_text_is_an_error(file: str, data: st.DataObject) -> None:
    text = text_of(file)
    words = [found.span() for found in re.finditer(r'(?<=": ")[^"]*|[\w.:/$%{}-]+', text)]
    for start, end in sorted(
        data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=3)), reverse=True
    ):
        other = data.draw(
            st.one_of(
                st.text(max_size=20),
                st.sampled_from(["$to$", "{}", "[]", "null", "0", "%", "{{to}}", "a.0.b"]),
            )
        )
        text = text[:start] + other + text[end:]
    for name in (FILES[file][1], "Send SMS"):
        try:
            compile_document(importers.read(text, FILES[file][0], name).document)
        except ImportProblem as problem:
            assert str(problem)


def test_the_command_prints_the_document_and_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("template", "import", str(FOLDER / "postman.json"), "--name", "Send form")
    shown = capsys.readouterr()
    assert json.loads(shown.out) == imported("postman.json", "Send form").document
    assert shown.err.startswith("Taken:\n  “auth / apikey” is how requests are authorized.\n")
    assert "To look at, or not taken:\n  “old” was not taken. It is disabled.\n" in shown.err


def test_the_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "template.json"
    call_command("template", "import", str(FOLDER / "kannel.conf"), "--kind", "kannel", "-o", str(output))
    assert json.loads(output.read_text()) == imported("kannel.conf").document
    assert capsys.readouterr().out == ""


def test_the_command_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match=r"The file is not text in UTF-8\."):
        call_command("template", "import", str(file))
    file.write_text("?")
    with pytest.raises(CommandError, match="Nobody knows what this is"):
        call_command("template", "import", str(file), "-o", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
