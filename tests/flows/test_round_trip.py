"""Out and in again through real HTTP, exactly in the published format."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from integrations.sandbox import Sandbox
from messaging.inbound import fetch_media, file_events
from messaging.models import Attachment, Conversation, DeliveryAttempt, Message, Number, WebhookRequest
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.statuses import AttachmentState, QueueState, Status
from portal.models import User

pytestmark = pytest.mark.django_db(transaction=True)

CONTACT = "+61412345678"


def png() -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "PNG")
    return out.getvalue()


def wait_for(what: Callable[[], Any], seconds: float = 5) -> Any:
    """The first true value, or the last one when the time is over."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


@pytest.fixture
def portal(live_server: Any, settings: Any, sandbox: Sandbox, private: Number) -> str:
    """The portal's own address, which the sandbox calls and fetches files from."""
    settings.PUBLIC_URL = live_server.url
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, live_server.url]
    sandbox.webhook_url = f"{live_server.url}/services/generic/a{private.account.accountid}"
    return str(live_server.url)


def test_a_text_goes_out_is_delivered_and_answered(
    portal: str, sandbox: Sandbox, private: Number, alice: User
) -> None:
    message = submit(alice, private, "0412 345 678", text='Hi $content$ "there"\n🙂 50% off')
    dispatch.drain()

    assert [(item.method, item.path) for item in sandbox.received] == [("POST", "/api/messages")]
    request = sandbox.received[0]
    assert request.headers["authorization"] == "Bearer sandbox-key"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "from": "+61855555501",
        "to": CONTACT,
        "extension": "101",
        "domain": "acme.example",
        "content": 'Hi $content$ "there"\n🙂 50% off',
    }
    attempt = DeliveryAttempt.objects.get()
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.SENT, QueueState.DONE)
    assert (attempt.result, attempt.answer_status, attempt.part, attempt.parts) == ("sent", 200, 1, 1)
    assert attempt.provider_id
    assert "sandbox-key" not in json.dumps([attempt.headers, attempt.body, attempt.url])

    assert wait_for(lambda: WebhookRequest.objects.filter(verdict="accepted").exists())
    file_events.drain()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED

    assert sandbox.text(CONTACT, private.number, "Hello <b>there</b>!") == 200
    file_events.drain()
    answer = Message.objects.get(direction="in")
    assert (answer.text, answer.conversation_id) == ("Hello <b>there</b>!", message.conversation_id)
    assert answer.conversation.last_message == answer


def test_a_picture_goes_out_as_a_link_and_comes_in_as_a_file(
    portal: str, sandbox: Sandbox, private: Number, alice: User
) -> None:
    submit(alice, private, CONTACT, text="Look", files=[SimpleUploadedFile("cat.png", png(), "image/png")])
    dispatch.drain()
    bodies = [json.loads(item.body) for item in sandbox.received]
    assert [body.get("content") for body in bodies] == ["Look", None]
    assert bodies[1].keys() == {"from", "to", "extension", "domain", "media_url"}
    assert bodies[1]["media_url"].startswith(f"{portal}/media/")
    assert bodies[1]["media_url"].endswith("/cat.png")
    message = Message.objects.get()
    assert [item.part for item in message.delivery_attempts.all()] == [1, 2]
    assert message.status == Status.SENT

    assert sandbox.picture(CONTACT, private.number, "Nice", png(), "image/png") == 200
    file_events.drain()
    fetch_media.drain()
    received = Attachment.objects.get(message__direction="in")
    assert (received.state, received.content_type) == (AttachmentState.KEPT, "image/png")
    assert received.message.text == "Nice"
    assert Conversation.objects.count() == 1
