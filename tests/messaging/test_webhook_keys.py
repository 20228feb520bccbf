"""How many keys a request is tried with, and how the few that may fit are found."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from integrations import compared_values, confirming, properties, webhooks
from integrations.models import ComparedValue, Integration, PropertyValues, Template
from messaging.models import Number, WebhookEvent, WebhookRequest
from messaging.webhooks import owners, refusals
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
    tried.clear()
    assert post(account, {"id": "m", "account": "ac1"}, "key2") == 401
    assert post(account, {"id": "m", "account": "ac1"}, "wrong") == 401
    assert tried == ["key1", "key1"]
    assert WebhookEvent.objects.count() == 3


def test_where_there_are_few_another_key_shows_that_the_provider_sent_it(
    account: Account, template: Template
) -> None:
    fill(account, template, 3)
    # But not that it means what it says.
    assert post(account, {"id": "m", "account": "ac1"}, "key2") == 200
    assert WebhookRequest.objects.get().verdict == "unmatched"
    assert post(account, {"id": "m", "account": "ac1"}, "wrong") == 401
    assert WebhookEvent.objects.count() == 0


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many integrations are looked at when nothing says whose a request is: fewer than usual."""
    monkeypatch.setattr(owners, "MOST_CANDIDATES", 2)
    return 2


def test_no_key_is_loaded_for_an_account_that_nobody_has(
    account: Account, template: Template, tried: list[str], few: int
) -> None:
    fill(account, template, few + 2)
    with CaptureQueriesContext(connection) as queries:
        assert post(account, {"id": "m", "account": "none"}, "key1") == 401
    assert tried == []
    loads = [query["sql"] for query in queries if '"integrations_propertyvalues"."values"' in query["sql"]]
    assert loads == []
    assert WebhookRequest.objects.get().verdict == "unverified"
    assert WebhookEvent.objects.count() == 0


def test_a_wrong_key_takes_as_many_queries_for_a_known_account_however_many_there_are(
    account: Account, template: Template, tried: list[str], few: int
) -> None:
    post(account, {"id": "m", "account": "none"}, "wrong")  # the first in a minute is stored
    counts = []
    for first in (0, few + 2):
        fill(account, template, few + 2, first)
        tried.clear()
        with CaptureQueriesContext(connection) as queries:
            assert post(account, {"id": "m", "account": "ac0"}, "wrong") == 401
        assert tried == ["key0"]
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_whoever_has_the_account_from_a_default_is_tried_too(
    account: Account, template: Template, tried: list[str], few: int
) -> None:
    source = json.loads(document())
    source["properties"][0]["default"] = "usual"
    template.revise(json.dumps(source))
    fill(account, template, few + 1)
    organization = Organization.objects.create(account=account, name="D", domain="d.example")
    Integration.objects.create(organization=organization, template=template)
    assert post(account, {"id": "m", "account": "usual"}, "wrong") == 401
    assert tried == [""]
    Integration.objects.filter(organization=organization).delete()
    other = fill(account, template, 1, first=9)[0]
    properties.store(other, {"Key": "own"})
    assert post(account, {"id": "m", "account": "usual"}, "own") == 200
    assert WebhookEvent.objects.count() == 1


def test_a_pinned_revision_that_compares_nothing_has_its_keys_tried(
    account: Account, template: Template, tried: list[str], few: int
) -> None:
    template.revise(document(HEADER, PLAIN))
    items = fill(account, template, few + 1)
    items[1].revision = template.published
    items[1].save()
    template.revise(document())
    assert post(account, {"id": "m", "account": "none"}, "key1") == 200
    assert "key1" in tried
    assert WebhookEvent.objects.count() == 1


def test_until_all_values_are_taken_over_others_are_tried(
    account: Account, template: Template, tried: list[str], few: int
) -> None:
    items = fill(account, template, few + 1)
    PropertyValues.objects.filter(integration=items[0]).update(blank=None)
    ComparedValue.objects.filter(values__integration=items[0]).delete()
    assert post(account, {"id": "m", "account": "none"}, "wrong") == 401
    assert len(tried) == few + 1
    compared_values.adopt()
    tried.clear()
    assert post(account, {"id": "m", "account": "none"}, "wrong") == 401
    assert tried == []


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
    PropertyValues.objects.update(blank=None)  # as version 0.1 has left them
    compared_values.adopt()
    assert list(kept.all()) == expected
    assert list(PropertyValues.objects.filter(blank=True)) == [blank.values_row]
    assert PropertyValues.objects.filter(blank=False).count() == 5
    with CaptureQueriesContext(connection) as queries:
        compared_values.adopt()
    assert len(queries) == 1  # none is left


