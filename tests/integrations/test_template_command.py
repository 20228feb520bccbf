"""`manage.py template`, as the author of a template uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from integrations import cases, catalog
from tests.processes import ROOT

TELNYX = catalog.FOLDER / "telnyx" / "template.json"
TWILIO = catalog.FOLDER / "twilio" / "template.json"


def written(path: Path, document: Any) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_check_says_where_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = TELNYX.read_text().replace('"to": "$to$"', '"to": "$too$"', 1)
    line = next(number for number, text in enumerate(source.split("\n"), 1) if "$too$" in text)
    column = source.split("\n")[line - 1].index("$too$") + 1
    file = written(tmp_path / "t.json", source)
    with pytest.raises(CommandError, match=r"1 of 2 templates cannot be used\."):
        call_command("template", "check", str(TELNYX), file)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{TELNYX}: no problems."
    assert second.startswith(f"{file}:{line}:{column}: error: /API/SendMessage/request_parameters/to: ")
    assert second.endswith("Did you mean 'to'?")


def test_check_refuses_a_method_that_nothing_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = '{"id": "acme", "name": "Acme",\n "API": {"SendMesage": {"request_url": "https://a.example/"}}}'
    file = written(tmp_path / "t.json", source)
    with pytest.raises(CommandError, match=r"1 of 1 templates cannot be used\."):
        call_command("template", "check", file)
    assert capsys.readouterr().out == (
        f"{file}:2:11: error: /API/SendMesage: "
        "There is no API method 'SendMesage'. Did you mean 'SendMessage'?\n"
    )


@pytest.mark.parametrize(
    ("source", "place"),
    [('{"id": "x",\n  oops}', ":2:3: error: the document: This is not JSON"), ("[]", ":1:1: error: ")],
)
def test_check_of_what_is_no_template(
    source: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "t.json", source)
    with pytest.raises(CommandError):
        call_command("template", "check", file)
    assert capsys.readouterr().out.startswith(file + place)


def test_render_hides_secrets_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    properties = written(
        tmp_path / "p.json", {"Account SID": "AC0123456789abcdef", "Auth Token": "very-secret"}
    )
    message = written(tmp_path / "m.json", {"from": "+15005550006", "to": "+15005550001", "content": "Hi"})
    call = ("template", "render", str(TWILIO), "--properties", properties, "--message", message)
    call_command(*call)
    (request,) = json.loads(capsys.readouterr().out)
    assert "very-secret" not in json.dumps(request)
    assert request["headers"]["Authorization"] != "Basic QUMwMTIzNDU2Nzg5YWJjZGVmOnZlcnktc2VjcmV0"
    assert request["form"]["Body"] == "Hi"
    call_command(*call, "--reveal")
    (request,) = json.loads(capsys.readouterr().out)
    assert request["headers"]["Authorization"] == "Basic QUMwMTIzNDU2Nzg5YWJjZGVmOnZlcnktc2VjcmV0"
    assert request["url"] == "https://api.twilio.com/2010-04-01/Accounts/AC0123456789abcdef/Messages.json"
    assert request["method"] == "POST"


def test_render_of_what_cannot_be_sent(tmp_path: Path) -> None:
    message = written(tmp_path / "m.json", {"from": "+1", "to": "+2", "content": "x"})
    file = written(
        tmp_path / "t.json",
        {
            "id": "ab",
            "name": "A",
            "API": {
                "SendMessage": {"request_url": "https://a.example/", "request_headers": {"X": "a\n$to$"}}
            },
        },
    )
    with pytest.raises(CommandError, match="control characters"):
        call_command("template", "render", file, "--message", message)


def test_receive_shows_answer_events_and_what_did_not_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = str(catalog.FOLDER / "generic" / "template.json")
    request = written(
        tmp_path / "r.json",
        {
            "method": "POST",
            "country": "AU",
            "json": {
                "method": "file",
                "params": {"from": "0412 345 678", "to": "+61855555555", "url": "https://x.example/a.png"},
            },
        },
    )
    call_command("template", "receive", template, "--request", request)
    shown = json.loads(capsys.readouterr().out)
    assert shown["response"]["status"] == 200
    assert shown["events"] == [
        {"type": "mms", "from": "+61412345678", "to": "+61855555555", "url": "https://x.example/a.png"}
    ]
    assert [tried["event"] for tried in shown["tried"]] == ["/Webhook/0"]
    assert shown["tried"][0]["reason"] == (
        "/Webhook/0/request_parameters/method: 'file' is not the value of $event_key$"
    )


def test_test_tells_passed_from_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "acme"
    (folder / "cases").mkdir(parents=True)
    written(folder / "template.json", catalog.source("generic").replace('"generic"', '"acme"'))
    case: dict[str, Any] = {
        "name": "A text",
        "kind": "receive",
        "request": {"json": {"method": "delivered", "params": {"messageid": "m-1"}}},
        "expect": {"events": [{"type": "messageDelivered", "messageid": "m-1"}]},
    }
    written(folder / "cases" / "good.json", case)
    call_command("template", "test", str(tmp_path), "--json")
    assert json.loads(capsys.readouterr().out)["passed"] == 1
    case["expect"]["events"][0]["messageid"] = "m-2"
    written(folder / "cases" / "bad.json", [case])
    with pytest.raises(SystemExit) as stopped:
        call_command("template", "test", str(folder), "--json")
    assert stopped.value.code == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["passed"], shown["failed"]) == (1, 1)
    failed = next(item for item in shown["cases"] if not item["passed"])
    assert failed["file"] == str(folder / "cases" / "bad.json")
    assert failed["line"] == 1
    assert failed["difference"] == 'events/0/messageid: expected "m-2", got "m-1"'


TYPOS = """[
  {
    "kind": "send",
    "properties": {"API Ky": "k"},
    "message": {"form": "+15005550006", "media": [{"uri": "x"}]},
    "expct": [],
    "responses": {"status": 200},
    "outcome": {"result": "snt"}
  }
]"""


@pytest.mark.parametrize(
    ("case", "line", "says"),
    [
        ("[1]", 1, ["/0 (line 1, column 2): A case must be an object."]),
        ("{}", 1, ["line 1, column 1: The case needs 'kind'. Use send or receive."]),
        (
            '{"kind": "other"}',
            1,
            ["/kind (line 1, column 11): There is no kind 'other'. Use send or receive."],
        ),
        (
            '{"kind": "receive"}',
            1,
            [
                "line 1, column 1: A case of kind 'receive' needs 'request'.",
                "line 1, column 1: The case expects nothing. Add 'expect'.",
            ],
        ),
        (
            TYPOS,
            2,
            [
                "/0/properties/API Ky (line 4, column 21): Unknown key 'API Ky'. Did you mean 'API key'?",
                "/0/message/form (line 5, column 18): Unknown key 'form'. Did you mean 'from'?",
                "/0/message/media/0/uri (line 5, column 53): Unknown key 'uri'. Did you mean 'url'?",
                "/0/expct (line 6, column 6): Unknown key 'expct'. Did you mean 'expect'?",
                "/0/responses (line 7, column 18): This must be a list. Put it in square brackets.",
                "/0/outcome/result (line 8, column 28): 'snt' is not a valid value. Did you mean 'sent'?",
                "/0/properties (line 4, column 19): The required property 'API URL' has no value.",
                "/0/properties (line 4, column 19): The required property 'API key' has no value.",
            ],
        ),
        (
            '{"kind": "receive", "request": {"headers": [1], "multipart": {}}, "expect": {"response": {"status": "x"}}}',
            1,
            [
                "/request/headers (line 1, column 44): This must be an object.",
                "/request/multipart (line 1, column 62): This must be a list. Put it in square brackets.",
                "/expect/response/status (line 1, column 102): This must be a whole number, not 'x'.",
            ],
        ),
        (
            '{"kind": "receive", "request": {"json": 1, "form": {}}, "expect": {}}',
            1,
            ["The case cannot be run: A body can be written in only one of these forms: json, form."],
        ),
        (
            '{"kind": "send", "message": {}, "outcome": {"code": "1"}, '
            '"properties": {"API URL": "https://x.example/", "API key": "k"}}',
            1,
            ["outcome: there is no response to read; add the provider's to 'responses'."],
        ),
        (
            '{\n"kind": "send",\n}',
            3,
            [
                "line 3, column 1: This is not JSON: a key in double quotes is expected here. "
                "Is there an extra comma?"
            ],
        ),
        ("[[" + "[" * 100, 1, ["The file cannot be read: The JSON is nested more than 64 levels deep."]),
    ],
)
def test_a_wrong_case_fails_with_its_place_and_what_to_do(
    case: str, line: int, says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cases").mkdir()
    written(tmp_path / "template.json", catalog.source("generic"))
    file = written(tmp_path / "cases" / "odd.json", case)
    with pytest.raises(SystemExit) as stopped:
        call_command("template", "test", str(tmp_path))
    assert stopped.value.code == 1
    first, *rest, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:{line}: odd")
    assert [text.strip() for text in rest] == says
    assert last == "0 passed, 1 failed."


def test_differences_name_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cases").mkdir()
    written(tmp_path / "template.json", catalog.source("generic"))
    case = {
        "name": "A text",
        "kind": "send",
        "properties": {"API URL": "https://x.example/", "API key": "k"},
        "message": {"from": "+1", "to": "+2", "content": "Hi"},
        "expect": [{"json": {"from": "+1", "to": "+3", "content": "Hi", "more": None}}],
    }
    file = written(tmp_path / "cases" / "send.json", case)
    with pytest.raises(SystemExit):
        call_command("template", "test", str(tmp_path))
    assert capsys.readouterr().out.splitlines() == [
        f"{file}:1: A text",
        '    request 1: json/to: expected "+3", got "+2"',
        "    request 1: json/more: expected null, got nothing",
        "0 passed, 1 failed.",
    ]


def test_a_folder_without_cases_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "template.json", catalog.source("generic"))
    with pytest.raises(SystemExit):
        call_command("template", "test", str(tmp_path / "template.json"))
    assert "Nothing is tested. Write cases in cases/*.json." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "files", "says"),
    [
        (["check", "none"], {}, "none: There is no such file or folder."),
        (["test", "none"], {}, "none: There is no such file or folder."),
        (["render", "."], {}, "template.json: There is no such file or folder."),
        (
            ["render", "a"],
            {},
            "a/template.json:12:20: error: /API/SendMessage/request_url: '' is not a complete http or https URL.\n"
            "These properties have no value: API URL. Set them with --properties FILE.",
        ),
        (
            ["render", "a", "--properties", "p.json"],
            {"p.json": '{\n "API Url": "x",\n "API URL": "x"}'},
            "p.json:2:14: error: /API Url: There is no property 'API Url'. Did you mean 'API URL'?\n"
            "p.json:3:14: error: /API URL: API URL must be a complete URL, such as https://api.example.com.",
        ),
        (
            ["render", "a", "--message", "m.json"],
            {"m.json": '{"too": "+1"}'},
            "m.json:1:3: error: /too: Unknown key 'too'. Did you mean 'to'?",
        ),
        (
            ["render", "a", "--message", "m.json"],
            {"m.json": '{"to": "+1"'},
            "m.json:1:12: error: the document: This is not JSON: "
            "a comma or a closing bracket is missing before this.",
        ),
        (
            ["render", "a", "--method", "SendFile", "--properties", "p.json"],
            {"p.json": '{"API URL": "https://x.example"}'},
            "This message is not sent by SendFile, but by SendMessage.",
        ),
        (
            ["receive", "a", "--request", "r.json"],
            {"r.json": '{"metod": "GET"}'},
            "r.json:1:3: error: /metod: Unknown key 'metod'. Did you mean 'method'?",
        ),
        (
            ["receive", "a", "--request", "r.json"],
            {"r.json": "[]"},
            "r.json:1:1: error: the document: This must be an object.",
        ),
    ],
)
def test_what_is_given_wrong_is_said_with_its_place(
    words: list[str], files: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    document = {
        "id": "acme",
        "name": "Acme",
        "properties": [{"name": "API URL", "type": "url"}],
        "API": {"SendMessage": {"request_url": "$API URL$"}},
    }
    written(tmp_path / "a" / "template.json", json.dumps(document, indent=1))
    for name, source in files.items():
        written(tmp_path / name, source)
    with pytest.raises(CommandError) as refused:
        call_command("template", *words)
    assert str(refused.value) == says


def test_test_of_a_folder_without_a_template(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no template\.json"):
        call_command("template", "test", str(tmp_path))


def test_it_needs_no_database(tmp_path: Path) -> None:
    all_cases = list(cases.run_folder(catalog.FOLDER / "generic"))
    done = subprocess.run(
        [sys.executable, "manage.py", "template", "test", str(catalog.FOLDER / "generic")],
        cwd=ROOT,
        env={"PATH": "", "PATCHBAY_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{len(all_cases)} passed, 0 failed.\n"), done.stderr
    assert not list(tmp_path.glob("*.sqlite3*"))


def test_a_required_property_without_a_value_is_an_error_where_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {
        "id": "acme",
        "name": "Acme",
        "properties": [
            "API key",
            "Token",
            {"name": "Tag", "required": False},
            {"name": "On", "default": "a"},
        ],
        "auth": {"type": "Bearer", "token": "$API key$"},
        "API": {
            "SendMessage": {"request_url": "https://a.example/", "request_parameters": ["$Tag$", "$On$"]}
        },
        "Webhook": {"event_type": "ignore", "verify": {"type": "header", "name": "X", "value": "$Token$"}},
    }
    (tmp_path / "cases").mkdir()
    written(tmp_path / "template.json", document)
    send = {"kind": "send", "message": {"content": "Hi"}, "expect": [{"method": "POST"}]}
    receive = {
        "kind": "receive",
        "request": {"headers": {"X": 7}},
        "expect": {"events": [{"type": "ignore"}]},
    }
    given = [send, {**send, "properties": {"API key": " "}}, {**send, "properties": {"API key": "k"}}]
    given += [receive, {**receive, "properties": {"Token": "7"}}]
    written(tmp_path / "cases" / "all.json", given)
    with pytest.raises(SystemExit):
        call_command("template", "test", str(tmp_path), "--json")
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [case["passed"] for case in cases] == [False, False, True, False, True]
    assert "The required property 'API key' has no value." in cases[0]["difference"]
    assert "The required property 'API key' has no value." in cases[1]["difference"]
    assert "The required property 'Token' has no value." in cases[3]["difference"]


def test_every_message_has_an_attempt_an_id_and_a_webhook_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = {"id": "$message_uuid$", "try": "$attempt_no$", "url": "$webhook_url$"}
    method = {"request_url": "https://a.example/", "request_headers": {"X-Try": "$attempt_no$"}}
    document = {
        "id": "acme",
        "name": "Acme",
        "API": {"SendMessage": {**method, "request_parameters": parameters}},
        "Webhook": {"event_type": "ignore", "response": {"body": {"id": "$message_uuid$"}}},
    }
    file = written(tmp_path / "template.json", document)
    call_command("template", "render", file, "--message", written(tmp_path / "m.json", {"content": "Hi"}))
    (request,) = json.loads(capsys.readouterr().out)
    uuid, url = "00000000-0000-4000-8000-000000000000", "https://sms.example.com/services/acme/a1"
    assert request["json"] == {"id": uuid, "try": 1, "url": url}
    assert request["headers"]["X-Try"] == "1"
    (tmp_path / "cases").mkdir()
    send = {"kind": "send", "message": {"content": "Hi"}}
    filled = {"headers": {"X-Try": 1}, "json": request["json"]}
    fixed = {"id": "1", "try": 2, "url": "https://b.example/"}
    given = [
        {**send, "expect": [filled]},
        {**send, "expect": [{"headers": {"X-Try": None}, "json": {}}]},
        {
            **send,
            "message": {"attempt_no": 2},
            "message_uuid": "1",
            "webhook_url": "https://b.example/",
            "expect": [{"json": fixed, "headers": {"X-Try": "2"}}],
        },
        {"kind": "receive", "request": {}, "expect": {"response": {"json": {"id": uuid}}}},
        {**send, "expect": [{"json": {"id": uuid}}]},
    ]
    written(tmp_path / "cases" / "all.json", given)
    with pytest.raises(SystemExit):
        call_command("template", "test", str(tmp_path), "--json")
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [case["passed"] for case in cases] == [True, True, True, True, False]
