"""The gallery: providers found by any of their names, what each can do, and one enabled for many at once."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations import catalog, setup
from integrations.gallery import GallerySearch
from integrations.language.document import compile_document
from integrations.models import AccessToken, Integration, Poll, PropertyValues, Template
from integrations.search import found
from integrations.studio.cases import results
from portal.models import Account, AuditEntry, Membership, Organization, User
from tests.conftest import person

LIST = "/admin/integrations/integration/add/"
GALLERY = "/admin/integrations/integration/organization/{}/"
ACCOUNT = "/admin/integrations/integration/account/{}/"
ENABLE = "/admin/integrations/integration/account/{}/{}/organizations/"
KEY = "the-account-s-very-secret-key"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def names(page: str) -> list[str]:
    return re.findall(r"<h2>([^<]+)</h2>", page)


def wanted(query: str) -> GallerySearch:
    return GallerySearch.of(RequestFactory().get(f"/?{query}").GET)


def fitting(query: str) -> list[str]:
    compiled = [compile_document(catalog.source(slug)) for slug in catalog.slugs()]
    return [item.id for item in compiled if wanted(query).fits(item)]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("nexmo", ["vonage"]),
        ("THINQ", ["commio"]),
        ("voip.ms", ["voipms"]),
        ("voipms", ["voipms"]),
        ("twil", ["twilio"]),
        ("africa talk", ["africastalking"]),
        ("nothing like it", []),
    ],
)
def test_a_provider_is_found_by_its_names(search: str, expected: list[str]) -> None:
    assert fitting(f"q={search}") == expected


@pytest.mark.parametrize(
    ("search", "name"), [("telefonica", "Telefónica"), ("Téléfonica", "TELEFONICA"), ("strasse", "Straße")]
)
def test_accents_and_case_do_not_matter(search: str, name: str) -> None:
    assert found(search, [name])


def test_providers_are_filtered_by_what_they_can_do() -> None:
    everyone = set(catalog.slugs())
    assert everyone - set(fitting("can=mms")) >= {"didww", "telesign", "africastalking"}
    assert everyone - set(fitting("can=reports")) >= {"bulkvs", "skyetel", "voipms"}
    assert everyone - set(fitting("can=signed")) == {"generic", "flowroute", "ringcentral"}
    assert everyone - set(fitting("country=de")) == {"bulkvs", "commio", "skyetel", "voipms"}
    assert set(fitting("country=US&can=nonsense")) == everyone


def test_the_gallery_of_an_organization(
    admin_of_acme: User, acme: Organization, generic: Template, built_in: None
) -> None:
    mine = Template(account=acme.account)
    document = {"id": "mine", "name": "Mine", "API": {"SendMessage": {"request_url": "https://x.example/"}}}
    mine.revise(json.dumps({**document, "aliases": ["Nexmo"]}))
    acme.integrations.create(template=generic)
    client, url = signed_in(admin_of_acme), GALLERY.format(acme.pk)
    page = client.get(f"{url}?q=Nexmo").content.decode()
    assert names(page) == ["Mine", "Vonage"]
    assert page.count("your own") == 1
    score = results.score(vonage := Template.objects.get(service_id="vonage"), vonage.published)  # type: ignore[arg-type]
    assert score.passed == score.count > 100
    assert f"{score.count} of {score.count} cases pass" in page
    for ability in ("MMS", "Delivery reports", "Verified webhooks"):
        assert f'<span class="pb-tag">{ability}</span>' in page
    assert names(client.get(url).content.decode())[0] == "Generic HTTP SMS"
    assert "No provider is like this." in client.get(f"{url}?q=xyz&can=mms&country=US").content.decode()


def test_cases_run_once(monkeypatch: pytest.MonkeyPatch, account: Account) -> None:
    template = Template(account=account)
    template.revise('{"id": "once", "name": "Once", "API": {}}')
    case = template.cases.create(name="One", source='{"kind": "send"}')
    ran = []
    monkeypatch.setattr(results.cases, "run", lambda *given: ran.append(given) or "differs")
    for passed in (0, 0):
        assert results.score(template, template.published).passed == passed  # type: ignore[arg-type]
    assert len(ran) == 1
    case.source = '{"kind": "receive"}'
    case.save()
    results.score(template, template.published)  # type: ignore[arg-type]
    assert len(ran) == 2


@pytest.fixture
def many(account: Account) -> list[Organization]:
    return Organization.objects.bulk_create(
        Organization(account=account, name=f"Customer {number:03}", domain=f"customer{number:03}.example")
        for number in range(200)
    )


@pytest.fixture
def inherited(account: Account, generic: Template) -> PropertyValues:
    """The account's own values of the generic service."""
    entered = setup.Entered(
        {"API URL": "https://api.example.com/messages", "API key": KEY},
        {"API key": ["https://api.example.com"]},
    )
    setup.save_for_account(account, generic, entered)
    return PropertyValues.objects.get()


