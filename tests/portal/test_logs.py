"""The log: one line for each event, with ids, and without content, people and secrets, whoever writes it."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import URLResolver, get_resolver
from structlog.contextvars import bound_contextvars

from messaging import tasks
from messaging.models import Number
from messaging.outbound import dispatch, submit
from portal import logs
from portal.models import User

ACCOUNT = "12345678901234567890"
UUID = "0d5cf0cb-6f4b-5a53-9c1d-6c1d0a6f2f0e"


@pytest.fixture
def log() -> Iterator[Any]:
    """Logs through a logger of the standard library, and returns the lines that it wrote as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter("json"))
    logger = logging.Logger("some.library")
    logger.addHandler(handler)

    def write(*arguments: Any, **options: Any) -> dict[str, Any]:
        stream.truncate(0)
        stream.seek(0)
        logger.error(*arguments, **options)
        (line,) = stream.getvalue().splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    yield write


@pytest.mark.parametrize(
    ("written", "logged"),
    [
        ("Message 17 could not be sent.", None),
        (f"Message {UUID} could not be sent.", None),
        (f"Webhooks of a{ACCOUNT} refused: 1234 since the start", None),
        ("Not Found: /inbox/17/", None),
        ("to +61412345678 and +61 412 345 678", "to *** and ***"),
        ("to 61412345678, (0412345678)", "to ***, (***)"),
        ("alice@acme.example cannot sign in", "*** cannot sign in"),
        ("GET https://user:hunter2@host/path?to=1&text=Hi failed", "GET https://***@host/path?*** failed"),
        ("Not Found: /media/17/99/sig/photo.jpg", "Not Found: /media/***"),
        ("POST /captures/k-1_x/hunter2 failed", "POST /captures/*** failed"),
        ("Not Found: /understood/k-1_x/", "Not Found: /understood/***"),
        ("Gone: /account/password/reset/key/3-abc/", "Gone: /account/password/reset/key/***"),
        (f"POST '/services/x/a{ACCOUNT}/hunter2' from 10.0.0.1", f"POST '/services/x/a{ACCOUNT}/***' from 10.0.0.1"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: *** ***"),
        ("{'api_key': 'hunter2', 'X-Token': 'z'}", "{'api_key': '***', 'X-Token': '***'}"),
        ("password=hunter2&x=1", "password=***&x=1"),
        ("token pb_abcdefghijklmnop was refused", "token *** was refused"),
        ("two\nlines", "two lines"),
    ],
)  # fmt: skip
def test_sentences_are_masked(log: Any, written: str, logged: str | None) -> None:
    assert log("%s", written)["event"] == (logged or written)


def test_a_secret_of_the_settings_is_masked_wherever_it_stands(log: Any) -> None:
    secret, key = django_settings.SECRET_KEY, django_settings.ENCRYPTION_KEYS[0]
    assert log("x%sx and %s", secret, key)["event"] == "x***x and ***"


def links(resolver: URLResolver, before: str = "/") -> Iterator[str]:
    """The paths of all URLs that have a parameter called key, whose value is Zebra:1."""
    for name in resolver.reverse_dict:
        for possibilities, *_ in resolver.reverse_dict.getlist(name):
            for path, parameters in possibilities:
                if "key" in parameters:
                    values = dict.fromkeys(parameters, "1") | {"key": "Zebra:1"}
                    yield before + path % values
    for prefix, inner in resolver.namespace_dict.values():
        yield from links(inner, before + prefix)


def test_keys_in_links_are_masked() -> None:
    found = set(links(get_resolver()))
    assert {"/account/invitation/Zebra:1/", "/account/email/Zebra:1/"} < found
    assert [path for path in found if "Zebra" in logs.mask(f"Gone: {path}")] == []


def test_each_secret_of_the_environment_is_masked() -> None:
    """In a process of its own: what is secret is read once."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PATCHBAY_SECRET_KEY_FALLBACKS": "lion-lion-lion-lion, tiger-tiger-tiger-tiger",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=panther%20panther,x-other=leopard-leopard",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-trace=cheetah-cheetah",
    }
    lines = [
        "lion-lion-lion-lion",
        "tiger-tiger-tiger-tiger",
        "panther panther",
        "panther%20panther",
        "leopard-leopard",
        "cheetah-cheetah",
    ]
    program = (
        "import sys; from django.conf import settings; settings.SECRET_KEY; from portal import logs\n"
        "for line in sys.stdin: print(logs.mask(line))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(lines),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split("\n")[:-1] == ["***"] * len(lines)


def test_the_text_of_an_error_is_left_out(log: Any) -> None:
    try:
        try:
            raise LookupError("Failing row contains (Hello there, 0412).")
        except LookupError as error:
            raise ValueError("could not read Hello there") from error
    except ValueError as error:
        found = log(
            "It failed: %s\n%s", error, "Traceback (most recent call last): Hello there", exc_info=True
        )
    assert found["event"] == "It failed: ValueError"
    kinds = [part.split(" ")[0] for part in found["exception"].split(" ← ")]
    assert kinds == ["ValueError", "LookupError"]
    assert "tests/portal/test_logs.py:" in found["exception"]
    assert "test_the_text_of_an_error_is_left_out" in found["exception"]
    assert "Hello" not in json.dumps(found)


@pytest.mark.parametrize(
    "error", [AttributeError("no attribute 'x'"), ConnectionRefusedError(111, "refused")]
)
def test_the_text_of_an_error_of_the_code_or_the_system_is_logged(log: Any, error: Exception) -> None:
    try:
        raise error
    except type(error):
        assert str(error) in log("It failed.", exc_info=True)["exception"]


def test_only_known_fields_are_logged(log: Any) -> None:
    with bound_contextvars(request_id="r-1", text="Hello", number="+61412345678", message_id=UUID):
        found = log("Said.", extra={"task_id": "t-1", "body": "Hello", "request": "Hello"})
    assert {name: found[name] for name in ("request_id", "message_id", "task_id", "event")} == {
        "request_id": "r-1",
        "message_id": UUID,
        "task_id": "t-1",
        "event": "Said.",
    }
    assert set(found) == {"request_id", "message_id", "task_id", "event", "timestamp", "level", "logger"}


def test_lines_are_readable() -> None:
    record = logging.LogRecord("portal", logging.WARNING, "x.py", 1, "Said %s.", ("it",), None)
    with bound_contextvars(request_id="r-1"):
        line = logs.formatter("lines").format(record)
    assert line.split(" ", 1)[1] == "WARNING portal: Said it. request_id=r-1"


@pytest.mark.parametrize(
    "name", ["django.request", "django.server", "celery.app.trace", "_granian", "waitress"]
)
def test_libraries_have_no_format_of_their_own(name: str) -> None:
    configured = logs.configuration("json", "INFO")
    assert configured["root"]["handlers"] == ["console"]
    logger = logging.getLogger(name)
    while logger.parent is not None:
        own = [handler for handler in logger.handlers if not isinstance(handler, logging.NullHandler)]
        assert logger.propagate and not own, logger.name
        logger = logger.parent


@pytest.mark.parametrize(
    ("behind", "given", "taken"),
    [
        (True, "proxy-0123456789", True),
        (True, "short", False),
        (True, "x" * 65, False),
        (True, 'quoted"one', False),
        (True, "", False),
        (False, "proxy-0123456789", False),
    ],
)
def test_a_request_id_is_the_proxys_or_our_own(
    client: Client, settings: Any, behind: bool, given: str, taken: bool
) -> None:
    settings.TRUSTED_PROXIES = int(behind)
    answers = [client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"] for _ in range(2)]
    if taken:
        assert answers == [given, given]
    else:
        assert len(set(answers)) == 2 and given not in answers
        assert all(len(answer) == 32 for answer in answers)


def test_a_refused_request_is_logged_with_its_id(client: Client, db: None, caplog: Any) -> None:
    caplog.handler.setFormatter(logs.formatter("json"))
    response = client.get("/nothing/here")
    lines = [json.loads(line) for line in caplog.handler.stream.getvalue().splitlines()]
    assert [(line["event"], line["request_id"]) for line in lines] == [
        ("Not Found: /nothing/here", response["X-Request-ID"])
    ]


@pytest.mark.django_db
def test_what_a_task_logs_carries_its_name_and_id(log: Any) -> None:
    tasks.dispatch_due.apply(task_id="t-1")
    found = log("Said.")
    assert (found["task"], found["task_id"]) == ("messaging.dispatch_due", "t-1")


@pytest.mark.django_db
def test_what_is_logged_about_a_message_carries_its_id(
    alice: User, private: Number, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.handler.setFormatter(logs.formatter("json"))
    message = submit.submit(alice, private, "+61412345678", text="Zebra")

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("Zebra to +61412345678")

    monkeypatch.setattr("messaging.outbound.render.plan", fail)
    dispatch.drain()
    text = caplog.handler.stream.getvalue()
    assert [json.loads(line)["message_id"] for line in text.splitlines()] == [str(message.uuid)]
    assert "ValueError" in text and "Zebra" not in text and "412345678" not in text
