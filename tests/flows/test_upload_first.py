"""A service that wants files uploaded before the message, played by the sandbox over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from integrations import holds
from integrations.cases import run_folder
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from integrations.sandbox.catalog_entry import services
from messaging.inbound import file_events
from messaging.models import Attachment, DeliveryAttempt, Message, Number, WebhookEvent
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.reporting import timeline
from messaging.statuses import QueueState, Status
from portal import process
from portal.models import Organization, User
from tests.flows.numbers import connected
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = services()["uploads"]
CONTACT = "+61412345678"


def png(colour: str) -> SimpleUploadedFile:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return SimpleUploadedFile(f"{colour}.png", out.getvalue(), "image/png")


@pytest.fixture
def provider(settings: Any, live_server: Any, tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(FOLDER, delay_delivered=0.05)
    sandbox.start()
    settings.PUBLIC_URL, settings.MEDIA_ROOT = live_server.url, tmp_path
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, live_server.url]
    yield sandbox
    sandbox.stop()


@pytest.fixture
def ours(provider: Sandbox, acme: Organization, alice: User) -> Number:
    number = connected(provider, acme, alice)
    assert number.integration is not None
    provider.webhook_url = number.integration.account_webhook_url
    return number


def came(provider: Sandbox) -> list[Any]:
    """What the provider got: "upload", or the files and the text of a message."""
    return [
        "upload"
        if item.path == "/api/files"
        else (len((body := json.loads(item.body)).get("files", [])), body["text"])
        for item in provider.received
    ]


def again() -> None:
    """Sends what is due, as a process does that has just started."""
    process.close()
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    Integration.objects.update(paused_until=None)
    dispatch.drain()


def test_its_cases() -> None:
    assert [result.difference for result in run_folder(FOLDER)] == [""] * 7


def test_files_are_uploaded_and_then_sent(provider: Sandbox, ours: Number, alice: User) -> None:
    message = submit(alice, ours, CONTACT, text="Look", files=[png("teal"), png("navy")])
    dispatch.drain()

    message.refresh_from_db()
    assert (message.status, message.status_text) == (Status.SENT, "")
    assert came(provider) == ["upload", "upload", (2, "Look")]
    said = [json.loads(item.answer or b"") for item in provider.received]
    assert json.loads(provider.received[2].body)["files"] == [said[0]["file"], said[1]["file"]]
    attempts = DeliveryAttempt.objects.order_by("pk")
    assert [(item.upload, item.part, item.parts, item.provider_id) for item in attempts] == [
        (1, 2, 1, ""),
        (2, 3, 1, ""),
        (0, 1, 1, said[2]["id"]),
    ]
    titles = [step.title for step in timeline.of_message(message)["steps"]]
    assert titles[1:4] == [
        "Upload of file 1: Uploads (sandbox) accepted it.",
        "Upload of file 2: Uploads (sandbox) accepted it.",
        "Uploads (sandbox) accepted the message.",
    ]
    shown = wait_for(
        lambda: [
            provider.store.file(item["file"])
            for item in (provider.store.since("") or {})["messages"]
            if item["file"]
        ]
    )
    kept = [("image/png", Path(item.file.path).read_bytes()) for item in Attachment.objects.all()]
    assert shown == kept

    wait_for(lambda: WebhookEvent.objects.exists())
    file_events.drain()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED


def test_a_retry_repeats_no_upload(provider: Sandbox, ours: Number, alice: User) -> None:
    provider.answer_with("ok", "500", "ok", "500", "ok")
    message = submit(alice, ours, CONTACT, text="Look", files=[png("teal"), png("navy")])
    for _ in range(3):
        again()
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.SENT, QueueState.DONE)
    # The second upload and the message were refused once each.
    assert came(provider) == ["upload", "upload", "upload", (2, "Look"), (2, "Look")]
    said = [json.loads(item.answer or b"") for item in provider.received]
    assert json.loads(provider.received[4].body)["files"] == [said[0]["file"], said[2]["file"]]
    assert [item["text"] for item in (provider.store.since("") or {})["messages"]] == ["Look", ""]


@pytest.mark.parametrize(("mode", "status"), [("garbage", Status.UNKNOWN), ("refuse", Status.FAILED)])
def test_nothing_is_sent_with_a_file_that_is_not_uploaded(
    provider: Sandbox, ours: Number, alice: User, mode: Any, status: Status
) -> None:
    provider.answer_with(mode)
    message = submit(alice, ours, CONTACT, text="Look", files=[png("teal"), png("navy")])
    for _ in range(2):
        again()
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (status, QueueState.DONE)
    assert came(provider) == ["upload"]
    assert [item.uploaded for item in Attachment.objects.all()] == [None, None]


def test_a_file_is_uploaded_again_to_another_provider(provider: Sandbox, ours: Number, alice: User) -> None:
    provider.answer_with("ok", "500")
    message = submit(alice, ours, CONTACT, text="Look", files=[png("teal")])
    dispatch.drain()
    assert ours.integration is not None
    template = Template(account=ours.account)
    template.revise(json.dumps({**json.loads(provider.document), "id": "other"}))
    other = Integration.objects.create(organization=ours.organization, template=template)
    holds.enter(other, provider.values)
    Message.objects.update(integration=other)
    again()
    message.refresh_from_db()
    assert message.status == Status.SENT
    assert came(provider) == ["upload", (1, "Look"), "upload", (1, "Look")]
    said = [json.loads(item.answer or b"") for item in provider.received]
    assert json.loads(provider.received[3].body)["files"] == [said[2]["file"]]


def test_a_text_is_not_kept_waiting_by_uploads(provider: Sandbox, ours: Number, alice: User) -> None:
    submit(alice, ours, CONTACT, text="Hello")
    dispatch.drain()
    assert came(provider) == [(0, "Hello")]


def test_an_upload_waits_like_a_message_until_its_secrets_may_go_there(
    provider: Sandbox, ours: Number, alice: User
) -> None:
    document = json.loads(provider.document)
    document["API"]["UploadFile"]["request_url"] = "https://elsewhere.example/files"
    Template.objects.get().revise(json.dumps(document))
    message = submit(alice, ours, CONTACT, text="Look", files=[png("teal")])
    for _ in range(2):
        again()
    message.refresh_from_db()
    assert (message.queue_state, provider.received) == (QueueState.WAITING, [])
    assert not DeliveryAttempt.objects.exists()


def test_a_message_that_cannot_be_rendered_with_its_uploads_fails(
    provider: Sandbox, ours: Number, alice: User
) -> None:
    document = json.loads(provider.document)
    document["API"]["SendFile"]["request_headers"] = {"X-File": "$media[0].media_id$\n"}
    Template.objects.get().revise(json.dumps(document))
    message = submit(alice, ours, CONTACT, text="Look", files=[png("teal")])
    for _ in range(2):
        again()
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.FAILED, QueueState.DONE)
    assert "must not contain line breaks" in message.status_text
    assert came(provider) == ["upload"]
