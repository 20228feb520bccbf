"""Who is told that something waits, what an upgrade takes over, and that nothing else can be sent."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab
from django.conf import settings
from django.core import mail
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations import holds
from integrations.models import Integration, PropertyValues, Template
from integrations.prepared import prepare
from integrations.sandbox import Sandbox
from messaging import alerts, tasks
from messaging.models import Message, Number
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from portal.celery import app
from portal.models import Account, Organization, User
from tests.messaging.queues import integration_of, template_of, write_many

ROOT = Path(__file__).parents[2]


def moved(template: Template, host: str = "https://new.example") -> None:
    """Another revision, whose requests go to another host."""
    assert template.published is not None
    made = json.loads(template.published.source)
    made["API"]["SendMessage"]["request_url"] = host
    template.revise(json.dumps(made))


def test_only_origins_makes_requests_that_can_be_sent() -> None:
    makers = []
    for room in ("portal", "integrations", "messaging"):
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.parse(path.read_text())
            ours = any(
                isinstance(node, ast.ImportFrom)
                and node.module == "integrations.events"
                and any(name.name == "HttpRequest" for name in node.names)
                for node in ast.walk(tree)
            )
            if ours and any(
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "HttpRequest"
                for node in ast.walk(tree)
            ):
                makers.append(path.relative_to(ROOT).as_posix())
    assert makers == ["integrations/origins.py"]


def test_publishing_tells_the_administrators_at_once(
    account: Account,
    acme: Organization,
    admin_of_acme: User,
    reseller: User,
    alice: User,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    integration = integration_of(acme, template_of(account), "https://a.example")
    with django_capture_on_commit_callbacks(execute=True):
        moved(integration.template)
    alerts.send_due()
    assert sorted(sent.to[0] for sent in mail.outbox) == sorted([admin_of_acme.email, reseller.email])
    assert "Own will now send your Key to https://new.example." in mail.outbox[0].body
    with django_capture_on_commit_callbacks(execute=True):
        moved(integration.template, "https://a.example")
    integration.refresh_from_db()
    assert (integration.held_since, integration.held_reason) == (None, "")
    alerts.send_due()
    assert [sent.subject for sent in mail.outbox[2:]] == ["Own needs no confirmation any more for Acme"] * 2


def test_the_page_asks_once_what_must_be_answered(
    account: Account, acme: Organization, admin_of_acme: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = integration_of(acme, template_of(account), "https://a.example")
    moved(integration.template)
    asked, real = [], holds.asks_of
    monkeypatch.setattr(holds, "asks_of", lambda item: asked.append(item.pk) or real(item))  # type: ignore[func-returns-value]
    client.force_login(admin_of_acme)
    url = f"/admin/integrations/integration/organization/{acme.pk}/{integration.template_id}/"
    page = client.get(url).content.decode()
    assert "https://new.example" in page and 'value="confirm"' in page
    assert asked == [integration.pk]


def test_one_that_is_held_takes_no_turn_from_the_others(
    private: Number, account: Account, alice: User, sandbox: Sandbox
) -> None:
    template = template_of(account)
    for index in range(10):
        organization = Organization.objects.create(
            account=account, name=str(index), domain=f"{index}.example"
        )
        integration = integration_of(organization, template, sandbox.api_url)
        number = Number.objects.create(
            organization=organization, integration=integration, number=f"+6185555560{index}", country="AU"
        )
        write_many(number, 1)
    moved(template)
    submit(alice, private, "+61412345678", text="Hello")
    dispatch.drain()
    assert [request.json["content"] for request in sandbox.received] == ["Hello"]
    assert set(Message.objects.filter(text="text 0").values_list("attempts", flat=True)) == {0}
    assert Integration.objects.filter(holds_messages=True).count() == 10


def run_those_of_each_minute() -> None:
    names = [
        entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values() if entry["schedule"] == crontab()
    ]
    for name in names:
        app.tasks[name].run()


def test_a_minute_in_which_nothing_is_held_costs_one_query(private: Number) -> None:
    with CaptureQueriesContext(connection) as queries:
        tasks.expire_held()
    assert ["messaging_message" in query["sql"] for query in queries] == [False]


def test_messages_that_are_held_too_long_expire(private: Number, service: Integration, alice: User) -> None:
    submit(alice, private, "+61412345678", text="Hello")
    Integration.objects.update(holds_messages=True)
    run_those_of_each_minute()
    assert Message.objects.get().get_status_display() == "queued"
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    run_those_of_each_minute()
    assert Message.objects.get().get_status_display() == "failed"


def test_an_upgrade_holds_nothing(account: Account, acme: Organization, globex: Organization) -> None:
    template = template_of(account)
    own = integration_of(acme, template, "https://a.example")
    inheriting = Integration.objects.create(organization=globex, template=template)
    PropertyValues.objects.create(
        account=account, template=template, values={"Key": "shared-key", "URL": "https://b.example"}
    )
    PropertyValues.objects.update(secret_origins=None)  # as version 0.1 has left them
    holds.adopt()
    holds.review([own.pk, inheriting.pk])
    assert list(Integration.objects.filter(~Q(held_reason="") | Q(holds_messages=True))) == []
    assert {origin for row in PropertyValues.objects.all() for origin in row.secret_origins["Key"]} == {
        "https://a.example",
        "https://b.example",
    }
    moved(template)
    holds.review([own.pk, inheriting.pk])
    assert Integration.objects.filter(holds_messages=True).count() == 2


def test_a_document_of_before_works_although_it_could_not_be_saved_now(
    account: Account, acme: Organization
) -> None:
    template = template_of(account)
    assert template.published is not None
    made = json.loads(template.published.source)
    made["properties"][0] = {"name": "URL", "secret": False}
    revision = template.revisions.create(number=2, source=json.dumps(made))
    Template.objects.filter(pk=template.pk).update(published=revision)
    integration = integration_of(acme, Template.objects.get(pk=template.pk), "https://a.example")
    assert prepare([integration.pk])[integration.pk].asks == ()
    holds.enter(
        Integration.objects.ready().get(pk=integration.pk), {"URL": "https://a.example", "Key": "k-12345"}
    )
    row = PropertyValues.objects.get()
    row.values = {**row.values, "URL": "https://b.example"}
    row.save()
    (ask,) = prepare([integration.pk])[integration.pk].asks
    assert (ask.label, ask.origin) == ("Key", "https://b.example")


def test_a_plain_label_that_opens_a_url_is_an_address(account: Account, acme: Organization) -> None:
    template = Template(account=account)
    made = {
        "id": "published",
        "name": "Published",
        "properties": ["Base", "Name", "Key"],
        "API": {
            "SendMessage": {"request_url": "$Base$/send", "request_parameters": {"k": "$Key$"}},
            "SendFile": {"request_url": "https://$Name$.example.com", "request_parameters": {"k": "$Key$"}},
        },
    }
    template.revise(json.dumps(made))
    assert template.published is not None
    found = {item.label: (item.type, item.secret) for item in template.published.compiled.properties}
    assert found == {"Base": ("url", True), "Name": ("text", False), "Key": ("secret", True)}
    assert [problem.pointer for problem in template.published.compiled.warnings] == [
        "/properties/0",
        "/properties/1",
    ]
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {"Base": "https://a.example/x", "Name": "b", "Key": "k-12345"})
    row = PropertyValues.objects.get()
    assert set(row.secret_origins["Key"]) == {"https://a.example", "https://b.example.com"}


def test_many_are_reviewed_in_as_many_queries_as_one(account: Account) -> None:
    template = template_of(account)
    keys = []
    for index in range(30):
        organization = Organization.objects.create(
            account=account, name=str(index), domain=f"{index}.example"
        )
        keys.append(integration_of(organization, template, "https://a.example").pk)

    def queries(found: list[int]) -> int:
        with CaptureQueriesContext(connection) as captured:
            holds.review(found)
        return len(captured)

    assert queries(keys[1:]) == queries(keys[:1])


@pytest.mark.parametrize("page", ["health", "overview", "gallery"])
def test_pages_say_what_waits(page: str, account: Account, acme: Organization, admin_of_acme: User) -> None:
    integration = integration_of(acme, template_of(account), "https://a.example")
    moved(integration.template)
    holds.review([integration.pk])
    client = Client()
    client.force_login(admin_of_acme)
    url = {
        "health": "/admin/messaging/servicehealth/",
        "overview": "/admin/",
        "gallery": f"/admin/integrations/integration/organization/{acme.pk}/",
    }[page]
    assert "Own will now send your Key to https://new.example." in client.get(url).content.decode()
