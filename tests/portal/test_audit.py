"""The audit: one entry for each thing that people do, without secrets, and unchangeable."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.models.signals import post_save, pre_delete, pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from integrations.models import Integration, PropertyValues, Template
from messaging import erasure, retention
from messaging.models import AutoReply, Message, Number, Receiver, WebhookEvent, WebhookRequest
from messaging.outbound.submit import submit
from messaging.statuses import Status
from messaging.transfer import drain, imports
from portal import audit
from portal.administration.base import PortalAdmin
from portal.audit.changes import is_shown, tracked
from portal.encryption import EncryptedBinaryField, EncryptedJSONField
from portal.models import (
    Account,
    AuditEntry,
    Invitation,
    Membership,
    Organization,
    PersonalToken,
    SavedView,
    User,
)
from portal.models.audit_entries import SENTENCES, Action
from tests.conftest import PASSWORD, person
from tests.processes import ROOT

LIST = "/admin/portal/auditentry/"
EXPORT = "/admin/portal/auditentry/export/"
SECRET = "planted-secret-9f3a"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def since(before: int) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(pk__gt=before).order_by("pk"))


def last() -> int:
    return AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def told(entries: list[AuditEntry]) -> list[tuple[str, str, str]]:
    return [(entry.action, entry.kind, entry.name) for entry in entries]


def filled(client: Client, url: str, **given: Any) -> dict[str, Any]:
    """What a form of the administration would send unchanged, with some values replaced."""
    context = client.get(url).context
    found: dict[str, Any] = {}
    forms = [context["adminform"].form]
    for formset in context["inline_admin_formsets"]:
        forms += [formset.formset.management_form, *formset.formset.forms]
    for form in forms:
        for bound in form:
            value = bound.value()
            if value is not None and value is not False:
                found[bound.html_name] = value
    found.update(given)
    return {key: value for key, value in found.items() if value is not None}


# --- Every page of the administration ---

# How to fill in the form of a new row; of a changed one, what to change.
ADDED: dict[str, dict[str, Any]] = {
    "portal.Account": {"name": "New account"},
    "portal.Organization": {"name": "New", "domain": "new.example"},
    "portal.User": {
        "name": "New",
        "email": "new@acme.example",
        "time_zone": "UTC",
        "is_active": "on",
        "is_operator": "on",
        "new_password": SECRET,
    },
    "messaging.Number": {"number": "+61855555509", "country": "AU", "sticky_hours": "0"},
}
CHANGED: dict[str, dict[str, Any]] = {
    "portal.Account": {"name": "Northern Voice"},
    "portal.Organization": {"name": "Acme Ltd"},
    "portal.User": {"name": "Alison", "new_password": SECRET},
    "messaging.Number": {"display_name": "Front desk"},
    "messaging.Receiver": {"statuses": "on"},
}
# Pages without such a form are tried below.
WITHOUT_FORM = {
    "integrations.Integration", "integrations.Template", "portal.PersonalToken", "portal.Invitation", "messaging.Erasure",
    "messaging.Receiver",
}  # fmt: skip
EDITABLE = sorted(
    (
        model
        for model, page in admin.site._registry.items()
        if isinstance(page, PortalAdmin) and not page.read_only
    ),
    key=lambda model: model._meta.label,
)


def test_all_pages_share_the_base_that_records() -> None:
    assert [page for page in admin.site._registry.values() if not isinstance(page, PortalAdmin)] == []
    assert {model._meta.label for model in EDITABLE} == set(ADDED) | WITHOUT_FORM


@pytest.fixture
def rows(private: Number, alice: User) -> dict[str, Any]:
    account, organization = private.account, private.organization
    receiver = Receiver.objects.create(
        account=account, organization=organization, url="https://x.example/", received=True
    )
    found = [account, organization, alice, private, receiver]
    return {row._meta.label: row for row in found}


@pytest.mark.parametrize("label", ADDED)
def test_adding_leaves_one_entry(rows: dict[str, Any], operator: User, label: str) -> None:
    client, before = signed_in(operator), last()
    row = rows[label]
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_add")
    given = dict(ADDED[label])
    if label == "messaging.Number":
        url += f"?organization={row.organization_id}"
        given["integration"] = row.integration_id
    if label == "portal.Organization":
        given["account"] = row.account_id
    sent = filled(client, url, **given)
    if label == "portal.User":
        sent["memberships-TOTAL_FORMS"] = 0
    answer = client.post(url, sent)
    assert answer.status_code == 302, answer.context and answer.context["errors"]
    (entry,) = since(before)
    assert (entry.kind, entry.actor, entry.address) == (row._meta.label_lower, operator, "127.0.0.1")
    assert entry.action == "added"
    assert LogEntry.objects.count() == 0


def test_invitations_and_erasures_are_recorded(
    rows: dict[str, Any], admin_of_acme: User, acme: Organization, settings: Any
) -> None:
    settings.EMAIL_HOST = "mail.example"
    client, before = signed_in(admin_of_acme), last()
    invited = {"email": "new@acme.example", "name": "New", "organization": acme.pk, "role": "user"}
    assert client.post(reverse("admin:portal_invitation_add"), invited).status_code == 302
    erased = {"organization": acme.pk, "number": "+61412345678", "sure": "on"}
    assert client.post(reverse("admin:messaging_erasure_add"), erased).status_code == 302
    erasure.drain()
    found = since(before)
    assert told(found) == [
        ("added", "portal.invitation", "new@acme.example"),
        ("erased", "messaging.erasure", "+61…78"),
    ]
    assert {entry.actor for entry in found} == {admin_of_acme}
    assert "412345678" not in "".join(str(vars(entry)) for entry in found)


@pytest.mark.parametrize("label", CHANGED)
def test_changing_leaves_one_entry(rows: dict[str, Any], operator: User, label: str) -> None:
    client, before, row = signed_in(operator), last(), rows[label]
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    answer = client.post(url, filled(client, url, **CHANGED[label]))
    assert answer.status_code == 302, answer.context and answer.context["errors"]
    (entry,) = since(before)
    expected = {
        "portal.Account": {"name": ["Southern Voice", "Northern Voice"]},
        "portal.Organization": {"name": ["Acme", "Acme Ltd"]},
        "portal.User": {"name": ["Alice", "Alison"], "password": None},
        "messaging.Number": {"display name": ["", "Front desk"]},
        "messaging.Receiver": {"What becomes of the texts that are sent": ["no", "yes"]},
    }
    assert entry.changes == expected[label]
    assert (entry.object_id, entry.actor) == (str(row.pk), operator)
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("label", CHANGED)
def test_saving_without_a_change_leaves_none(rows: dict[str, Any], operator: User, label: str) -> None:
    client, before, row = signed_in(operator), last(), rows[label]
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    assert client.post(url, filled(client, url)).status_code == 302
    assert since(before) == []


@pytest.mark.parametrize("way", ["page", "list"])
def test_deleting_leaves_one_entry(alice: User, operator: User, way: str) -> None:
    PersonalToken.objects.issue(alice, "Laptop")
    token, before = PersonalToken.objects.get(), last()
    if way == "page":
        answer = signed_in(operator).post(
            reverse("admin:portal_personaltoken_delete", args=[token.pk]), {"post": "yes"}
        )
    else:
        answer = signed_in(operator).post(
            reverse("admin:portal_personaltoken_changelist"),
            {"action": "delete_selected", "_selected_action": token.pk, "post": "yes"},
        )
    assert (answer.status_code, PersonalToken.objects.count()) == (302, 0)
    assert told(since(before)) == [("deleted", "portal.personaltoken", str(token))]
    assert LogEntry.objects.count() == 0


def test_a_refused_form_leaves_none(acme: Organization, operator: User) -> None:
    url = reverse("admin:portal_organization_change", args=[acme.pk])
    before = last()
    assert signed_in(operator).post(url, {"name": ""}).status_code == 200
    assert since(before) == []


def test_the_users_of_a_number_and_its_replies_are_told_in_its_entry(
    private: Number, alice: User, bob: User, admin_of_acme: User
) -> None:
    client, url = signed_in(admin_of_acme), reverse("admin:messaging_number_change", args=[private.pk])
    replies = {
        "auto_replies-TOTAL_FORMS": 1,
        "auto_replies-0-keyword": "HOURS",
        "auto_replies-0-text": "9–17",
    }
    before = last()
    assert client.post(url, filled(client, url, assigned=[alice.pk, bob.pk], **replies)).status_code == 302
    (entry,) = since(before)
    assert entry.changes == {
        "users": ["Alice", "Alice, Bob"],
        "auto-reply HOURS": ["", "keyword: HOURS, reply: 9–17"],
    }
    assert entry.sentence == "Ada <ada@acme.example> changed the number +61855555501."
    assert entry.details[0] == "users: Alice → Alice, Bob"
    before = last()
    assert client.post(url, filled(client, url, assigned=[bob.pk])).status_code == 302
    (entry,) = since(before)
    assert entry.changes == {"users": ["Alice, Bob", "Bob"]}


def test_a_role_is_told_in_the_entry_of_its_user(alice: User, admin_of_acme: User) -> None:
    client, url = signed_in(admin_of_acme), reverse("admin:portal_user_change", args=[alice.pk])
    before = last()
    given = {"memberships-0-role": "organization_admin", "memberships-0-extension": "109"}
    assert client.post(url, filled(client, url, **given)).status_code == 302
    (entry,) = since(before)
    assert entry.changes == {
        "role user, Acme: role": ["user", "organization admin"],
        "role user, Acme: extension": ["101", "109"],
    }


def test_with_a_hundred_users_only_the_difference_is_listed(private: Number, acme: Organization) -> None:
    before = audit.snapshot(private)
    for index in range(12):
        private.users.add(person(f"P{index:02}", acme, extension=f"3{index:02}"))
    changes = audit.difference(before, audit.snapshot(private))
    assert changes["users"] == ("", ", ".join(f"P{index:02}" for index in range(10)) + ", … (12)")


# --- Other ways than the forms ---


def test_a_change_without_a_form_is_recorded_by_itself(service: Integration, admin_of_acme: User) -> None:
    before = last()
    url = reverse("admin:integrations_setup", args=[service.organization_id, service.template_id])
    assert signed_in(admin_of_acme).post(url, {"do": "off"}).status_code == 302
    (entry,) = since(before)
    assert (entry.action, entry.kind) == ("changed", "integrations.integration")
    assert entry.changes == {"enabled": ["yes", "no"]}
    assert (entry.actor, entry.organization) == (admin_of_acme, service.organization)


def test_of_values_only_the_labels_are_kept(
    service: Integration, admin_of_acme: User, reseller: User
) -> None:
    before = last()
    page = reverse("admin:integrations_setup", args=[service.organization_id, service.template_id])
    items = service.compiled.properties
    key = next(index for index, item in enumerate(items) if item.label == "API key")
    url = next(index for index, item in enumerate(items) if item.label == "API URL")
    stored = service.own_values["API URL"]
    sent = {f"property-{key}": SECRET, f"property-{url}": stored}
    assert signed_in(admin_of_acme).post(page, sent).status_code == 302
    (entry,) = since(before)
    assert (entry.action, entry.changes) == ("values", {"API key": None})
    assert entry.details == ["API key: changed"]
    for_all = reverse(
        "admin:integrations_account_values", args=[service.organization.account_id, service.template_id]
    )
    assert signed_in(reseller).post(for_all, {f"property-{key}": SECRET}).status_code == 302
    (entry,) = since(entry.pk)
    assert (entry.action, entry.changes) == ("values", {"API key": None})
    assert (entry.account, entry.organization) == (service.organization.account, None)
    assert SECRET not in json.dumps(list(AuditEntry.objects.values()), default=str)


def test_a_provider_for_many_is_recorded_for_each(
    generic: Template, acme: Organization, globex: Organization, reseller: User
) -> None:
    before = last()
    page = reverse("admin:integrations_enable", args=[acme.account_id, generic.pk])
    signed_in(reseller).post(page, {"organization": [acme.pk, globex.pk]})
    assert [(entry.action, entry.name, entry.organization, entry.actor) for entry in since(before)] == [
        ("added", f"Generic HTTP SMS, {each}", each, reseller) for each in (acme, globex)
    ]


def test_a_template_is_recorded_from_its_start(account: Account, reseller: User) -> None:
    before, client = last(), signed_in(reseller)
    client.post(
        reverse("admin:integrations_template_add"), {"from": "example", "account": account.pk, "name": "Own"}
    )
    template = Template.objects.get()
    source = '{"id": "own", "name": "Ours", "API": {}}'
    client.post(reverse("admin:integrations_studio_document", args=[template.pk]), {"source": source})
    client.post(
        reverse("admin:integrations_studio_publish", args=[template.pk]), {"revision": 2, "for": "all"}
    )
    entries = since(before)
    assert [(entry.action, entry.changes) for entry in entries] == [
        ("revised", {"draft": ["", "1"]}),
        ("revised", {"draft": ["1", "2"]}),
        ("revised", {"published revision": ["", "2"]}),
    ]
    assert {(entry.account, entry.actor) for entry in entries} == {(account, reseller)}


def test_setting_up_is_recorded_once(generic: Template, globex: Organization, admin_of_globex: User) -> None:
    assert generic.published is not None
    before = last()
    page = reverse("admin:integrations_setup", args=[globex.pk, generic.pk])
    items = generic.published.compiled.properties
    values = {"API URL": "https://sms.example/", "API key": SECRET}
    sent = {f"property-{index}": values.get(item.label, "") for index, item in enumerate(items)}
    assert signed_in(admin_of_globex).post(page, sent).status_code == 302
    (entry,) = since(before)
    assert (entry.action, entry.organization) == ("added", globex)
    assert set(entry.changes.items()) >= {("API URL", None), ("API key", None)}


def test_a_move_is_recorded_for_both_organizations(
    private: Number, globex: Organization, reseller: User, admin_of_acme: User, admin_of_globex: User
) -> None:
    before = last()
    page = reverse("admin:messaging_number_move", args=[private.pk])
    assert signed_in(reseller).post(page, {"organization": globex.pk}).status_code == 302
    left, came = since(before)
    assert [(entry.action, entry.organization) for entry in (left, came)] == [
        ("moved", private.organization),
        ("moved", globex),
    ]
    assert left.changes == {"organization": ["Acme", ""]}
    assert "Globex" not in signed_in(admin_of_acme).get(f"{LIST}?action=moved").content.decode()
    assert "Acme" not in signed_in(admin_of_globex).get(f"{LIST}?action=moved").content.decode()


def test_tokens_are_recorded_when_made_and_revoked(alice: User) -> None:
    client, before = signed_in(alice), last()
    page = client.post("/account/tokens/", {"name": "Laptop"})
    token = page.context["token"]
    row = PersonalToken.objects.get()
    client.post(reverse("programs_revoke", args=[row.pk]))
    made, revoked = since(before)
    assert [(entry.action, entry.kind, entry.actor) for entry in (made, revoked)] == [
        ("added", "portal.personaltoken", alice),
        ("deleted", "portal.personaltoken", alice),
    ]
    written = json.dumps(list(AuditEntry.objects.values()), default=str)
    assert token not in written
    assert row.digest not in written


def _failed(number: Number, author: User, to: str) -> Message:
    message = submit(author, number, to, text=SECRET)
    Message.objects.filter(pk=message.pk).update(status=Status.FAILED, queue_state=2)
    return message


def test_resends_are_recorded(private: Number, alice: User, admin_of_acme: User) -> None:
    messages = [_failed(private, alice, f"+6141234567{index}") for index in range(3)]
    client, before = signed_in(admin_of_acme), last()
    client.post(reverse("admin:messaging_resend_one", args=[messages[0].pk]))
    client.post(reverse("admin:messaging_resend"), {"failed": f"{messages[1].pk},{messages[2].pk}"})
    one, many = since(before)
    copy = Message.objects.get(resend_of=messages[0])
    assert (one.action, one.object_id, one.changes) == (
        "resent",
        str(messages[0].pk),
        {"new message": ["", str(copy.uuid)]},
    )
    assert (many.action, many.count, many.organization) == ("resent_many", 2, private.organization)
    assert many.sentence == "Ada <ada@acme.example> resent 2 messages."
    before = last()
    other = _failed(private, alice, "+61412345679")
    signed_in(alice).post(reverse("inbox_resend", args=[other.uuid]))
    assert [(entry.action, entry.actor) for entry in since(before)] == [("resent", alice)]
    assert SECRET not in json.dumps(list(AuditEntry.objects.values()), default=str)


def test_a_decided_outcome_is_recorded(private: Number, alice: User, admin_of_acme: User) -> None:
    message = submit(alice, private, "+61412345678", text="x")
    Message.objects.filter(pk=message.pk).update(status=Status.UNKNOWN, queue_state=2)
    before = last()
    url = reverse("admin:messaging_settle", args=[message.pk])
    signed_in(admin_of_acme).post(url, {"outcome": "sent"})
    signed_in(admin_of_acme).post(url, {"outcome": "sent"})
    assert [(entry.action, entry.changes) for entry in since(before)] == [
        ("settled", {"outcome": ["", "sent"]})
    ]


def test_the_quarantine_is_recorded(
    private: Number, admin_of_acme: User, reseller: User, globex: Organization
) -> None:
    url = f"/services/generic/a{private.organization.orgid}"
    for index in range(2):
        body = json.dumps({"method": "nothing", "key": "sandbox-key", "index": index})
        Client().post(url, body, content_type="application/json")
    first, second = WebhookRequest.objects.order_by("pk")
    client, before = signed_in(admin_of_acme), last()
    client.post(reverse("admin:messaging_reprocess", args=[first.pk]))
    (entry,) = since(before)
    assert (entry.action, entry.object_id) == ("reprocessed", str(first.pk))
    before = last()
    signed_in(reseller).post(reverse("admin:messaging_reprocess_all"))
    entries = since(before)
    assert [(entry.action, entry.account) for entry in entries] == [("reprocessed_many", private.account)]
    assert sum(entry.count for entry in entries) == 2
    WebhookRequest.objects.filter(pk=second.pk).update(verdict="duplicate")
    before = last()
    client.post(reverse("admin:messaging_process_anyway", args=[second.pk]))
    assert since(before) == []  # it contains nothing to process


def test_captures_are_recorded(private: Number, reseller: User) -> None:
    template = Template(account=private.account)
    template.revise('{"id": "acme-sms", "name": "Acme SMS", "Webhook": []}')
    client, before = signed_in(reseller), last()
    page = client.post(reverse("admin:integrations_studio_captures", args=[template.pk]))["Location"]
    for do in ("share", "share", "unshare", "nonsense", "close"):
        client.post(page, {"do": do})
    entries = since(before)
    assert told(entries) == [
        (action, "integrations.capture", "Acme SMS") for action in ("added", "changed", "changed", "deleted")
    ]
    assert {entry.account for entry in entries} == {private.account}
    assert [entry.changes for entry in entries[1:3]] == [{"shared": ["no", "yes"]}, {"shared": ["yes", "no"]}]


def test_cases_are_recorded(private: Number, reseller: User) -> None:
    template = Template(account=private.account)
    template.revise('{"id": "acme-sms", "name": "Acme SMS", "Webhook": []}')
    client, before = signed_in(reseller), last()
    case = {"name": "A text", "kind": "receive", "request": {"text": SECRET}, "expect": {"events": []}}
    add = reverse("admin:integrations_studio_case_add", args=[template.pk])
    page = client.post(add, {"source": json.dumps(case)})["Location"]
    client.post(page, {"source": json.dumps({**case, "name": "The text"})})
    client.post(f"{page}delete/")
    entries = since(before)
    assert told(entries) == [("changed", "integrations.template", "Acme SMS")] * 3
    assert [entry.changes for entry in entries] == [
        {"case": ["", "A text"]},
        {"case": ["A text", "The text"]},
        {"case": ["The text", ""]},
    ]


# Pages beside the forms, and what proves that they are recorded: another test, or that they change nothing.
BESIDE: dict[str, str] = {
    "portal_user_second_factor": "test_a_lost_second_factor_is_recorded",
    "integrations_account_gallery": "only shows",
    "integrations_account_values": "test_of_values_only_the_labels_are_kept",
    "integrations_gallery": "only shows",
    "integrations_self_test": "only notes when it passed",
    "integrations_enable": "test_a_provider_for_many_is_recorded_for_each",
    "integrations_studio_case": "test_cases_are_recorded",
    "integrations_studio_cases": "only shows",
    "integrations_studio_check": "only shows",
    "integrations_studio_document": "test_a_template_is_recorded_from_its_start",
    "integrations_studio_example": "test_a_template_is_recorded_from_its_start",
    "integrations_studio_preview": "only shows",
    "integrations_studio_publish": "test_a_template_is_recorded_from_its_start",
    "integrations_setup": "test_of_values_only_the_labels_are_kept",
    "integrations_studio_capture": "test_captures_are_recorded",
    "integrations_studio_capture_changes": "only shows",
    "integrations_studio_captures": "test_captures_are_recorded",
    "integrations_studio_trial": "test_a_message_that_is_tried_for_real_is_recorded",
    "integrations_template_revision": "only shows",
    "integrations_trial": "test_a_message_that_is_tried_for_real_is_recorded",
    "messaging_contact_act": "test_what_is_done_with_contacts_is_recorded",
    "messaging_contact_export": "test_what_is_done_with_contacts_is_recorded",
    "messaging_attempt_case": "test_cases_are_recorded",
    "messaging_leaving": "test_who_leaves_is_recorded",
    "messaging_receiver_again": "test_what_is_done_with_receivers_is_recorded",
    "messaging_receiver_secret": "test_what_is_done_with_receivers_is_recorded",
    "messaging_receiver_test": "test_what_is_done_with_receivers_is_recorded",
    "messaging_export": "test_an_export_of_a_list_is_recorded",
    "messaging_import": "test_imports_are_recorded_for_each_row",
    "messaging_import_sample": "only shows",
    "messaging_transfer_do": "test_imports_are_recorded_for_each_row",
    "messaging_transfer_file": "only shows what was recorded when it was exported",
    "messaging_number_several": "test_imports_are_recorded_for_each_row",
    "messaging_clear_away": "test_what_is_cleared_away_is_recorded",
    "messaging_number_move": "test_a_move_is_recorded_for_both_organizations",
    "messaging_process_anyway": "test_the_quarantine_is_recorded",
    "messaging_reprocess": "test_the_quarantine_is_recorded",
    "messaging_reprocess_all": "test_the_quarantine_is_recorded",
    "messaging_resend": "test_resends_are_recorded",
    "messaging_resend_one": "test_resends_are_recorded",
    "messaging_resend_progress": "only shows",
    "messaging_retry_integration": "test_a_retried_integration_is_recorded",
    "messaging_settle": "test_a_decided_outcome_is_recorded",
    "messaging_webhook_case": "test_cases_are_recorded",
    "portal_invitation_again": "test_invitations_again_and_to_many_are_recorded",
    "portal_invitation_many": "test_invitations_again_and_to_many_are_recorded",
    "portal_auditentry_export": "test_the_export_is_what_the_list_shows_and_is_recorded",
    "messaging_deliveryattempt_delete_view": "test_saved_views_are_recorded",
    "messaging_deliveryattempt_save_view": "test_saved_views_are_recorded",
    "messaging_optout_delete_view": "test_saved_views_are_recorded",
    "messaging_optout_save_view": "test_saved_views_are_recorded",
    "messaging_transfer_delete_view": "test_saved_views_are_recorded",
    "messaging_transfer_save_view": "test_saved_views_are_recorded",
    "messaging_message_delete_view": "test_saved_views_are_recorded",
    "messaging_message_save_view": "test_saved_views_are_recorded",
    "messaging_webhookrequest_delete_view": "test_saved_views_are_recorded",
    "messaging_webhookrequest_save_view": "test_saved_views_are_recorded",
    "portal_auditentry_delete_view": "test_saved_views_are_recorded",
    "portal_auditentry_save_view": "test_saved_views_are_recorded",
}
COMMON = ("add", "change", "changelist", "delete", "history")


def test_every_page_beside_the_forms_is_known() -> None:
    _prefix, resolver = get_resolver().namespace_dict["admin"]
    names = {name for name in resolver.reverse_dict if isinstance(name, str)}
    own = {name for name in names if "_" in name and not name.endswith(tuple(f"_{each}" for each in COMMON))}
    assert own - {"password_change", "password_change_done", "app_list", "view_on_site"} == set(BESIDE)
    assert {proof for proof in BESIDE.values() if proof.startswith("test_")} <= set(globals())


def test_a_lost_second_factor_is_recorded(admin_of_acme: User, alice: User) -> None:
    TOTP.activate(alice, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    before = last()
    signed_in(admin_of_acme).post(reverse("admin:portal_user_second_factor", args=[alice.pk]))
    (entry,) = since(before)
    assert (entry.action, entry.actor, entry.changes) == (
        "second_factor",
        admin_of_acme,
        {"TOTP Authenticator": ["", "removed"]},
    )


def test_invitations_again_and_to_many_are_recorded(
    settings: Any, admin_of_acme: User, acme: Organization
) -> None:
    settings.EMAIL_HOST = "mail.example"
    before, client = last(), signed_in(admin_of_acme)
    people = "Ann <ann@x.example>, user\nBea <bea@x.example>, user"
    client.post(reverse("admin:portal_invitation_many"), {"people": people, "confirm": "1"})
    drain.drain()
    row = Invitation.objects.get(email="ann@x.example")
    client.post(reverse("admin:portal_invitation_again", args=[row.pk]))
    kind = "portal.invitation"
    assert told(since(before)) == [
        ("added", kind, "ann@x.example"),
        ("added", kind, "bea@x.example"),
        ("invited_again", kind, "ann@x.example"),
    ]


def test_what_is_done_with_receivers_is_recorded(admin_of_acme: User, acme: Organization) -> None:
    before, client = last(), signed_in(admin_of_acme)
    given = {"organization": acme.pk, "url": "https://x.example/", "alerts": "on", "enabled": "on"}
    client.post(reverse("admin:messaging_receiver_add"), given)
    row = Receiver.objects.get()
    client.post(reverse("admin:messaging_receiver_test", args=[row.pk]))
    row.give_up("Refused.")
    client.post(reverse("admin:messaging_receiver_again", args=[row.pk]))
    client.post(reverse("admin:messaging_receiver_secret", args=[row.pk]))
    kind = "messaging.receiver"
    assert told(since(before)) == [
        ("added", kind, row.url),
        ("event_tested", kind, row.url),
        ("events_again", kind, row.url),
        ("changed", kind, row.url),
    ]
    assert since(before)[-1].changes == {"secret": None, "old secret": None}


def test_who_leaves_is_recorded(private: Number, alice: User, bob: User, admin_of_acme: User) -> None:
    before, client = last(), signed_in(admin_of_acme)
    client.post(reverse("admin:messaging_leaving", args=[alice.pk]), {"heir": bob.pk})
    assert [(entry.action, entry.kind, entry.changes) for entry in since(before)] == [
        ("changed", "messaging.number", {"users": ["Alice", "Bob"]}),
        ("changed", "portal.user", {"active": ["yes", "no"]}),
    ]


def test_imports_are_recorded_for_each_row(
    private: Number, alice: User, admin_of_acme: User, reseller: User
) -> None:
    files = {
        "organizations": b"domain,name\nacme.example,Acme Ltd\nmore.example,More",
        "users": b"email,organization,extension\nalice@acme.example,acme.example,199",
        "numbers": b"organization,number,display_name\nacme.example,+61855555501,Desk",
    }
    before = last()
    for kind, content in files.items():
        row = imports.start(reseller, kind, "x.csv", content)
        drain.drain()
        row.refresh_from_db()
        assert imports.confirm(row)
        drain.drain()
    entries = since(before)
    assert told(entries) == [
        ("changed", "portal.organization", "Acme Ltd"),
        ("added", "portal.organization", "More"),
        ("changed", "portal.user", "Alice <alice@acme.example>"),
        ("changed", "messaging.number", "Desk (+61855555501)"),
    ]
    assert {(entry.who, entry.account) for entry in entries} == {(str(entries[0].who), private.account)}
    assert entries[2].changes == {"extension": ["101", "199"]}
    assert entries[2].organization == private.organization


def test_an_export_of_a_list_is_recorded(private: Number, reseller: User) -> None:
    before = last()
    signed_in(reseller).post(reverse("admin:messaging_export", args=["numbers"]), {"format": "csv"})
    assert told(since(before)) == [("exported", "", "numbers")]


def test_a_message_that_is_tried_for_real_is_recorded(service: Integration, reseller: User) -> None:
    url = reverse("admin:integrations_trial", args=[service.organization_id, service.template_id])
    message = {"real-sender": "+61855555501", "real-to": "+61412345678", "real-text": "Hello"}
    before = last()
    form = {"do": "real", "integration": service.pk, "real-token": "once", **message}
    signed_in(reseller).post(url, form)
    assert told(since(before)) == [("tried", "integrations.integration", str(service))]


def test_what_is_done_with_contacts_is_recorded(private: Number, alice: User, admin_of_acme: User) -> None:
    """Without names, numbers and notes, which would outlive the erasure of a contact."""
    client, pages = signed_in(admin_of_acme), {}
    for number in ("+61412345678", "+61412345679"):
        contact = submit(alice, private, number, text="Hi").conversation.contact
        pages[number] = reverse("admin:messaging_contact_change", args=[contact.pk])
    first = pages["+61412345678"].removesuffix("change/")
    before = last()
    form = {"name": "Jane", "company": "Doe Ltd", "tags": "vip", "note": "secret"}
    assert client.post(f"{first}change/", form).status_code == 302
    for do in ("block", "unblock"):
        client.post(f"{first}act/", {"do": do})
    client.post(f"{first}act/", {"do": "merge", "other": "0412345679"})
    client.post(f"{first}act/", {"do": "merge", "other": "+61412345679"})
    second = pages["+61412345679"].removesuffix("change/")
    client.post(f"{second}act/", {"do": "separate"})
    answer = client.post(f"{first}export/")
    assert (answer.status_code, b"".join(answer)[:2]) == (200, b"PK")
    entries = since(before)
    kind, shown = "messaging.contact", ("+61…78", "+61…79")
    assert told(entries) == [
        *[("changed", kind, shown[0])] * 3,
        *[("changed", kind, shown[1])] * 2,
        ("exported", kind, shown[0]),
    ]
    stored = str([entry.changes for entry in entries])
    assert [word for word in ("Jane", "Doe", "vip", "secret", "345678") if word in stored] == []


def test_saved_views_are_recorded(admin_of_acme: User, reseller: User, account: Account) -> None:
    before = last()
    page = "/admin/portal/auditentry/views"
    form = {"query": "action=added", "name": "Additions", "share": f"account:{account.pk}"}
    signed_in(reseller).post(f"{page}/save/", form)
    signed_in(reseller).post(f"{page}/{SavedView.objects.get().pk}/delete/")
    said = [(each.action, each.name, each.account_id) for each in since(before)]
    assert said == [("added", "Additions", account.pk), ("deleted", "Additions", account.pk)]


def test_what_is_cleared_away_is_recorded(service: Integration, admin_of_acme: User) -> None:
    row = WebhookRequest.objects.create(
        account=service.organization.account,
        organization=service.organization,
        template=service.template,
        method="POST",
        query=b"",
        headers={},
        body=b"",
        verdict="unmatched",
        answer_status=200,
    )
    before = last()
    form = {"requests": row.pk, "reason": "Only a test"}
    signed_in(admin_of_acme).post("/admin/messaging/webhookrequest/clear-away/", form)
    (entry,) = since(before)
    assert (entry.action, entry.organization, entry.changes) == (
        "cleared",
        service.organization,
        {"reason": ["", "Only a test"]},
    )


def test_a_retried_integration_is_recorded(service: Integration, admin_of_acme: User) -> None:
    before = last()
    signed_in(admin_of_acme).post(reverse("admin:messaging_retry_integration", args=[service.pk]))
    assert told(since(before)) == [("retried", "integrations.integration", str(service))]


@pytest.mark.parametrize(
    ("command", "action"),
    [
        (lambda: User.objects.create_superuser("root@patchbay.example", SECRET, name="Root"), "added"),
        (
            lambda: call_command("createsuperuser", email="root@x.example", name="Root", interactive=False),
            "added",
        ),
        (lambda: Organization.objects.filter(name="Acme").first().delete(), "deleted"),  # type: ignore[union-attr]
    ],
)
def test_the_command_line_is_recorded(acme: Organization, command: Callable[[], Any], action: str) -> None:
    before = last()
    command()
    (entry,) = since(before)
    assert (entry.action, entry.who, entry.actor, entry.address) == (action, "command line", None, "")


def test_what_a_worker_does_is_background_work(alice: User) -> None:
    with bound_contextvars(task="messaging.resend"):
        assert audit.record(Action.CHANGED, alice).who == "background work"
        assert audit.record(Action.CHANGED, alice, actor=alice).who == "Alice <alice@acme.example>"
    assert audit.record(Action.CHANGED, alice).who == "command line"


@pytest.mark.parametrize("path", ["/account/logout/", "/admin/logout/"])
def test_signing_out_is_recorded(operator: User, path: str) -> None:
    client, before = signed_in(operator), last()
    client.post(path)
    Client().post(path)
    (entry,) = since(before)
    assert (entry.action, entry.actor, entry.object_id) == ("signed_out", operator, str(operator.pk))
    assert entry.sentence == "Olga <operator@patchbay.example> signed out."


def test_a_change_that_cannot_be_recorded_does_not_happen(
    acme: Organization, alice: User, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("The table is full.")

    url = reverse("admin:portal_organization_change", args=[acme.pk])
    client = signed_in(operator)
    sent = filled(client, url, name="Other")
    monkeypatch.setattr(AuditEntry, "save", fail)
    for change in (
        lambda: client.post(url, sent),
        lambda: PersonalToken.objects.issue(alice, "Laptop"),
        lambda: signed_in(alice).post("/account/tokens/", {"name": "Laptop"}),
        lambda: alice.set_password(SECRET) or alice.save(),  # type: ignore[func-returns-value]
    ):
        with pytest.raises(RuntimeError):
            change()
    acme.refresh_from_db()
    assert (acme.name, PersonalToken.objects.count()) == ("Acme", 0)
    assert User.objects.get(pk=alice.pk).check_password(PASSWORD)


# --- Sign-ins ---


def sign_in(email: str, password: str, address: str = "192.0.2.1") -> int:
    sent = {"login": email, "password": password}
    return Client(REMOTE_ADDR=address).post(reverse("account_login"), sent).status_code


def test_sign_ins_are_recorded(alice: User, acme: Organization) -> None:
    before = last()
    assert sign_in("Alice@acme.example", SECRET) == 200
    assert sign_in("alice@acme.example", PASSWORD) == 302
    failed, good = since(before)
    assert (failed.action, failed.actor, failed.who, failed.object_id) == (
        "sign_in_failed",
        None,
        "Somebody",
        str(alice.pk),
    )
    assert (good.action, good.actor, good.address, good.organization) == (
        "signed_in",
        alice,
        "192.0.2.1",
        acme,
    )
    assert failed.sentence == "Somebody failed to sign in as Alice <alice@acme.example>."


def test_what_was_typed_instead_of_an_address_is_not_kept(alice: User) -> None:
    before = last()
    assert sign_in(f"{SECRET}@x.example", "wrong") == 200
    (entry,) = since(before)
    assert (entry.name, entry.kind, entry.account) == ("an unknown email address", "", None)
    assert SECRET not in json.dumps(list(AuditEntry.objects.values()), default=str)


def test_a_lock_out_is_recorded(alice: User) -> None:
    before = last()
    for _ in range(7):
        sign_in("alice@acme.example", "wrong")
    actions = [entry.action for entry in since(before)]
    assert set(actions) == {"sign_in_failed", "locked_out"}


def test_a_flood_of_failures_is_bounded(alice: User) -> None:
    before = last()
    for index in range(80):
        sign_in(f"nobody{index}@x.example", "wrong")
    assert Counter(entry.action for entry in since(before)) == {"sign_in_failed": 20}
    before = last()
    for index in range(60):
        sign_in("alice@acme.example", "wrong", f"198.51.100.{index}")
    assert Counter(entry.action for entry in since(before)) == {"sign_in_failed": 20}


def test_passwords_are_recorded_without_them(alice: User, mailoutbox: Any, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"
    client = Client()
    sign_in("alice@acme.example", PASSWORD)
    client.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    before = last()
    sent = {"oldpassword": PASSWORD, "password1": SECRET, "password2": SECRET}
    assert client.post(reverse("account_change_password"), sent).status_code == 302
    (entry,) = since(before)
    assert (entry.action, entry.actor, entry.changes) == ("password_changed", alice, {"password": None})
    stored = User.objects.get(pk=alice.pk).password
    Client().post(reverse("account_reset_password"), {"email": alice.email})
    link = next(word for word in mailoutbox[0].body.split() if "/key/" in word)
    visitor = Client()
    page = visitor.get(link.split("localhost:8000")[-1].split("testserver")[-1], follow=True)
    again = f"{SECRET}-2"
    before = last()
    visitor.post(page.request["PATH_INFO"], {"password1": again, "password2": again})
    assert User.objects.get(pk=alice.pk).check_password(again)
    (entry, *more) = since(before)
    assert (entry.action, entry.actor, more) == ("password_reset", None, [])
    written = json.dumps(list(AuditEntry.objects.values()), default=str)
    assert SECRET not in written
    assert stored not in written


def test_second_factors_are_recorded(alice: User) -> None:
    client = Client()
    client.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    before = last()
    client.get(reverse("mfa_activate_totp"))
    secret = client.session["mfa.totp.secret"]
    code = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    assert client.post(reverse("mfa_activate_totp"), {"code": code}).status_code == 302
    entries = since(before)
    assert {(entry.action, entry.actor, entry.object_id) for entry in entries} == {
        ("second_factor", alice, str(alice.pk))
    }
    assert {"TOTP Authenticator": ["", "added"]} in [entry.changes for entry in entries]
    assert secret not in json.dumps(list(AuditEntry.objects.values()), default=str)
    other = Client()
    other.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    before = last()
    assert other.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert [(entry.action, entry.object_id) for entry in since(before)] == [("sign_in_failed", str(alice.pk))]


# --- Secrets by class ---


def test_secrets_are_known_by_their_class() -> None:
    password, digest = User._meta.get_field("password"), PersonalToken._meta.get_field("digest")
    values = PropertyValues._meta.get_field("values")
    assert [is_shown(field) for field in (password, digest, values)] == [False, False, False]
    assert values in tracked(PropertyValues)
    every = [field for model in audit.watched() for field in tracked(model)]
    assert [
        field for field in every if field.name in ("password", "digest", "secrets") and is_shown(field)
    ] == []
    unknown = models.JSONField(verbose_name="x")
    assert [is_shown(field) for field in (EncryptedJSONField(), EncryptedBinaryField(), unknown)] == [
        False
    ] * 3


def test_an_encrypted_value_is_told_by_its_label(service: Integration) -> None:
    row = PropertyValues.objects.get(integration=service)
    before = audit.snapshot(row)
    row.values = {**row.values, "API key": SECRET}
    assert audit.difference(before, audit.snapshot(row)) == {"values": None}


# --- Nobody changes it ---


@pytest.mark.parametrize(
    "attempt",
    [
        lambda entry: AuditEntry.objects.update(who="x"),
        lambda entry: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda entry: AuditEntry.objects.bulk_update([entry], ["who"]),
        lambda entry: AuditEntry.objects.update_or_create(pk=entry.pk, defaults={"who": "x"}),
        lambda entry: entry.save(),
        lambda entry: entry.delete(),
    ],
)
def test_an_entry_is_written_once(alice: User, attempt: Callable[[AuditEntry], Any]) -> None:
    entry = audit.record(Action.CHANGED, alice)
    with pytest.raises(TypeError, match="written once"), transaction.atomic():
        attempt(entry)
    assert AuditEntry.objects.get(pk=entry.pk).who == "command line"


@pytest.mark.parametrize("who", ["operator", "reseller", "admin_of_acme"])
def test_no_page_changes_an_entry(alice: User, request: pytest.FixtureRequest, who: str) -> None:
    client = signed_in(request.getfixturevalue(who))
    entry = audit.record(Action.CHANGED, alice)
    stored = list(AuditEntry.objects.order_by("pk").values())
    for page in ("change", "delete"):
        url = reverse(f"admin:portal_auditentry_{page}", args=[entry.pk])
        assert client.post(url, {"who": "x", "post": "yes"}).status_code == 403
    assert client.post(reverse("admin:portal_auditentry_add"), {"who": "x"}).status_code == 403
    client.post(LIST, {"action": "delete_selected", "_selected_action": entry.pk, "post": "yes"})
    assert list(AuditEntry.objects.order_by("pk").values()) == stored


def test_old_entries_expire_in_batches(alice: User, settings: Any) -> None:
    settings.AUDIT_RETENTION = timedelta(days=400)
    AuditEntry.objects.bulk_create(
        AuditEntry(who="x", action="changed", at=timezone.now() - timedelta(days=401)) for _ in range(5)
    )
    kept = AuditEntry.objects.filter(at__gt=timezone.now() - timedelta(days=1)).count()
    assert AuditEntry.objects.expire(timezone.now() - timedelta(days=401, minutes=5), batch=2) == 0
    with CaptureQueriesContext(connection) as captured:
        assert AuditEntry.objects.expire(timezone.now() - timedelta(days=400), batch=2) == 5
    assert len([query for query in captured if query["sql"].startswith("DELETE")]) == 3
    AuditEntry.objects.bulk_create(
        [AuditEntry(who="x", action="changed", at=timezone.now() - timedelta(days=401))]
    )
    retention.clean_up()
    assert AuditEntry.objects.count() == kept


def test_who_is_erased_stays_named(alice: User, operator: User) -> None:
    entry = audit.record(Action.CHANGED, operator, actor=alice)
    alice.delete()
    entry.refresh_from_db()
    assert (entry.actor, entry.who) == (None, "Alice <alice@acme.example>")


# --- The page ---


@pytest.fixture
def entries(
    acme: Organization, globex: Organization, account: Account, alice: User, charlie: User
) -> dict[str, AuditEntry]:
    other = Account.objects.create(name="Other reseller")
    return {
        "acme": audit.record(Action.CHANGED, acme, name="About Acme"),
        "globex": audit.record(Action.CHANGED, globex, name="About Globex"),
        "account": audit.record(Action.CHANGED, account, name="About the account"),
        "other": audit.record(Action.CHANGED, other, name="About another"),
        "installation": audit.record(Action.COMMAND, name="rotate_keys"),
    }


SEEN = {
    "operator": {"acme", "globex", "account", "other", "installation"},
    "reseller": {"acme", "globex", "account"},
    "admin_of_acme": {"acme"},
    "admin_of_globex": {"globex"},
}


@pytest.mark.parametrize("who", SEEN)
def test_each_role_sees_what_it_administers(
    entries: dict[str, AuditEntry], request: pytest.FixtureRequest, who: str
) -> None:
    client = signed_in(request.getfixturevalue(who))
    page = client.get(LIST).content.decode()
    file = b"".join(client.post(EXPORT)).decode()  # type: ignore[arg-type]
    for name, entry in entries.items():
        seen = name in SEEN[who]
        assert (entry.name in page, entry.name in file) == (seen, seen), name
        url = reverse("admin:portal_auditentry_change", args=[entry.pk])
        assert client.get(url).status_code == (200 if seen else 404), name


def test_users_and_visitors_see_nothing(entries: dict[str, AuditEntry], alice: User) -> None:
    entry, before = entries["acme"], last()
    change = reverse("admin:portal_auditentry_change", args=[entry.pk])
    for url in (LIST, change):
        assert signed_in(alice).get(url).status_code == 403
        assert Client().get(url).status_code == 302
    assert signed_in(alice).post(EXPORT).status_code == 403
    assert Client().post(EXPORT).status_code == 302
    assert since(before) == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?action=command", {"installation"}),
        ("?kind=portal.account", {"account", "other"}),
        ("?who=none&action=command", {"installation"}),
        ("?q=About+Acme", {"acme"}),
        ("?q=rotate", {"installation"}),
        ("?at_from=2000-01-01&at_to=2000-01-02", set()),
        ("?at_from=2000-01-01", {"acme", "globex", "account", "other", "installation"}),
        ("?at_from=nonsense&at_to=9999-12-31", {"acme", "globex", "account", "other", "installation"}),
        ("?who=²&organization=x&object=-1", {"acme", "globex", "account", "other", "installation"}),
    ],
)
def test_the_list_is_filtered(
    entries: dict[str, AuditEntry], operator: User, query: str, names: set[str]
) -> None:
    client = signed_in(operator)
    answer = client.get(LIST + query)
    assert answer.status_code == 200
    shown = {entry.pk for entry in answer.context["cl"].result_list}
    assert {name for name, entry in entries.items() if entry.pk in shown} == names
    file = b"".join(client.post(EXPORT + query)).decode()  # type: ignore[arg-type]
    assert {name for name, entry in entries.items() if entry.name in file} == names


def test_the_history_of_an_object_is_its_part_of_the_audit(
    entries: dict[str, AuditEntry], operator: User, admin_of_globex: User, acme: Organization
) -> None:
    url = reverse("admin:portal_organization_history", args=[acme.pk])
    page = signed_in(operator).get(url, follow=True)
    assert page.status_code == 200
    assert {entry.object_id for entry in page.context["cl"].result_list} == {str(acme.pk)}
    assert {entry.kind for entry in page.context["cl"].result_list} == {"portal.organization"}
    assert signed_in(admin_of_globex).get(url).status_code == 404


def test_the_page_of_an_integration_leads_to_its_history(service: Integration, admin_of_acme: User) -> None:
    client = signed_in(admin_of_acme)
    service.enabled = False
    service.save()
    setup = reverse("admin:integrations_setup", args=[service.organization_id, service.template_id])
    history = reverse("admin:integrations_integration_history", args=[service.pk])
    assert f'href="{history}"' in client.get(setup).content.decode()
    found = client.get(history, follow=True).context["cl"].result_list
    assert [(entry.action, entry.object_id) for entry in found] == [("changed", str(service.pk))]


def test_the_export_is_what_the_list_shows_and_is_recorded(
    acme: Organization, admin_of_acme: User, entries: dict[str, AuditEntry]
) -> None:
    audit.record(Action.CHANGED, acme, {"name": ("@SUM(A1)", "+1")}, name="=cmd|' /C calc'!A0")
    client, before = signed_in(admin_of_acme), last()
    answer = client.post(f"{EXPORT}?action=changed")
    content = b"".join(answer).decode("utf-8-sig")  # type: ignore[arg-type]
    table = list(csv.reader(io.StringIO(content)))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-')
    assert "no-store" in answer["Cache-Control"]
    assert table[0][:6] == ["time (UTC)", "who", "API token", "IP address", "request id", "action"]
    assert [row[8] for row in table[1:]] == ["'=cmd|' /C calc'!A0", "About Acme"]
    (entry,) = since(before)
    assert (entry.action, entry.actor, entry.organization) == ("exported", admin_of_acme, acme)
    assert entry.changes == {"filters": ["", "action=changed"]}
    assert client.get(EXPORT).status_code == 405


def test_the_page_takes_as_many_queries_for_many_entries(operator: User, acme: Organization) -> None:
    client, counts = signed_in(operator), []
    client.get(LIST)
    for count in (1, 40):
        for _ in range(count):
            audit.record(Action.CHANGED, acme, {"name": ("a", "b")})
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_the_export_reads_blocks(operator: User, acme: Organization) -> None:
    shared = {"who": "x", "action": "changed", "name": "Mass", "organization": acme}
    AuditEntry.objects.bulk_create(AuditEntry(**shared) for _ in range(2500))
    client = signed_in(operator)
    with CaptureQueriesContext(connection) as captured:
        content = b"".join(client.post(f"{EXPORT}?q=Mass")).decode()  # type: ignore[arg-type]
    assert content.count("Mass") == 2500
    blocks = [query for query in captured if query["sql"].endswith("LIMIT 1000")]
    assert len(blocks) == 3


# --- Nothing on the hot paths ---


@pytest.mark.parametrize("model", [Message, WebhookRequest, WebhookEvent])
def test_hot_tables_are_not_watched(model: Any) -> None:
    assert model not in audit.watched()
    assert [signal.has_listeners(model) for signal in (pre_save, post_save, pre_delete)] == [False] * 3


def test_what_programs_and_providers_send_writes_no_entry(private: Number, alice: User) -> None:
    token = PersonalToken.objects.issue(alice, "Laptop")
    before = last()
    with CaptureQueriesContext(connection) as captured:
        sent = Client().post(
            "/api/v1/messages",
            json.dumps({"from": private.number, "to": "+61412345678", "text": "x"}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )
        Client().post(
            f"/services/generic/a{private.organization.orgid}",
            json.dumps({"method": "nothing", "key": "sandbox-key"}),
            content_type="application/json",
        )
    assert sent.status_code in (200, 201, 202), sent.content
    assert since(before) == []
    assert [query for query in captured if "portal_auditentry" in query["sql"]] == []


# --- Completeness ---


def test_every_action_has_a_sentence() -> None:
    counted = {Action.RESENT_MANY, Action.REPROCESSED_MANY}
    assert set(SENTENCES) | counted == set(Action)
    for action in Action:
        entry = AuditEntry(action=action, who="Ada", kind="portal.user", name="Bob", count=2)
        assert entry.sentence.startswith("Ada ")
        assert entry.sentence.endswith(".")


def test_the_reference_lists_every_action() -> None:
    page = (ROOT / "docs/reference/audit.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE)
    assert listed == [(value, str(label)) for value, label in Action.choices]


def test_an_auto_reply_that_is_deleted_outside_the_form_is_recorded(private: Number) -> None:
    reply = AutoReply.objects.create(number=private, keyword="HOURS", text="9–17")
    before = last()
    reply.delete()
    (entry,) = since(before)
    assert (entry.action, entry.organization) == ("deleted", private.organization)


def test_a_rehashed_password_is_no_change(alice: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    before, hashed = last(), alice.password
    assert User.objects.get(pk=alice.pk).check_password(PASSWORD)
    assert User.objects.get(pk=alice.pk).password != hashed
    assert since(before) == []


def test_membership_outside_the_form_is_recorded_where_it_belongs(alice: User, globex: Organization) -> None:
    before = last()
    Membership.objects.create(user=alice, organization=globex, extension="300")
    (entry,) = since(before)
    assert (entry.action, entry.organization) == ("added", globex)
