"""Templates and services in the admin: errors where they are, secrets that go in and never out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from integrations import holds, properties
from integrations.models import Integration, PropertyValues, Template
from messaging.models import Number
from portal.models import Organization, User

SETUP = "/admin/integrations/integration/organization/{}/{}/"
REST_OF_THE_FORM = {
    "inbound_format": "e164",
    "outbound_format": "e164",
    "sticky_hours": "0",
    "active": "on",
    "auto_replies-TOTAL_FORMS": "0",
    "auto_replies-INITIAL_FORMS": "0",
}
FIELDS = {"property-0": "https://api.example.com/messages", "property-1": "very-secret-key"}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def values(integration: Integration) -> dict[str, Any]:
    found = Integration.objects.ready().get(pk=integration.pk)
    return properties.values_of([found])[found.pk]


def test_a_service_is_set_up(admin_of_acme: User, acme: Organization, generic: Template) -> None:
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, generic.pk)
    page = client.get(url).content.decode()
    assert f"/services/generic/a{acme.account.accountid}" in page
    assert f"/services/generic/a{acme.orgid}" in page
    answer = client.post(url, {**FIELDS, "do": "numbers"})
    assert answer["Location"] == f"/admin/messaging/number/?organization={acme.pk}"
    integration = Integration.objects.get()
    assert values(integration) == {"API URL": FIELDS["property-0"], "API key": "very-secret-key"}
    after = client.get(url).content.decode()
    assert "very-secret-key" not in after
    assert "Saved. Leave empty to keep it." in after
    with connection.cursor() as cursor:
        cursor.execute('SELECT "values" FROM integrations_propertyvalues')
        assert b"very-secret-key" not in bytes(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"property-0": ""}, "API URL is required"),
        ({"property-1": ""}, "API key is required"),
        ({"property-0": "ftp://x"}, "complete URL"),
        ({"property-0": "https://u:p@x.example"}, "user name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    admin_of_acme: User, acme: Organization, generic: Template, given: dict[str, str], reason: str
) -> None:
    answer = signed_in(admin_of_acme).post(SETUP.format(acme.pk, generic.pk), {**FIELDS, **given})
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert (Integration.objects.count(), PropertyValues.objects.count()) == (0, 0)


def test_a_url_that_anybody_can_post_to_is_marked(
    admin_of_acme: User, acme: Organization, generic: Template, built_in: None
) -> None:
    twilio = Template.objects.get(service_id="twilio")
    client, warning = signed_in(admin_of_acme), "Anyone who knows this URL"
    pages = [
        client.get(SETUP.format(acme.pk, template.pk)).content.decode() for template in (generic, twilio)
    ]
    assert [warning in page for page in pages] == [True, False]


def test_an_empty_secret_keeps_the_stored_one(admin_of_acme: User, service: Integration) -> None:
    url = SETUP.format(service.organization_id, service.template_id)
    own = service.own_values
    fields = {"property-0": own["API URL"], "property-1": ""}
    answer = signed_in(admin_of_acme).post(url, fields, follow=True)
    assert "Generic HTTP SMS is saved." in answer.content.decode()
    assert values(service) == own


def test_an_empty_secret_keeps_the_stored_one_and_where_it_may_go(
    admin_of_acme: User, service: Integration
) -> None:
    holds.enter(service, {**service.own_values, "API key": "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"})
    before, url = values(service), SETUP.format(service.organization_id, service.template_id)
    signed_in(admin_of_acme).post(url, {"property-0": before["API URL"], "property-1": ""})
    service.refresh_from_db()
    assert (service.holds_messages, service.held_reason) == (False, "")
    assert values(service) == before


def test_a_text_of_several_lines_keeps_them(admin_of_acme: User, acme: Organization) -> None:
    document = {
        "id": "own",
        "name": "Own",
        "properties": [{"name": "Public key", "secret": False}],
        "API": {"SendMessage": {"request_url": "https://own.example"}},
    }
    template = Template(account=acme.account)
    template.revise(json.dumps(document))
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, template.pk)
    assert client.post(url, {"property-0": "first\r\nsecond"}).status_code == 302
    found = Integration.objects.get()
    assert values(found) == {"Public key": "first\nsecond"}
    assert re.search(r"<textarea[^>]*>\s*first\nsecond</textarea>", client.get(url).content.decode())


def test_a_secret_does_not_move_to_another_host_unasked(admin_of_acme: User, service: Integration) -> None:
    client, url = signed_in(admin_of_acme), SETUP.format(service.organization_id, service.template_id)
    client.post(url, {"property-0": "https://evil.example/", "property-1": ""})
    assert "will now send your API key to https://evil.example." in client.get(url).content.decode()
    service.refresh_from_db()
    assert (service.holds_messages, service.held_since is None) == (True, False)
    client.post(url, {"property-0": "https://new.example/", "property-1": "new-secret"})
    assert values(service) == {"API URL": "https://new.example/", "API key": "new-secret"}
    service.refresh_from_db()
    assert (service.holds_messages, service.held_reason) == (False, "")


def test_an_account_wide_secret_is_inherited(
    admin_of_acme: User, reseller: User, acme: Organization, generic: Template
) -> None:
    for_all = f"/admin/integrations/integration/account/{acme.account_id}/{generic.pk}/"
    assert signed_in(reseller).post(for_all, {**FIELDS})["Location"] == f"{for_all}organizations/"
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, generic.pk)
    assert "Set for the whole account" in client.get(url).content.decode()
    assert client.post(url, {"property-0": "", "property-1": ""}).status_code == 302
    integration = Integration.objects.get()
    assert values(integration)["API key"] == "very-secret-key"
    assert not integration.holds_messages


def test_switching_off_and_on(admin_of_acme: User, service: Integration) -> None:
    client, url = signed_in(admin_of_acme), SETUP.format(service.organization_id, service.template_id)
    for do, enabled in (("off", False), ("on", True)):
        client.post(url, {"do": do})
        service.refresh_from_db()
        assert service.enabled is enabled


def test_a_number_with_its_users(
    admin_of_acme: User, service: Integration, alice: User, charlie: User
) -> None:
    client = signed_in(admin_of_acme)
    form = {
        "number": "08 5555 5503",
        "country": "AU",
        "integration": service.pk,
        **REST_OF_THE_FORM,
        "assigned": [alice.pk, admin_of_acme.pk],
    }
    assert client.post("/admin/messaging/number/add/", form).status_code == 302
    number = Number.objects.get()
    assert (number.number, number.kind) == ("+61855555503", "e164")
    assert set(number.users.all()) == {alice, admin_of_acme}
    url = f"/admin/messaging/number/{number.pk}/change/"
    assert client.post(url, {**form, "assigned": [charlie.pk]}).status_code == 200
    assert set(number.users.all()) == {alice, admin_of_acme}
    assert client.post(url, {**form, "assigned": [alice.pk]}).status_code == 302
    assert set(number.users.all()) == {alice}


@pytest.mark.parametrize(
    "given", [{"number": "nonsense!"}, {"number": "+61\r\n8"}, {"integration": "999999"}, {"country": "ZZ"}]
)
def test_wrong_numbers_are_refused(admin_of_acme: User, service: Integration, given: dict[str, str]) -> None:
    form = {
        "number": "+61855555503",
        "country": "AU",
        "integration": service.pk,
        **REST_OF_THE_FORM,
        **given,
    }
    answer = signed_in(admin_of_acme).post("/admin/messaging/number/add/", form)
    assert (answer.status_code, Number.objects.count()) == (200, 0)


def test_a_number_has_one_active_owner_per_account(
    admin_of_globex: User, private: Number, globex: Organization, generic: Template
) -> None:
    service = Integration.objects.create(organization=globex, template=generic)
    form = {"number": private.number, "integration": service.pk, **REST_OF_THE_FORM}
    client = signed_in(admin_of_globex)
    page = client.post("/admin/messaging/number/add/", form)
    assert (page.status_code, Number.objects.count()) == (200, 1)
    assert "An organization of this account already uses this number." in page.content.decode()
    Number.objects.update(active=False)
    assert client.post("/admin/messaging/number/add/", form).status_code == 302
