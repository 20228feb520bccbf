"""A provider that calls nobody, played by the sandbox over HTTP: it is polled."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from PIL import Image

from integrations import setup
from integrations.cases import run_folder
from integrations.models import Integration, Poll
from integrations.sandbox import Sandbox
from integrations.sandbox.catalog_entry import services
from messaging.inbound import fetch_media, file_events, poll
from messaging.models import Attachment, Message, Number, WebhookRequest
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.statuses import AttachmentState, Status
from portal.models import Organization, User
from tests.flows.numbers import connected
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = services()["polled"]
CONTACT = "+61412345678"


@pytest.fixture
def provider(settings: Any, tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(FOLDER, delay_delivered=0)
    sandbox.start()
    settings.MEDIA_ROOT, settings.WEBHOOK_CACHE_SECONDS = tmp_path, 0
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin]
    yield sandbox
    sandbox.stop()


@pytest.fixture
def ours(provider: Sandbox, acme: Organization, alice: User) -> Number:
    return connected(provider, acme, alice)


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "PNG")
    return out.getvalue()


def later() -> None:
    """The time of the next poll has come."""
    Poll.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    poll.drain()
    file_events.drain()


def texts() -> list[str]:
    return list(Message.objects.filter(direction="in").order_by("pk").values_list("text", flat=True))


def test_its_cases() -> None:
    assert [result.difference for result in run_folder(FOLDER)] == [""] * 6


def test_texts_pictures_and_reports_come_when_it_is_asked(
    provider: Sandbox, ours: Number, alice: User
) -> None:
    sent = submit(alice, ours, CONTACT, text="Out")
    dispatch.drain()
    wait_for(lambda: "Reported as delivered" in json.dumps(provider.store.since("")))
    assert provider.text(CONTACT, ours.number, "In") == 200
    assert provider.picture(CONTACT, ours.number, "Look", picture(), "image/png") == 200
    assert provider.text(CONTACT, ours.number, "And again") == 200
    assert texts() == []
    later()
    assert texts() == ["In", "Look", "And again"]
    sent.refresh_from_db()
    assert sent.status == Status.DELIVERED
    fetch_media.drain()
    assert Attachment.objects.get(message__text="Look").state == AttachmentState.KEPT
    # The first four answers had an event each, the last none.
    assert sum(request.path.startswith("/api/inbox") for request in provider.received) == 5
    assert WebhookRequest.objects.filter(polled=True, verdict="accepted").count() == 4
    later()
    assert len(texts()) == 3 and WebhookRequest.objects.count() == 4


def test_what_is_cut_off_is_asked_for_again(
    provider: Sandbox, ours: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.text(CONTACT, ours.number, "one")
    provider.text(CONTACT, ours.number, "two")
    stored: list[Any] = []

    def killed(row: Poll, call: Any, response: Any) -> None:
        stored.append(response)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(poll, "record", killed)
        with pytest.raises(SystemExit):
            poll.drain()
    assert len(stored) == 1 and texts() == []
    Poll.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    later()
    later()
    assert texts() == ["one", "two"]


def test_while_it_is_off_nobody_asks_and_afterwards_nothing_is_missing(
    provider: Sandbox, ours: Number
) -> None:
    integration = Integration.objects.ready().get()
    setup.switch(integration, on=False)
    provider.text(CONTACT, ours.number, "meanwhile")
    later()
    assert provider.received == [] and texts() == []
    setup.switch(integration, on=True)
    poll.drain()
    file_events.drain()
    assert texts() == ["meanwhile"]


def test_errors_of_the_provider_lose_nothing(provider: Sandbox, ours: Number) -> None:
    provider.text(CONTACT, ours.number, "patience")
    provider.answer_with("500", "429", "refuse")
    for failures in (1, 2, 3):
        later()
        assert Poll.objects.get().failures == failures
    later()
    assert texts() == ["patience"] and Poll.objects.get().failures == 0


def test_the_pages_say_how_messages_arrive(
    provider: Sandbox, ours: Number, admin_of_acme: User, client: Any
) -> None:
    client.force_login(admin_of_acme)
    integration = Integration.objects.get()
    setup_page = f"/admin/integrations/integration/organization/{integration.organization_id}/{integration.template_id}/"
    page = client.get(setup_page).content.decode()
    assert "asks this provider every 15 seconds for new messages. It has not done so yet." in page
    assert "Webhook URL" not in page and "quarantined" not in page
    assert provider.text(CONTACT, ours.number, "shown") == 200
    assert '"note": "Left for Patchbay to collect"' in json.dumps(provider.store.since(""))
    later()
    assert "The last answer came on" in client.get(setup_page).content.decode()
    row = WebhookRequest.objects.get()
    page = client.get(f"/admin/messaging/webhookrequest/{row.pk}/change/").content.decode()
    assert f"<code>GET {provider.origin}/api/inbox</code>" in page and "shown" in page
    assert ">HTTP 200\n" in page and "The provider's answer" in page and "example-polled-key" not in page
    provider.answer_with("refuse")
    later()
    page = client.get(setup_page).content.decode()
    assert "The last problem: The provider responded with status 400" in page and "Not working" in page
