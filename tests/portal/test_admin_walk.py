"""The admin pages: owners get in, other roles are told so, secrets show nowhere. Strangers: `test_every_url`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import Integration, Template
from messaging import erasure
from messaging.models import DeliveryAttempt, Number, OptOut, Receiver, ServiceHealth, WebhookRequest
from messaging.outbound.submit import submit
from messaging.statuses import Status
from messaging.transfer import imports
from portal.models import Account, AuditEntry, Invitation, Membership, Organization, PersonalToken, User

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def everything(
    private: Number, alice: User, admin_of_acme: User, service: Integration, generic: Template
) -> dict[str, Any]:
    """One row of Acme for each model of the admin."""
    own = Template(account=private.account)
    own.revise('{"id": "own", "name": "Own", "API": {"SendMessage": {"request_url": "https://x.example/"}}}')
    message = submit(alice, private, "+61412345678", text="A text of Acme")
    Client().post(
        f"/services/generic/a{private.organization.orgid}",
        json.dumps({"method": "nothing", "key": "sandbox-key"}),
        content_type="application/json",
    )
    PersonalToken.objects.issue(alice, "A program of Acme")
    invitation = Invitation(
        account=private.account,
        organization=private.organization,
        email="invited@acme.example",
        name="Invited to Acme",
        inviter=admin_of_acme,
    )
    invitation.open()
    attempt = DeliveryAttempt.objects.create(
        message=message,
        organization=private.organization,
        integration=service,
        fence=1,
        started_at=timezone.now(),
        result="failed",
        text="Refused to Acme",
        status=Status.FAILED,
    )
    rows = [
        private.account,
        private.organization,
        alice,
        PersonalToken.objects.get(),
        invitation,
        own,
        service,
        private,
        message,
        message.conversation.contact,
        attempt,
        ServiceHealth.objects.get(pk=service.pk),
        WebhookRequest.objects.get(),
        erasure.start(private.organization, "+61412345678", admin_of_acme),
        message.conversation.contact,
        OptOut.objects.create(organization=private.organization, number=private, address="+61412345600"),
        Receiver.objects.create(
            account=private.account,
            organization=private.organization,
            url="https://hooks.acme.example/",
            received=True,
        ),
        imports.start(admin_of_acme, "contacts", "Contacts of Acme.csv", b"number"),
        AuditEntry.objects.filter(organization=private.organization).latest("pk"),
    ]
    found = {row._meta.label: row for row in rows}
    assert set(found) == {model._meta.label for model in MODELS}
    return found


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def urls_of(row: Any) -> list[str]:
    """The pages that show one row."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    return [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]


def extra_urls(rows: dict[str, Any]) -> list[str]:
    organization, template = rows["portal.Organization"], rows["integrations.Template"]
    generic = rows["integrations.Integration"].template
    return [
        reverse("admin:integrations_gallery", args=[organization.pk]),
        reverse("admin:integrations_setup", args=[organization.pk, generic.pk]),
        reverse("admin:integrations_setup", args=[organization.pk, template.pk]),
        reverse("admin:integrations_trial", args=[organization.pk, generic.pk]),
        reverse("admin:integrations_trial", args=[organization.pk, template.pk]),
        reverse("admin:integrations_studio_trial", args=[template.pk]),
        reverse("admin:integrations_account_gallery", args=[organization.account_id]),
        reverse("admin:integrations_account_values", args=[organization.account_id, generic.pk]),
        reverse("admin:integrations_enable", args=[organization.account_id, generic.pk]),
        reverse("admin:integrations_template_revision", args=[template.pk, 1]),
        reverse("admin:messaging_number_move", args=[rows["messaging.Number"].pk]),
        reverse("admin:messaging_import", args=["numbers"]),
        reverse("admin:messaging_import_sample", args=["numbers", "csv"]),
    ]


def verb_urls(rows: dict[str, Any]) -> list[str]:
    """What is only posted to."""
    message, service = rows["messaging.Message"], rows["messaging.ServiceHealth"]
    webhook = rows["messaging.WebhookRequest"]
    return [
        reverse("admin:messaging_resend_one", args=[message.pk]),
        reverse("admin:messaging_settle", args=[message.pk]),
        reverse("admin:messaging_reprocess", args=[webhook.pk]),
        reverse("admin:messaging_process_anyway", args=[webhook.pk]),
        reverse("admin:messaging_retry_integration", args=[service.pk]),
        reverse("admin:messaging_transfer_do", args=[rows["messaging.Transfer"].pk]),
        reverse("admin:messaging_export", args=["numbers"]),
    ]


