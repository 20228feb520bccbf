"""The pages about the API: their lines are run, and answered as they say."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import textwrap
from dataclasses import replace
from typing import Any

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
CHANGING = {"id", "created_at", "changed_at", "next"}


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
    """The id in the answer, which is the one of the page but for ids, times and addresses."""
    got = answer.json()
    assert str(answer.status_code) == said.words
    assert _without_changing(got) == _without_changing(json.loads(said.source))
    return str(got.get("id", ""))


def _without_changing(found: Any) -> Any:
    """The value, with ids, times and addresses reduced to what they are."""
    if isinstance(found, list):
        return [_without_changing(item) for item in found]
    if isinstance(found, dict):
        return {
            name: type(item) if name in CHANGING else _without_changing(item) for name, item in found.items()
        }
    return found


def test_the_reference(variables: dict[str, str]) -> None:
    send, sent, batch, results, see, seen, listing, page, ask, numbers, send_wrongly, refused = examples(
        REFERENCE
    )
    made = as_said(curl(send, variables), sent)
    as_said(curl(batch, variables), results)
    Message.objects.update(status=Status.DELIVERED)
    mine = replace(see, source=see.source.replace(json.loads(sent.source)["id"], made))
    assert as_said(curl(mine, variables), seen) == made
    as_said(curl(listing, variables), page)
    as_said(curl(ask, variables), numbers)
    as_said(curl(send_wrongly, variables), refused)
    assert Message.objects.count() == 2


def test_the_how_to(variables: dict[str, str]) -> None:
    line, program, batch = examples(HOW_TO)
    assert curl(line, variables).status_code == 202
    source = textwrap.dedent(program.source) + textwrap.dedent(batch.source)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", source],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("queued\n['Write a text or add a file.']\n", "")
    assert Message.objects.count() == 3
