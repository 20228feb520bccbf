"""The pages about the API: their lines are run, and answered as they say."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import requests
from pytest_django.live_server_helper import LiveServer

from messaging.models import Message, Number
from messaging.statuses import Status
from portal.models import PersonalToken, User
from tests.docs.examples import Example, examples
from tests.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

REFERENCE = ROOT / "docs/reference/rest-api.md"
HOW_TO = ROOT / "docs/how-to/send-from-a-program.md"
CHANGING = {"id", "created_at", "changed_at"}


@pytest.fixture
def variables(live_server: LiveServer, alice: User, private: Number) -> dict[str, str]:
    return {"PATCHBAY": live_server.url, "TOKEN": PersonalToken.objects.issue(alice, "Docs")}


def curl(example: Example, variables: dict[str, str]) -> requests.Response:
    """Does what curl would do."""
    line = example.source.replace("\\\n", " ")
    for name, value in variables.items():
        line = line.replace(f"${name}", value)
    words = shlex.split(line)
    assert words.pop(0) == "curl"
    url, body, headers = words.pop(0), None, {}
    while words:
        option, value = words.pop(0), words.pop(0)
        if option == "-H":
            name, _, headers[name] = value.partition(": ")
        else:
            assert option == "-d"
            body = value
    return requests.request("GET" if body is None else "POST", url, data=body, headers=headers, timeout=20)


def as_said(answer: requests.Response, said: Example) -> str:
    """The id in the answer, which is the one of the page but for ids and times."""
    got, expected = answer.json(), json.loads(said.source)
    assert str(answer.status_code) == said.words
    assert got | {name: expected.get(name) for name in CHANGING & set(got)} == expected
    return str(got.get("id", ""))


def test_the_reference(variables: dict[str, str]) -> None:
    send, sent, see, seen, send_wrongly, refused = examples(REFERENCE)
    made = as_said(curl(send, variables), sent)
    Message.objects.update(status=Status.DELIVERED)
    mine = replace(see, source=see.source.replace(json.loads(sent.source)["id"], made))
    assert as_said(curl(mine, variables), seen) == made
    as_said(curl(send_wrongly, variables), refused)
    assert Message.objects.count() == 1


def test_the_how_to(variables: dict[str, str]) -> None:
    line, program = examples(HOW_TO)
    assert curl(line, variables).status_code == 202
    source = textwrap.dedent(program.source)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", source],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("queued\n", "")
    assert Message.objects.count() == 2
