"""How many keys a request is tried with, and how the few that may fit are found."""

from __future__ import annotations

import base64
import importlib
import json
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from integrations import migrations, properties, webhooks
from integrations.models import ComparedValue, Integration, PropertyValues, Template
from messaging.models import Number, WebhookEvent, WebhookRequest
from messaging.webhooks import refusals
from portal.models import Account, Organization

MANY = 70  # more than are tried
STATUS = {
    "event_type": "messageDelivered",
    "request_parameters": {"account": "$Account ID$", "id": "$messageid$"},
}
TEXT = {
    "event_type": "message",
    "request_parameters": {"account?": "$Account ID$", "from": "$from$", "to": ["$to$"], "text": "$content$"},
}
PROPERTIES: list[Any] = [{"name": "Account ID", "secret": False, "required": False}, "Key"]
HEADER = {"type": "header", "name": "X-Key", "value": "$Key$"}
BASIC = {"type": "basic", "username": "$Account ID$", "password": "$Key$"}
PLAIN = {"event_type": "messageDelivered", "request_parameters": {"id": "$messageid$"}}


def document(verify: Any = HEADER, *events: Any) -> str:
    section = {"verify": verify, "events": events or [STATUS, TEXT]}
    return json.dumps({"id": "keyed", "name": "Keyed", "properties": PROPERTIES, "Webhook": section})


@pytest.fixture
def template(account: Account) -> Template:
    made = Template(account=account)
    made.revise(document())
    return made


