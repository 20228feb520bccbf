"""The quarantine: what an organization's admin sees, what is cleared away, and where causes are repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from integrations.models import Integration, Template
from messaging.models import Number, WebhookRequest
from messaging.reporting import repairs
from portal.models import Organization, User
from tests.messaging.queues import number_of

LIST = "/admin/messaging/webhookrequest/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def make(service: Integration, **fields: Any) -> WebhookRequest:
    return WebhookRequest.objects.create(
        **{
            "account": service.organization.account,
            "organization": service.organization,
            "template": service.template,
            "method": "POST",
            "query": b"",
            "headers": {},
            "body": b"",
            "verdict": "unmatched",
            "answer_status": 200,
            **fields,
        }
    )


def listed(user: User, query: str) -> list[int]:
    page = signed_in(user).get(f"{LIST}?{query}")
    return [row.pk for row in page.context["cl"].result_list]


@pytest.mark.django_db
def test_requests_are_cleared_away_with_a_reason(service: Integration, admin_of_acme: User) -> None:
    first, second = make(service), make(service)
    client = signed_in(admin_of_acme)
    asked = client.post(
        f"{LIST}?quarantine=yes", {"action": "clear", "_selected_action": [first.pk], "index": 0}
    )
    assert f'value="{first.pk}"' in asked.content.decode()
    refused = client.post(f"{LIST}clear-away/", {"requests": first.pk, "reason": "  "})
    assert "Say why they are not needed any more." in refused.content.decode()
    assert not WebhookRequest.objects.exclude(cleared_at=None).exists()
    client.post(f"{LIST}clear-away/", {"requests": first.pk, "reason": "A test of the provider"})
    first.refresh_from_db()
    assert first.cleared_reason == "A test of the provider"
    assert listed(admin_of_acme, "quarantine=yes") == [second.pk]
    assert listed(admin_of_acme, "quarantine=cleared") == [first.pk]
    assert listed(admin_of_acme, "") == [second.pk, first.pk]
    assert "A test of the provider" in client.get(f"{LIST}{first.pk}/change/").content.decode()


@pytest.mark.django_db
def test_others_clear_nothing_away(
    service: Integration, admin_of_globex: User, alice: User, reseller: User
) -> None:
    row, fine = make(service), make(service, verdict="accepted")
    for user, key, status in ((admin_of_globex, row, 404), (alice, row, 403), (reseller, fine, 404)):
        answer = signed_in(user).post(f"{LIST}clear-away/", {"requests": key.pk, "reason": "x"})
        assert answer.status_code == status, user.name
    assert not WebhookRequest.objects.exclude(cleared_at=None).exists()


@pytest.mark.django_db
def test_the_filters_offer_nothing_of_others(service: Integration, admin_of_globex: User) -> None:
    make(service, answer_status=418)
    client = signed_in(admin_of_globex)
    for query in ("", "?quarantine=yes", "?quarantine=cleared"):
        assert 'value="418"' not in client.get(f"{LIST}{query}").content.decode()


@pytest.mark.django_db
def test_a_reason_takes_no_null_characters(service: Integration, admin_of_acme: User) -> None:
    row = make(service)
    client = signed_in(admin_of_acme)
    client.post(f"{LIST}clear-away/", {"requests": row.pk, "reason": "A\0test"})
    row.refresh_from_db()
    assert row.cleared_reason == "Atest"


@pytest.mark.django_db
def test_administrators_and_operators_open_requests(
    service: Integration, admin_of_acme: User, reseller: User, operator: User, admin_of_globex: User
) -> None:
    page = f"{LIST}{make(service, verdict='accepted').pk}/change/"
    for user in (admin_of_acme, reseller, operator):
        assert signed_in(user).get(page).status_code == 200
    assert signed_in(admin_of_globex).get(page).status_code == 404


@pytest.mark.django_db
def test_an_empty_quarantine_says_so(admin_of_acme: User) -> None:
    page = signed_in(admin_of_acme).get(f"{LIST}?quarantine=yes").content.decode()
    assert "Nothing is waiting in quarantine." in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "sees"),
    [
        ({"to": "{acme}"}, True),
        ({"to": "{acme}", "from": "+61412345678"}, True),
        ({"to": "{acme}", "note": "{globex}"}, False),
        ({"to": "{acme}", "note": "+61 8 5555 0001"}, False),
        ({"to": "{acme}", "note": "(08) 5555 0001"}, False),
        ({"to": "+61855559999"}, False),
        ({"to": "{acme}", "many": [str(1000 + n) for n in range(200)]}, False),
    ],
)
def test_an_organization_sees_what_names_only_its_numbers(
    service: Integration,
    private: Number,
    globex: Organization,
    generic: Template,
    admin_of_acme: User,
    admin_of_globex: User,
    reseller: User,
    body: dict[str, Any],
    sees: bool,
) -> None:
    theirs = number_of(Integration.objects.create(organization=globex, template=generic), "+61855550001")
    said = json.dumps({"what": "nothing known", **body})
    said = said.replace("{acme}", private.number).replace("{globex}", theirs.number)
    Client().post(service.account_webhook_url, said, content_type="application/json")
    row = WebhookRequest.objects.get()
    assert (row.organization, row.verdict in ("unmatched", "unknown_number")) == (None, True)
    for user, number in ((admin_of_acme, int(sees)), (admin_of_globex, 0), (reseller, 1)):
        assert len(listed(user, "quarantine=yes")) == number, user.name
        status = signed_in(user).get(f"{LIST}{row.pk}/change/").status_code
        assert status == (200 if number else 404), user.name
    assert listed(admin_of_acme, "") == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("verdict", "role", "url"),
    [
        ("unmatched", "reseller", ""),
        ("unknown_number", "admin_of_acme", "/admin/messaging/number/?organization={organization}"),
        (
            "disabled",
            "admin_of_acme",
            "/admin/integrations/integration/organization/{organization}/{template}/",
        ),
        ("unverified", "reseller", "/admin/integrations/integration/organization/{organization}/{template}/"),
        ("unparsable", "reseller", ""),
        ("accepted", "reseller", ""),
    ],
)
def test_a_cause_is_repaired_where_the_link_leads(
    service: Integration, request: pytest.FixtureRequest, verdict: str, role: str, url: str
) -> None:
    user = request.getfixturevalue(role)
    row = make(service, verdict=verdict)
    links = repairs.of_request(row, repairs.Reach(user))
    expected = url.format(organization=service.organization_id, template=service.template_id)
    assert [link.url for link in links] == ([expected] if expected else [])
    for link in links:
        assert signed_in(user).get(link.url).status_code == 200
        assert f'href="{link.url}"' in signed_in(user).get(f"{LIST}{row.pk}/change/").content.decode()
