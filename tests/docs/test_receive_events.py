"""The guide to receiving events and its reference: the program works, and events are as they are shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations import http
from integrations.events import Fault
from integrations.models import Integration
from messaging import alerts
from messaging.engine import queue
from messaging.models import EventKind, Number, OutgoingEvent, Receiver
from messaging.outbound.submit import submit
from messaging.receivers import deliver, outbox
from messaging.statuses import Status
from portal.models import Organization, User
from tests.docs.examples import examples
from tests.messaging.rules import CONTACT, receive
from tests.messaging.test_receivers import receiver_of
from tests.processes import ROOT, free_port, wait_for

HOW_TO, REFERENCE = ROOT / "docs/how-to/receive-events.md", ROOT / "docs/reference/events.md"

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(acme: Organization, settings: Any, sandbox: Any, tmp_path: Path) -> Iterator[Any]:
    """The program of the guide, and the receiver that it is."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    settings.PATCHBAY_ALLOWED_ORIGINS = [*settings.PATCHBAY_ALLOWED_ORIGINS, origin]
    receiver = receiver_of(acme, f"{origin}/")
    (block,) = [each.source for each in examples(HOW_TO) if each.language == "python"]
    (tmp_path / "receiver.py").write_text(block)
    environment = {**os.environ, "SECRET": bytes(receiver.secret).decode(), "PORT": str(port)}
    program = subprocess.Popen(
        [sys.executable, "receiver.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for(lambda: not isinstance(http.fetch(f"{origin}/", max_bytes=10_000), Fault))
    yield receiver, program
    program.kill()
    if program.stdout is not None and not program.stdout.closed:
        program.communicate()


def test_the_program_takes_each_event_once_and_nothing_from_others(running: Any, private: Number) -> None:
    receiver, program = running
    receive(private, "Is my order ready?")
    deliver.drain()
    event = OutgoingEvent.objects.get()
    assert event.status == 204
    OutgoingEvent.objects.all().send_again()
    deliver.drain()
    assert OutgoingEvent.objects.get().status == 204
    secret = receiver.secret
    Receiver.objects.update(secret=b"whsec_" + b"AAAA" * 8)
    outbox.note_test(receiver)
    deliver.drain()
    assert OutgoingEvent.objects.order_by("-pk")[0].status == 401
    Receiver.objects.update(secret=secret, paused_until=None)
    receive(private, "Thanks", "m2")
    deliver.drain()
    program.kill()
    assert program.communicate()[0] == "message.received Is my order ready?\nmessage.received Thanks\n"


def test_the_reference_shows_what_is_sent(
    service: Integration, private: Number, alice: User, acme: Organization
) -> None:
    receiver_of(acme, "https://hooks.example/")
    receive(private, "Is my order ready?")
    message = submit(alice, private, CONTACT, text="Your order is ready.")
    queue.advance([queue.Change(message.pk, 0, queue.DONE, Status.DELIVERED)])
    Integration.objects.filter(pk=service.pk).update(
        tell_at=message.created_at,
        paused_until=message.created_at,
        trouble="The provider refused the API key.",
    )
    alerts.send_due()
    sent = {row.kind: json.loads(row.payload) for row in OutgoingEvent.objects.all()}
    shown = {each.words: json.loads(each.source) for each in examples(REFERENCE) if each.language == "json"}
    assert sent.keys() == shown.keys() == {"message.received", "message.status", "alert.raised"}
    for kind, example in shown.items():
        assert list(example) == list(sent[kind])
        assert list(example["data"]) == list(sent[kind]["data"])
        vary = ("id", "account", "url", *(name for name in example["data"] if name.endswith("_at")))
        for name in example["data"].keys() - set(vary):
            assert example["data"][name] == sent[kind]["data"][name]


def test_the_reference_has_every_type() -> None:
    text = REFERENCE.read_text()
    assert [kind for kind in EventKind.values if kind not in text] == []