def test_a_provider_is_enabled_for_two_hundred_organizations(
    reseller: User, account: Account, generic: Template, many: list[Organization], inherited: PropertyValues
) -> None:
    client, url = signed_in(reseller), ENABLE.format(account.pk, generic.pk)
    page = client.get(url).content.decode()
    assert "200 organizations" in page and page.count('name="organization"') == 200
    assert "The account has no" not in page and KEY not in page
    last = AuditEntry.objects.latest("pk").pk
    answer = client.post(url, {"organization": [item.pk for item in many]}, follow=True)
    page = answer.content.decode()
    assert "Generic HTTP SMS is set up for 200 organizations. Invite their people" in page
    assert reverse("admin:messaging_import", args=["users"]) in page
    assert page.count("Switched on") == 200 and 'name="organization"' not in page
    found = Integration.objects.ready().get(organization=many[7])
    assert setup.kind_of(found) == "on" and (found.held_reason, found.tell_at) == ("", None)
    assert PropertyValues.objects.count() == 1  # they inherit
    entries = AuditEntry.objects.filter(pk__gt=last)
    assert {(entry.action, entry.actor_id, entry.kind) for entry in entries} == {
        ("added", reseller.pk, "integrations.integration")
    }
    assert {entry.organization_id for entry in entries} == {item.pk for item in many}
    assert entries.get(organization=many[0]).name == "Generic HTTP SMS, Customer 000"


