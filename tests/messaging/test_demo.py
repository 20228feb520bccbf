"""The demo's example account, with whatever service the phone plays."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from integrations import catalog
from integrations.language.document import compile_document
from integrations.models import AccessToken, Integration, Template, TemplateRevision
from integrations.properties import values_of
from integrations.sandbox import ACCESS_TOKEN, Sandbox
from integrations.sandbox.catalog_entry import CatalogEntry
from integrations.sandbox.catalog_entry import services as services_to_play
from messaging import demo
from messaging.engine.sweep import due_tasks
from messaging.models import Number
from messaging.wakeups import Task
from portal.models import User
from tests import installation
from tests.processes import Process, free_port

Play = Callable[[str], Sandbox]


@pytest.fixture
def play() -> Iterator[Play]:
    """Starts the service of a folder, each at a port of its own."""
    catalog.install()
    started: list[Sandbox] = []

    def start(slug: str) -> Sandbox:
        provider = Sandbox(catalog.FOLDER / slug)
        provider.start()
        started.append(provider)
        return provider

    yield start
    for provider in started:
        provider.stop()


def services() -> list[str]:
    return [
        item.template.service_id for item in Integration.objects.order_by("pk").select_related("template")
    ]


def routes() -> set[tuple[str, str, str]]:
    rows = Number.objects.select_related("integration__template")
    return {
        (row.number, row.integration.template.service_id, row.inbound_format)
        for row in rows
        if row.integration
    }


@pytest.mark.django_db
def test_it_is_made_once_and_follows_the_port(play: Play) -> None:
    first, second = play("generic"), play("generic")
    one, two = demo.create(first, "correct-horse-battery"), demo.create(second, "another")
    assert one == two
    integration = Integration.objects.ready().get()
    assert one.webhook_url == integration.account_webhook_url
    assert {user.check_password("another") for user in User.objects.all()} == {
        True
    }  # the one that is printed
    assert values_of([integration])[integration.pk] == {"API URL": second.api_url, "API key": "sandbox-key"}
    assert Template.objects.exclude(account=None).count() == 0


@pytest.mark.django_db
def test_another_service_takes_the_numbers_over_and_gives_them_back(play: Play) -> None:
    generic = demo.create(play("generic"), "correct-horse-battery")
    voipms = demo.create(play("voipms"), "correct-horse-battery")
    assert services() == ["generic", "voipms-sandbox"]
    assert routes() == {
        ("+61855555555", "voipms-sandbox", "national"),
        ("+61855555556", "voipms-sandbox", "national"),
    }
    assert voipms.webhook_url.replace("voipms-sandbox", "generic") == generic.webhook_url
    demo.create(play("generic"), "correct-horse-battery")
    assert routes() == {("+61855555555", "generic", "e164"), ("+61855555556", "generic", "e164")}


@pytest.mark.django_db
def test_a_lab_template_is_revised_only_when_it_changes(play: Play) -> None:
    first = play("twilio")
    for provider in (first, first, play("twilio")):
        demo.create(provider, "correct-horse-battery")
    revisions = TemplateRevision.objects.filter(template__service_id="twilio-sandbox").order_by("number")
    assert len(revisions) == 2
    assert (
        revisions[0].source.startswith('{\n  "id": "twilio-sandbox",\n')
        and first.origin in revisions[0].source
    )
    assert "https://api.twilio.com" not in revisions[1].source


@pytest.mark.django_db
def test_a_service_with_oauth_is_connected_at_once() -> None:
    provider = Sandbox()
    document = {
        "id": "acme",
        "name": "Acme",
        "auth": {
            "type": "OAuth2",
            "flow_type": "password",
            "client_id": "us",
            "token_endpoint": "https://acme.example/token",
        },
        "API": {"SendMessage": {"request_url": "https://acme.example/texts"}},
    }
    template = compile_document(document)
    provider.entry = CatalogEntry(template.document, template, (), b"")
    provider.start()
    try:
        demo.create(provider, "correct-horse-battery")
    finally:
        provider.stop()
    assert AccessToken.objects.good().get().secrets == {"access_token": ACCESS_TOKEN}


def test_the_allowed_origins_stay_allowed_beside_those_of_the_demo(tmp_path: Path) -> None:
    port, phone = free_port(), free_port()
    process = Process.manage(
        "demo",
        f"--port={port}",
        f"--phone-port={phone}",
        f"--data={tmp_path / 'data'}",
        environment={
            "PATCHBAY_ALLOWED_ORIGINS": "http://10.0.0.5:13013",
            "PATCHBAY_DEMO_PASSWORD": installation.PASSWORD,
        },
        log=tmp_path / "log",
    )
    try:
        process.wait_until_ready(f"http://localhost:{port}")
        # Only operators are told.
        [database] = (tmp_path / "data").glob("*.sqlite3")
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE portal_user SET is_operator = 1 WHERE email = ?", [demo.ADMIN[1]])
        url = f"http://localhost:{port}"
        session = requests.Session()
        session.get(f"{url}/account/login/").raise_for_status()
        form = {"login": demo.ADMIN[1], "password": installation.PASSWORD}
        token = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
        session.post(f"{url}/account/login/", data=form | token, headers={"Referer": url})
        page = session.get(f"{url}/account/email/").text
    finally:
        process.kill()
    assert f"http://10.0.0.5:13013, http://127.0.0.1:{phone}, http://localhost:{port}" in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("slug", "task"), [("polled", Task.POLL_SERVICES), ("subscribed", Task.RENEW_SUBSCRIPTIONS)]
)
def test_a_service_that_is_polled_or_subscribed_to_is_called_at_once(slug: str, task: Task) -> None:
    provider = Sandbox(services_to_play()[slug])
    provider.start()
    try:
        demo.create(provider, "correct-horse-battery")
    finally:
        provider.stop()
    assert task in due_tasks()[0]