def list_urls() -> list[str]:
    found = [reverse("admin:index")]
    for model in MODELS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found += [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
    return found


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_role_user_does_not_enter(everything: dict[str, Any], alice: User, method: str) -> None:
    client = signed_in(alice)
    urls = [
        *list_urls(),
        *extra_urls(everything),
        *verb_urls(everything),
        *(url for row in everything.values() for url in urls_of(row)),
    ]
    for url in urls:
        answer = getattr(client, method)(url)
        assert answer.status_code == 403, url
    page = answer.content.decode()
    assert "You do not have access to this page" in page
    assert f'href="{reverse("inbox")}"' in page
    assert f'action="{reverse("account_logout")}"' in page.split("<main")[1]


def test_nobody_enters_without_signing_in(everything: dict[str, Any]) -> None:
    for url in [*list_urls(), *extra_urls(everything), *verb_urls(everything)]:
        answer = Client().get(url)
        assert answer["Location"].startswith("/admin/login/"), url
    assert Client().get("/admin/login/?next=/admin/")["Location"] == "/account/login/?next=/admin/"


@pytest.mark.parametrize("who", ["admin_of_acme", "reseller", "operator"])
def test_owners_see_their_own(everything: dict[str, Any], request: pytest.FixtureRequest, who: str) -> None:
    user = request.getfixturevalue(who)
    client = signed_in(user)
    for url in list_urls():
        assert client.get(url, follow=True).status_code in (200, 403), url
    # What somebody has imported is shown to nobody else.
    limited = (
        {"portal.Account", "integrations.Template"} if who == "admin_of_acme" else {"messaging.Transfer"}
    )
    for label, row in everything.items():
        change = client.get(urls_of(row)[0], follow=True)
        assert change.status_code == (404 if label in limited else 200) or change.status_code == 403, label
        assert "sandbox-key" not in change.getvalue().decode(), label
    for url in extra_urls(everything):
        account_wide = "account" in url.split("integration/")[-1] or "revisions" in url or "studio" in url
        expected = 404 if who == "admin_of_acme" and account_wide else 200
        page = client.get(url)
        assert page.status_code == expected, url
        assert "sandbox-key" not in page.getvalue().decode(), url


def _more_organizations(account: Account, count: int) -> None:
    for index in range(count):
        Organization.objects.create(account=account, name=f"More {index}", domain=f"more{index}.example")


def _more_users(account: Account, count: int) -> None:
    organization = account.organizations.get(domain="acme.example")
    for index in range(count):
        user = User.objects.create_user(f"more{index}@acme.example", None, name=f"More {index}")
        Membership.objects.create(user=user, organization=organization)


def _more_numbers(account: Account, count: int) -> None:
    organization = account.organizations.get(domain="acme.example")
    for index in range(count):
        Number.objects.create(
            organization=organization,
            integration=organization.integrations.get(),
            number=f"+6185555560{index}",
            country="AU",
        )


def _more_messages(account: Account, count: int) -> None:
    number = Number.objects.get(number="+61855555501")
    for index in range(count):
        submit(User.objects.get(name="Alice"), number, f"+6141200000{index}", text="x")


def _more_templates(account: Account, count: int) -> None:
    for index in range(count):
        document = {
            "id": f"more-{index}",
            "name": "More",
            "API": {"SendMessage": {"request_url": "https://x"}},
        }
        Template(account=account).revise(json.dumps(document))


def _more_integrations(account: Account, count: int) -> None:
    _more_organizations(account, count)
    generic = Template.objects.get(account=None, service_id="generic")
    for organization in account.organizations.filter(name__startswith="More"):
        Integration.objects.create(organization=organization, template=generic)


def _more_accounts(account: Account, count: int) -> None:
    for index in range(count):
        Account.objects.create(name=f"More {index}")


def _more_attempts(account: Account, count: int) -> None:
    first = DeliveryAttempt.objects.get()
    for index in range(count):
        first.pk, first.fence = None, index + 2
        first.save()


def _more_webhooks(account: Account, count: int) -> None:
    for index in range(count):
        Client().post(f"/services/generic/a{account.accountid}", f"{index}", content_type="text/plain")


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("admin:portal_account_changelist", _more_accounts),
        ("admin:portal_organization_changelist", _more_organizations),
        ("admin:integrations_template_changelist", _more_templates),
        ("admin:integrations_integration_changelist", _more_integrations),
        ("admin:portal_user_changelist", _more_users),
        ("admin:messaging_number_changelist", _more_numbers),
        ("admin:messaging_message_changelist", _more_messages),
        ("admin:messaging_deliveryattempt_changelist", _more_attempts),
        ("admin:messaging_servicehealth_changelist", _more_integrations),
        ("admin:messaging_webhookrequest_changelist", _more_webhooks),
        ("admin:index", _more_integrations),
    ],
)
def test_lists_take_as_many_queries_for_ten_rows_as_for_one(
    everything: dict[str, Any], operator: User, url: str, more: Callable[[Account, int], None]
) -> None:
    client = signed_in(operator)
    client.get(reverse(url))
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse(url)).status_code == 200
        counts.append(len(captured))
        if len(counts) == 1:
            more(everything["portal.Account"], 9)
    assert counts[0] == counts[1]
