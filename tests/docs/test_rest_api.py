"""The pages about the API: their lines are run, and answered as they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from messaging.api.exceptions import KINDS
from messaging.models import Message, Number
from messaging.statuses import Status
from portal.models import PersonalToken, User
from tests.docs.examples import Example, examples
from tests.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

REFERENCE = ROOT / "docs/reference/rest-api.md"
HOW_TO = ROOT / "docs/how-to/send-from-a-program.md"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z")


@pytest.fixture
def variables(live_server: LiveServer, settings: Any, alice: User, private: Number) -> dict[str, str]:
    settings.PUBLIC_URL = live_server.url
    tomorrow = timezone.now() + timedelta(days=1)
    token = PersonalToken.objects.issue(alice, "Docs")
    return {"PATCHBAY": live_server.url, "TOKEN": token, "TOMORROW": tomorrow.isoformat()}


def curl(source: str, variables: dict[str, str]) -> requests.Response:
    """Does what curl would do."""
    line = source.replace("\\\n", " ")
    for name, value in variables.items():
        line = line.replace(f"${name}", value)
    words = shlex.split(line)
    assert words.pop(0) == "curl"
    url, body, method, headers = words.pop(0), None, "GET", {}
    while words:
        option, value = words.pop(0), words.pop(0)
        if option == "-H":
            name, _, headers[name] = value.partition(": ")
        elif option == "-X":
            method = value
        else:
            assert option == "-d"
            body, method = value, "POST"
    return requests.request(method, url, data=body, headers=headers, timeout=20)


def said(answer: str, variables: dict[str, str]) -> Any:
    """The JSON of an answer, with the address of the page's installation, and ids and times left out."""
    plain = answer.replace(variables["PATCHBAY"], "https://sms.example.com")
    return json.loads(MOMENT.sub("(time)", UUID.sub("(id)", plain)))


def test_the_reference(variables: dict[str, str]) -> None:
    found = list(examples(REFERENCE))
    ids: dict[str, str] = {}  # of the page, and what they are here
    for asked, expected in zip(found[::2], found[1::2], strict=True):
        source = UUID.sub(lambda match: ids[match[0]], asked.source)
        answer = curl(source, variables)
        assert (str(answer.status_code), said(answer.text, variables)) == (
            expected.words,
            said(expected.source, variables),
        ), asked.place
        ids.update(zip(UUID.findall(expected.source), UUID.findall(answer.text), strict=True))
        if asked is found[0]:
            Message.objects.update(status=Status.DELIVERED)
    assert Message.objects.count() == 3


def test_the_reference_lists_every_problem() -> None:
    rows = re.findall(r"^\| ([0-9]{3}) \| `([a-z-]+)` \|", REFERENCE.read_text(), re.MULTILINE)
    assert rows == [(str(kind.status), kind.name) for kind in KINDS]


def test_the_how_to(variables: dict[str, str]) -> None:
    line, program, more = examples(HOW_TO)
    assert curl(line.source, variables).status_code == 202
    for _ in range(2):
        assert ran(variables, program) == "queued\n"
        assert ran(variables, program, more) == (
            "queued\n1 refused: Message 1: Write a text or add a file.\n"
        )
    assert Message.objects.count() == 3


def ran(variables: dict[str, str], *programs: Example) -> str:
    """What the programs of the page print, one after the other in one process."""
    source = "\n".join(textwrap.dedent(program.source) for program in programs)
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout
