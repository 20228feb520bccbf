"""Every service of the catalogue goes round the sandbox, over real HTTP in both directions."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from integrations import holds, subscriptions
from integrations.case_exchanges import message_of
from integrations.models import AccessToken, Integration, Template
from integrations.sandbox import ACCESS_TOKEN, Sandbox
from integrations.sandbox.catalog_entry import services
from messaging import numbers
from messaging.inbound import fetch_media, file_events
from messaging.models import Assignment, Attachment, Message, Number, WebhookRequest
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.statuses import AttachmentState, Status
from portal.models import Organization, User
from tests.flows.test_round_trip import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

# Those who are logged in at, polled or subscribed to first have tests of their own.
ELSEWHERE = {"login", "polled", "subscribed"}
FOLDERS = [pytest.param(folder, id=name) for name, folder in services().items() if name not in ELSEWHERE]
WORDS = 'He said "hi" & left\n100% €5 😀'


def png() -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def provider(folder: Path) -> Iterator[Sandbox]:
    """The service of a folder."""
    provider = Sandbox(folder, delay_delivered=0.02)
    provider.start()
    yield provider
    provider.stop()


@pytest.fixture
def ours(
    provider: Sandbox, acme: Organization, alice: User, live_server: Any, settings: Any
) -> Iterator[Number]:
    """Alice's number at this service: the one that its cases send from; the contact's is the one they send to."""
    settings.PUBLIC_URL = live_server.url
    settings.PATCHBAY_ALLOWED_ORIGINS = [provider.origin, live_server.url]
    template = Template(account=acme.account)
    template.revise(provider.document)
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, provider.values)
    if integration.compiled.oauth is not None:
        AccessToken.objects.create(
            integration=integration, secrets={"access_token": ACCESS_TOKEN}, granted_at=timezone.now()
        )
    provider.webhook_url = integration.account_webhook_url
    text = next(case for case in provider.entry.cases if case.get("method") == "SendMessage")
    number, provider.phone = (str(message_of(text)[name]) for name in ("from", "to"))
    # A short code has no country of its own; it is the recipient's.
    country = numbers.parse(number).country or numbers.parse(provider.phone).country
    spelled = provider.spelled(number)
    row = Number.objects.create(
        organization=acme,
        integration=integration,
        number=number,
        country=country,
        inbound_format=next(form for form in numbers.Format if numbers.spell(number, "", form) == spelled),
    )
    Assignment.objects.create(number=row, user=alice)
    subscriptions.renew_due()
    yield row
    requests = WebhookRequest.objects.exclude(verdict="accepted")
    assert [(item.verdict, item.reason) for item in requests] == []


def on_the_phone(provider: Sandbox) -> list[dict[str, Any]]:
    """What the portal sent, as the phone shows it."""
    state = provider.store.since("") or {}
    return [message for message in state["messages"] if not message["mine"]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_text_goes_out_and_its_delivery_comes_back(provider: Sandbox, ours: Number, alice: User) -> None:
    message = submit(alice, ours, provider.phone, text=WORDS)
    dispatch.drain()

    message.refresh_from_db()
    assert (message.status, message.status_text) == (Status.SENT, "")
    assert message.delivery_attempts.get().result == "sent"
    [shown] = on_the_phone(provider)
    assert (shown["contact"], shown["number"], shown["text"]) == (provider.phone, ours.number, WORDS)
    if reports(provider, "messageDelivered", "messageStatus"):
        assert wait_for(lambda: WebhookRequest.objects.filter(verdict="accepted").exists())
        file_events.drain()
        message.refresh_from_db()
        assert message.status == Status.DELIVERED
        assert on_the_phone(provider)[0]["note"] == "Reported as delivered (200)"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_picture_goes_out(provider: Sandbox, ours: Number, alice: User, settings: Any) -> None:
    provider.reports = False
    files = [SimpleUploadedFile("cat.png", png(), "image/png")]
    message = submit(alice, ours, provider.phone, text="Look", files=files)
    dispatch.drain()

    message.refresh_from_db()
    assert message.status == Status.SENT
    if "SendFile" in provider.provider.hosted.template.methods:
        [name] = wait_for(lambda: [item["file"] for item in on_the_phone(provider) if item["file"]])
        kind, content = provider.store.file(name)
        types = provider.provider.hosted.template.limits.media_types
        if not types or {"image/png", "image/*"} & {*types}:
            assert (kind, content) == ("image/png", Path(Attachment.objects.get().file.path).read_bytes())
        else:
            assert (kind, Image.open(io.BytesIO(content)).size) == ("image/jpeg", (8, 8))
        assert [item["text"] for item in on_the_phone(provider) if item["text"]] == ["Look"]
    else:
        [shown] = on_the_phone(provider)
        words, _, link = shown["text"].partition("\n")
        assert (words, link.startswith(settings.PUBLIC_URL)) == ("Look", True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_text_comes_in(provider: Sandbox, ours: Number) -> None:
    assert [provider.text(provider.phone, ours.number, words) for words in (WORDS, "Again")] == [200, 200]
    file_events.drain()
    received = Message.objects.filter(direction="in").order_by("pk")
    assert [message.text for message in received] == [WORDS, "Again"]
    assert {message.conversation.contact.address for message in received} == {provider.phone}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_picture_comes_in(provider: Sandbox, ours: Number) -> None:
    status = provider.picture(provider.phone, ours.number, "Look", png(), "image/png")
    if not reports(provider, "mms"):
        assert (status, WebhookRequest.objects.count()) == (0, 0)
        return
    assert status == 200
    file_events.drain()
    fetch_media.drain()
    received = Attachment.objects.get(message__direction="in")
    assert (received.state, received.problem) == (AttachmentState.KEPT, "")
    assert (received.content_type, received.message.text) == (
        "image/png",
        "Look" if captions(provider) else "",
    )
    assert received.message.conversation.contact.address == provider.phone


def reports(provider: Sandbox, *kinds: str) -> bool:
    """Whether the template has an event of one of these types."""
    return any(event.type in kinds for event in provider.provider.hosted.template.webhook.events)


def captions(provider: Sandbox) -> bool:
    """Whether some case has a picture with a text."""
    received = [
        case["expect"].get("events", []) for case in provider.entry.cases if case["kind"] == "receive"
    ]
    return any(event["type"] == "mms" and "text" in event for events in received for event in events)