def fill(account: Account, template: Template, count: int, first: int = 0) -> list[Integration]:
    """Organizations with the account ids ac0, ac1 …, and the keys key0, key1 …"""
    found = []
    for index in range(first, first + count):
        organization = Organization.objects.create(
            account=account, name=f"O{index}", domain=f"o{index}.example"
        )
        integration = Integration.objects.create(organization=organization, template=template)
        properties.store(integration, {"Account ID": f"ac{index}", "Key": f"key{index}"})
        found.append(integration)
    return found


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that requests were tried with."""
    found: list[str] = []
    real: Callable[..., Any] = webhooks.read

    def read(template: Any, request: Any, values: Any, **more: Any) -> Any:
        found.append(values.get("Key", ""))
        return real(template, request, values, **more)

    monkeypatch.setattr(webhooks, "read", read)
    return found


def post(account: Account, body: Any, key: str, user: str = "") -> int:
    """The status of the response."""
    headers = {"X-Key": key}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()
    url = f"/services/keyed/a{account.accountid}"
    return Client().post(url, json.dumps(body), content_type="application/json", headers=headers).status_code


def test_at_most_50_keys_are_tried_and_the_rest_is_refused_and_counted(
    account: Account, template: Template, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    template.revise(document(HEADER, PLAIN))
    fill(account, template, MANY)
    counted: list[str] = []
    monkeypatch.setattr(refusals, "count", lambda reason, latest: counted.append(reason))
    assert post(account, {"id": "unknown"}, "wrong") == 401
    assert len(tried) == len(set(tried)) == 50
    assert counted == ["more keys than are tried", "bad signature"]
    assert WebhookRequest.objects.get().verdict == "unverified"
    assert WebhookEvent.objects.count() == 0


def test_a_request_takes_no_more_queries_for_140_integrations_than_for_70(
    account: Account, template: Template
) -> None:
    post(account, {"id": "unknown"}, "wrong")  # the first in a minute is stored
    counts = []
    for first in (0, MANY):
        fill(account, template, MANY, first)
        for body in ({"id": "unknown"}, {"id": "unknown", "account": "ac3"}, {"id": "x", "account": "none"}):
            with CaptureQueriesContext(connection) as queries:
                post(account, body, "wrong")
            counts.append(len(queries))
    assert counts[:3] == counts[3:]


def test_what_the_request_says_of_its_account_finds_the_key(
    account: Account, template: Template, tried: list[str]
) -> None:
    fill(account, template, MANY)
    for index in (0, MANY // 2, MANY - 1):
        tried.clear()
        assert post(account, {"id": f"m{index}", "account": f"ac{index}"}, f"key{index}") == 200
        assert tried == [f"key{index}"]
    assert WebhookEvent.objects.count() == 3
    # Another's key shows that the provider sent this, but not that it means what it says.
    assert post(account, {"id": "m", "account": "ac1"}, "key2") == 200
    assert WebhookRequest.objects.latest("pk").verdict == "unmatched"
    assert post(account, {"id": "m", "account": "ac1"}, "wrong") == 401
    assert WebhookEvent.objects.count() == 3


def test_the_user_name_of_a_basic_sign_in_finds_the_key(
    account: Account, template: Template, tried: list[str]
) -> None:
    template.revise(document(BASIC, PLAIN))
    fill(account, template, MANY)
    assert post(account, {"id": "m"}, f"key{MANY - 1}", user=f"ac{MANY - 1}") == 200
    assert tried == [f"key{MANY - 1}"]
    assert post(account, {"id": "n"}, "wrong", user=f"ac{MANY - 1}") == 401


def test_a_secret_user_name_is_not_kept(account: Account, template: Template) -> None:
    source = json.loads(document(BASIC, PLAIN))
    source["properties"] = ["Account ID", "Key"]
    template.revise(json.dumps(source))
    fill(account, template, 2)
    assert ComparedValue.objects.count() == 0


def test_a_key_that_all_share_is_found_among_many(
    account: Account, template: Template, tried: list[str]
) -> None:
    PropertyValues.objects.create(
        account=account, template=template, values={"Account ID": "shared", "Key": "shared"}
    )
    fill(account, template, MANY)
    for index in range(2):
        organization = Organization.objects.create(
            account=account, name=f"S{index}", domain=f"s{index}.example"
        )
        properties.store(Integration.objects.create(organization=organization, template=template), {})
    assert post(account, {"id": "m", "account": "shared"}, "shared") == 200
    assert tried == ["shared"]
    assert WebhookEvent.objects.get().integration is None  # it may be any of theirs
    # One that overrides only the key has the account's id all the same.
    organization = Organization.objects.create(account=account, name="P", domain="p.example")
    own = Integration.objects.create(organization=organization, template=template)
    properties.store(own, {"Key": "of P"})
    tried.clear()
    assert post(account, {"id": "n", "account": "shared"}, "of P") == 200
    assert tried[-1] == "of P" and {*tried} <= {"shared", "of P"}


def test_many_that_share_a_key_are_tried_as_one(
    account: Account, template: Template, tried: list[str]
) -> None:
    PropertyValues.objects.create(account=account, template=template, values={"Key": "shared"})
    for item in fill(account, template, MANY):
        properties.store(item, {})
    assert post(account, {"id": "unknown"}, "wrong") == 401
    assert tried == ["shared"]


def test_what_changes_is_found_where_it_is_now(
    account: Account, template: Template, tried: list[str]
) -> None:
    item = fill(account, template, MANY)[-1]
    properties.store(item, {"Account ID": "new", "Key": "key"})
    assert post(account, {"id": "m1", "account": "new"}, "key") == 200
    assert tried == ["key"]
    assert post(account, {"id": "m2", "account": f"ac{MANY - 1}"}, "key") == 401
    # Another revision compares another property, and the account's values come and go.
    source = json.loads(document())
    source["properties"].append({"name": "Profile", "secret": False, "default": "none"})
    source["Webhook"]["events"][0]["request_parameters"] = {"profile": "$Profile$", "id": "$messageid$"}
    published = template.published
    template.revise(json.dumps(source))
    properties.store(item, {"Account ID": "new", "Key": "key", "Profile": "p"})
    tried.clear()
    assert post(account, {"id": "m3", "profile": "p"}, "key") == 200
    assert tried == ["key"]
    item.revision = published
    item.save()
    tried.clear()
    assert post(account, {"id": "m4", "account": "new"}, "key") == 200
    assert tried == ["key"]
    item.enabled = False
    item.save()
    assert post(account, {"id": "m5", "account": "new"}, "key") == 401


def test_a_revision_that_compares_something_finds_what_was_stored_before(
    account: Account, template: Template, tried: list[str]
) -> None:
    template.revise(document(HEADER, PLAIN))
    fill(account, template, MANY)
    assert ComparedValue.objects.count() == 0
    template.revise(document())
    assert ComparedValue.objects.count() == MANY
    assert post(account, {"id": "m", "account": f"ac{MANY - 1}"}, f"key{MANY - 1}") == 200
    assert tried == [f"key{MANY - 1}"]
    template.revise(document(HEADER, PLAIN))
    assert ComparedValue.objects.count() == 0


def test_the_same_value_in_another_account_finds_nothing(account: Account, template: Template) -> None:
    Template.objects.update(account=None)
    other = Account.objects.create(name="Other")
    fill(other, Template.objects.get(), 2)
    fill(account, Template.objects.get(), MANY, first=10)
    assert post(account, {"id": "m", "account": "ac1"}, "key1") == 401
    assert post(other, {"id": "m", "account": "ac1"}, "key1") == 200


def test_many_numbers_in_one_request_do_not_have_all_their_keys_tried(
    account: Account, template: Template, tried: list[str]
) -> None:
    spelled = []
    for index, item in enumerate(fill(account, template, MANY)):
        spelled.append(f"+618555555{index:02}")
        Number.objects.create(
            organization=item.organization, integration=item, number=spelled[-1], country="AU"
        )
    text = {"from": "+61412345678", "to": spelled, "text": "Hi"}
    assert post(account, text, "wrong") == 401
    assert len(tried) == 50
    assert WebhookEvent.objects.count() == 0
    tried.clear()
    assert post(account, {**text, "to": spelled[-1:]}, f"key{MANY - 1}") == 200
    assert tried == [f"key{MANY - 1}"]


def test_what_was_stored_before_the_index_is_in_it(account: Account, template: Template) -> None:
    PropertyValues.objects.create(account=account, template=template, values={"Account ID": "shared"})
    *_, pinned, blank, partial = fill(account, template, 5)
    pinned.revision = template.published
    pinned.save()
    properties.store(blank, {})
    properties.store(partial, {"Key": "own"})
    kept = ComparedValue.objects.order_by("values", "digest").values_list(
        "values", "digest", "account", "template"
    )
    expected = list(kept)
    assert len(expected) == 5
    ComparedValue.objects.all().delete()
    PropertyValues.objects.update(blank=False)
    (name,) = [
        item.name for item in pkgutil.iter_modules(migrations.__path__) if "compared_values" in item.name
    ]
    importlib.import_module(f"integrations.migrations.{name}").fill(apps, None)
    assert list(kept.all()) == expected
    assert list(PropertyValues.objects.filter(blank=True)) == [blank.values_row]
