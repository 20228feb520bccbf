"""`manage.py template`, as the author of a template uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from integrations import catalog
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
    assert failed["difference"] == (
        'events: expected [{"type":"messageDelivered","messageid":"m-2"}], '
        'got [{"type":"messageDelivered","messageid":"m-1"}]'
    )


@pytest.mark.parametrize(
    "case",
    [
        "[1]",
        '{"kind": "other"}',
        '{"kind": "send", "responses": [1]}',
        "{",
        '{"kind": "receive"}',
        '{"kind": "send", "message": []}',
    ],
)
def test_a_case_that_is_none_fails_in_words(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cases").mkdir()
    written(tmp_path / "template.json", catalog.source("generic"))
    written(tmp_path / "cases" / "odd.json", case)
    with pytest.raises(SystemExit):
        call_command("template", "test", str(tmp_path))
    out = capsys.readouterr().out
    assert "0 passed, 1 failed." in out
    assert "Traceback" not in out


def test_test_of_a_folder_without_a_template(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"here is no template\.json"):
        call_command("template", "test", str(tmp_path))


def test_it_needs_no_database(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "template", "test", str(catalog.FOLDER / "generic")],
        cwd=ROOT,
        env={"PATH": "", "PATCHBAY_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "20 passed, 0 failed."), done.stderr
    assert not list(tmp_path.glob("*.sqlite3*"))