def test_before_they_are_taken_over_values_of_the_version_before_are_tried(
    account: Account, template: Template, tried: list[str]
) -> None:
    fill(account, template, 2)
    ComparedValue.objects.all().delete()
    PropertyValues.objects.update(blank=None)
    assert post(account, {"id": "m", "account": "ac1"}, "key1") == 200
    assert set(tried) <= {"key0", "key1"}


def test_what_cannot_be_read_holds_up_nothing(account: Account, template: Template) -> None:
    lost, found = fill(account, template, 2)
    PropertyValues.objects.update(blank=None)
    with connection.cursor() as cursor:
        cursor.execute(
            'UPDATE integrations_propertyvalues SET "values" = %s WHERE integration_id = %s',
            [b"lost", lost.pk],
        )
    ComparedValue.objects.all().delete()
    compared_values.adopt()
    assert ComparedValue.objects.values_list("values__integration", flat=True).get() == found.pk
    assert PropertyValues.objects.values_list("integration", flat=True).get(blank=None) == lost.pk
    template.revise(document(HEADER, STATUS))
    assert ComparedValue.objects.values_list("values__integration", flat=True).get() == found.pk


def test_a_renewal_that_fails_changes_nothing(account: Account, template: Template) -> None:
    (item,) = fill(account, template, 1)
    before = list(ComparedValue.objects.values_list("digest", flat=True))

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT") and "comparedvalue" in sql:
            raise OperationalError("The database has gone.")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        with pytest.raises(OperationalError):
            compared_values.renew(PropertyValues.objects.all())
        with pytest.raises(OperationalError):
            properties.store(item, {"Account ID": "new", "Key": "key"})
    assert list(ComparedValue.objects.values_list("digest", flat=True)) == before
    assert PropertyValues.objects.get().values == {"Account ID": "ac0", "Key": "key0"}


def test_it_is_renewed_once_and_only_for_what_matters(account: Account, template: Template) -> None:
    (item,) = fill(account, template, 1)
    row = PropertyValues.objects.get()

    def confirm() -> None:
        confirming.allow({row.pk: {"Key": {"https://a.example"}}}, None)

    def trouble() -> None:
        item.trouble = "It does not answer."
        item.save(update_fields=["trouble", "trouble_since"])

    def pin() -> None:
        item.revision = template.published
        item.save(update_fields=["revision"])

    renewed = []
    for change in (confirm, trouble, pin, lambda: template.revise(document(HEADER, STATUS))):
        with CaptureQueriesContext(connection) as queries:
            change()
        renewed.append(
            sum(
                "DELETE" in query["sql"] and "comparedvalue" in query["sql"]
                for query in queries.captured_queries
            )
        )
    assert renewed == [0, 0, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_those_who_renew_at_once_do_not_wait_for_each_other_for_ever(
    account: Account, template: Template
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("One at a time writes to an SQLite database.")
    items = fill(account, template, 4)
    PropertyValues.objects.create(account=account, template=template, values={"Account ID": "shared"})

    def repeat(change: Callable[[int], object]) -> None:
        try:
            for index in range(15):
                change(index)
        finally:
            connection.close()

    def of_account(index: int) -> None:
        row = PropertyValues.objects.get(account=account)
        row.values = {"Account ID": f"shared{index}"}
        row.save()

    changes: list[Callable[[int], object]] = [
        of_account,
        lambda index: Template.objects.get().revise(document(HEADER, STATUS, TEXT)),
        lambda index: properties.store(items[0], {"Account ID": f"new{index}", "Key": "key"}),
        lambda index: compared_values.renew(PropertyValues.objects.all()),
    ]
    with ThreadPoolExecutor(len(changes)) as threads:
        list(threads.map(repeat, changes))
    kept = set(ComparedValue.objects.values_list("digest", flat=True))
    values = ["shared14", "new14", "ac1", "ac2", "ac3"]
    assert kept == {compared_values.digest("Account ID", value) for value in values}