@pytest.mark.parametrize("values", [True, False])
def test_a_batch_takes_as_many_queries_for_two_hundred_as_for_two(
    reseller: User, account: Account, generic: Template, many: list[Organization], values: bool,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    if values:
        request.getfixturevalue("inherited")
    counts = []
    for chosen in (many[:2], many[2:]):
        with CaptureQueriesContext(connection) as captured:
            assert setup.enable(generic, [item.pk for item in chosen], reseller) == len(chosen)
        # SQLite takes only so many values in one statement.
        counts.append(sum(not query["sql"].startswith("INSERT") for query in captured))
    assert counts[0] == counts[1] < 20
    assert Integration.objects.filter(held_since=None).count() == (200 if values else 0)


def test_what_is_missing_is_waited_for(
    reseller: User, account: Account, generic: Template, acme: Organization
) -> None:
    client, url = signed_in(reseller), ENABLE.format(account.pk, generic.pk)
    assert "The account has no API URL, API key." in client.get(url).content.decode()
    page = client.post(url, {"organization": acme.pk}, follow=True).content.decode()
    assert "is set up for 1 organization. Enter what it needs" in page
    found = Integration.objects.get()
    assert "needs API key" in found.held_reason
    assert found.held_since is not None and found.tell_at is not None


def test_only_those_that_lack_it_get_it(
    reseller: User, account: Account, generic: Template, acme: Organization, globex: Organization
) -> None:
    own = acme.integrations.create(template=generic, enabled=False)
    client, url = signed_in(reseller), ENABLE.format(account.pk, generic.pk)
    page = client.get(url).content.decode()
    assert "Switched off" in page and f'name="organization" value="{acme.pk}"' not in page
    client.post(url, {"organization": [acme.pk, globex.pk]})
    own.refresh_from_db()
    assert (own.enabled, Integration.objects.count()) == (False, 2)
    answer = client.post(url, {"organization": [acme.pk, globex.pk]}, follow=True)
    assert "Choose organizations that have not set it up." in answer.content.decode()
    assert Integration.objects.count() == 2


def test_all_that_a_search_finds_get_it(
    reseller: User, account: Account, generic: Template, many: list[Organization]
) -> None:
    url = ENABLE.format(account.pk, generic.pk)
    page = signed_in(reseller).get(f"{url}?q=customer01").content.decode()
    assert "10 organizations" in page
    signed_in(reseller).post(f"{url}?q=customer01", {"do": "all"})
    found = Integration.objects.values_list("organization__name", flat=True)
    assert sorted(found) == [f"Customer {number:03}" for number in range(10, 20)]


def test_what_a_template_plans_is_planned(
    reseller: User, account: Account, acme: Organization, globex: Organization
) -> None:
    template = Template(account=account)
    event = {"event_type": "message", "request_parameters": {"from": "$from$", "text": "$content$"}}
    polled = {"request_url": "https://x.example/", "events": [event]}
    document = {
        "id": "polled",
        "name": "Polled",
        "properties": ["Client", "Secret"],
        "OAuth2": {
            "flow_type": "client_credentials", "token_endpoint": "https://x.example/token",
            "client_id": "$Client$", "client_secret": "$Secret$",
        },
        "API": {"SendMessage": {"request_url": "https://x.example/"}, "ReceiveMessages": polled},
    }  # fmt: skip
    template.revise(json.dumps(document))
    setup.enable(template, [acme.pk, globex.pk], reseller)
    assert (Poll.objects.count(), AccessToken.objects.exclude(renew_at=None).count()) == (2, 2)


@pytest.mark.parametrize("who", ["alice", "admin_of_acme", "limited", "stranger", "operator"])
def test_who_enables_for_many(
    request: pytest.FixtureRequest, account: Account, acme: Organization, generic: Template, who: str
) -> None:
    if who == "limited":  # an account admin who administers Acme only
        user = person("Lee", acme, role=Membership.Role.ACCOUNT_ADMIN)
    elif who == "stranger":
        other = Account.objects.create(name="Northern Voice")
        user = person("Nora", None, account=other, role=Membership.Role.ACCOUNT_ADMIN)
    else:
        user = request.getfixturevalue(who)
    client = signed_in(user)
    expected = {"alice": 403, "operator": 200}.get(who, 404)
    assert client.get(ACCOUNT.format(account.pk)).status_code == expected
    url = ENABLE.format(account.pk, generic.pk)
    assert client.get(url).status_code == expected
    answer = client.post(url, {"organization": acme.pk, "do": "chosen"})
    assert answer.status_code == (302 if who == "operator" else expected)
    assert Integration.objects.count() == (who == "operator")


def test_organizations_of_another_account_get_nothing(
    reseller: User, account: Account, generic: Template, acme: Organization
) -> None:
    other = Account.objects.create(name="Northern Voice")
    umbrella = Organization.objects.create(account=other, name="Umbrella", domain="umbrella.example")
    draft = Template(account=account)
    draft.save_draft('{"id": "draft", "name": "Draft", "API": {}}')
    theirs = Template(account=other)
    theirs.revise('{"id": "theirs", "name": "Theirs", "API": {}}')
    client = signed_in(reseller)
    client.post(ENABLE.format(account.pk, generic.pk), {"organization": [umbrella.pk, "x", "-1", ""]})
    for template in (draft, theirs):
        assert client.post(ENABLE.format(account.pk, template.pk), {"do": "all"}).status_code == 404
    assert Integration.objects.count() == 0


def test_the_list_of_organizations_is_searched(
    reseller: User, account: Account, many: list[Organization], acme: Organization, admin_of_acme: User
) -> None:
    client = signed_in(reseller)
    counts = []
    for query in ("", "?q=ACME"):
        with CaptureQueriesContext(connection) as captured:
            page = client.get(f"{LIST}{query}").content.decode()
        counts.append(len(captured))
        assert f'href="{ACCOUNT.format(account.pk)}"' in page
        assert len(re.findall(r'href="/admin/integrations/integration/organization/\d+/"', page)) == (
            1 if query else 50
        )
        assert ("There are more" in page) is not bool(query)
    assert counts[0] == counts[1]
    # Who administers one organization is led to its gallery.
    assert signed_in(admin_of_acme).get(LIST)["Location"] == GALLERY.format(acme.pk)


def test_galleries_take_as_many_queries_for_more_providers(
    reseller: User, account: Account, acme: Organization, generic: Template
) -> None:
    client = signed_in(reseller)
    for url in (GALLERY.format(acme.pk), ACCOUNT.format(account.pk)):
        counts = []
        for more in range(2):
            with CaptureQueriesContext(connection) as captured:
                assert len(names(client.get(url).content.decode())) >= 1
            counts.append(len(captured))
            for number in range(5):
                mine = Template(account=account)
                mine.revise(
                    f'{{"id": "m{acme.pk}-{url[-9:-6]}-{number}{more}", "name": "Mine", "API": {{}}}}'.replace(
                        "/", "x"
                    )
                )
                mine.cases.create(name="One", source="{}")
        assert counts[0] == counts[1]
