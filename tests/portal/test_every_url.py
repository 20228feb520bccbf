"""Every URL, as all kinds of people, by every method: no row of another tenant is read or changed.

The URLs come from the resolver, so that a new page is tried by itself. Where it does not know what a
parameter stands for, it fails and says where to add it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.core.signals import request_finished
from django.db import close_old_connections, connection, transaction
from django.db.models import ForeignKey, Model, Q
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.regex_helper import normalize

from integrations.models import Template
from portal.handlers import Handler
from portal.models import Account, Membership, Organization, PersonalToken, User
from tests.portal.tenants import SESAME, Tenant, make_account, make_tenant

OTHER = ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
METHODS = ["GET", "POST", *OTHER]


@dataclass(frozen=True)
class Route:
    """A URL pattern: its template has a %(name)s for each parameter."""

    template: str
    parameters: tuple[str, ...]
    name: str

    @property
    def model(self) -> str | None:
        """The label of the model whose pages in the administration this belongs to."""
        found = re.match(r"/admin/(\w+)/(\w+)/", self.template)
        if found and found[1] in apps.app_configs and found[2] in apps.all_models[found[1]]:
            return str(apps.get_model(found[1], found[2])._meta.label)
        return None

    @property
    def area(self) -> str:
        found = re.match(r"/(\w*)", self.template)
        assert found
        return found[1]


def routes(
    resolver: URLResolver | None = None, prefix: str = "/", given: tuple[str, ...] = ()
) -> Iterator[Route]:
    for item in (resolver or get_resolver()).url_patterns:
        template, own = normalize(item.pattern.regex.pattern)[0]
        parameters = (*given, *own)
        if isinstance(item, URLPattern):
            yield Route(prefix + str(template), parameters, item.name or "")
        else:
            yield from routes(item, prefix + str(template), parameters)


ROUTES = list(routes())


# --- What parameters stand for -----------------------------------------------------------------------------
#
# In the administration `object_id` and `pk` are the row of the page's model unless this says otherwise:
# by (name of the URL, parameter) the label of a model, whose row is named by its key or by a field.
ROWS = {
    ("integrations_gallery", "pk"): "portal.Organization",
    ("integrations_setup", "pk"): "portal.Organization",
    ("integrations_setup", "template"): "integrations.Template",
    ("integrations_studio_case", "case"): "integrations.TemplateCase",
    ("integrations_studio_case_delete", "case"): "integrations.TemplateCase",
    ("integrations_trial", "pk"): "portal.Organization",
    ("integrations_trial", "template"): "integrations.Template",
    ("integrations_self_test", "pk"): "portal.Organization",
    ("integrations_self_test", "template"): "integrations.Template",
    ("integrations_account_values", "pk"): "portal.Account",
    ("integrations_account_values", "template"): "integrations.Template",
    ("integrations_studio_capture", "capture"): "integrations.Capture",
    ("integrations_studio_capture_changes", "capture"): "integrations.Capture",
    ("capture", "key"): "integrations.Capture.key",
    ("understood", "key"): "integrations.Capture.key",
    ("integrations_account_gallery", "pk"): "portal.Account",
    ("integrations_enable", "pk"): "portal.Account",
    ("integrations_enable", "template"): "integrations.Template",
    ("messaging_leaving", "pk"): "portal.User",
    ("portal_user_second_factor", "pk"): "portal.User",
    ("messaging_resend_progress", "pk"): "messaging.BulkResend",
    ("messaging_receiver_test", "pk"): "messaging.Receiver",
    ("messaging_receiver_again", "pk"): "messaging.Receiver",
    ("messaging_receiver_secret", "pk"): "messaging.Receiver",
    ("messaging_transfer_do", "pk"): "messaging.Transfer",
    ("messaging_transfer_file", "pk"): "messaging.Transfer",
    ("view_on_site", "object_id"): "messaging.Number",
    ("service_logo", "pk"): "integrations.Template",
    ("oauth_connect", "organization"): "portal.Organization",
    ("oauth_connect", "template"): "integrations.Template",
    ("programs_revoke", "pk"): "portal.PersonalToken",
    ("messages-detail", "id"): "messaging.Message.uuid",
    ("messages-cancel", "id"): "messaging.Message.uuid",
    ("conversation", "pk"): "messaging.Conversation",
    ("inbox_thread", "pk"): "messaging.Conversation",
    ("inbox_team", "pk"): "messaging.Conversation",
    ("inbox_note", "pk"): "messaging.Conversation",
    ("inbox_typing", "pk"): "messaging.Conversation",
    ("inbox_consent", "pk"): "messaging.Conversation",
    ("inbox_contact", "pk"): "messaging.Conversation",
    ("inbox_block", "pk"): "messaging.Conversation",
    ("inbox_resend", "uuid"): "messaging.Message.uuid",
    ("inbox_cancel", "uuid"): "messaging.Message.uuid",
    ("inbox_reschedule", "uuid"): "messaging.Message.uuid",
    ("inbox_draft", "pk"): "messaging.Conversation",
    ("writing_reply", "pk"): "messaging.CannedReply",
    ("inbox_file", "uuid"): "messaging.Attachment.uuid",
    ("public_media", "uuid"): "messaging.Attachment.uuid",
    ("webhook", "owner"): "portal.Organization.orgid",
    ("notices_remove_device", "pk"): "messaging.Device",
    ("messaging_deliveryattempt_delete_view", "view"): "portal.SavedView",
    ("messaging_optout_delete_view", "view"): "portal.SavedView",
    ("messaging_transfer_delete_view", "view"): "portal.SavedView",
    ("messaging_message_delete_view", "view"): "portal.SavedView",
    ("messaging_webhookrequest_delete_view", "view"): "portal.SavedView",
    ("portal_auditentry_delete_view", "view"): "portal.SavedView",
}
# Parameters that name no row of a tenant, by (name of the URL, parameter).
OTHERS = {
    ("account_confirm_email", "key"): "x",
    ("invitation", "key"): "x",
    ("openid_connect_login", "provider_id"): "oidc",
    ("openid_connect_callback", "provider_id"): "oidc",
    ("mfa_edit_webauthn", "pk"): "1",
    ("mfa_remove_webauthn", "pk"): "1",
    ("account_reset_password_from_key", "uidb36"): "1",
    ("account_reset_password_from_key", "key"): "x",
    ("integrations_template_revision", "number"): "1",
    ("app_list", "app_label"): "portal",
    ("", "url"): "nothing/here/",
    ("view_on_site", "content_type_id"): "1",
    ("messaging_import", "kind"): "contacts",
    ("messaging_import_sample", "kind"): "contacts",
    ("messaging_import_sample", "form"): "csv",
    ("messaging_export", "kind"): "contacts",
    ("messaging_transfer_file", "form"): "csv",
    ("webhook", "service_id"): "generic",
    ("webhook", "path"): "",
    ("capture", "path"): "",
    ("public_media", "until"): "1",
    ("public_media", "signature"): "x",
    ("public_media", "name"): "x.png",
}
# Whoever is not allowed in is answered by a redirect to the sign-in page (pages), or 401 (the API); who is
# allowed in, but not to the row, by one of these.
AREAS = {
    "": "open",
    "healthz": "open",
    "readyz": "open",
    "metrics": "open",
    "favicon": "open",
    "account": "open",
    "logos": "open",
    "schemas": "open",
    "services": "open",
    "captures": "open",
    "app": "open",
    "understood": "open",
    "media": "open",
    "admin": "administration",
    "inbox": "pages",
    "oauth": "pages",
    "api": "api",
}
REFUSALS = {403, 404, 405}
# Rows that belong to the account as a whole.
OF_ACCOUNT = {
    "portal.Account",
    "integrations.Template",
    "integrations.TemplateCase",
    "integrations.Capture",
}


def row_of(route: Route, parameter: str) -> str | None:
    """The label of the model whose row the parameter names; None if it is not a row of a tenant."""
    if (route.name, parameter) in ROWS:
        return ROWS[route.name, parameter]
    if (route.name, parameter) in OTHERS:
        return None
    if route.model is not None and parameter in ("object_id", "pk"):
        return route.model
    raise AssertionError(
        f"{route.template} (name {route.name!r}) has the parameter {parameter!r}, of which this test does not "
        f"know what it stands for. Add ({route.name!r}, {parameter!r}) to ROWS if it names a row of a tenant, "
        f"else to OTHERS, in {Path(__file__).name}."
    )


def argument(route: Route, parameter: str, tenant: Tenant) -> str:
    label = row_of(route, parameter)
    if label is None:
        return OTHERS[route.name, parameter]
    app, model, *named = label.split(".")
    row = tenant.rows.get(f"{app}.{model}")
    assert row is not None, f"Make a row of {app}.{model} in tests/portal/tenants.py."
    return str(getattr(row, named[0] if named else "pk"))


def path_of(route: Route, tenant: Tenant) -> str:
    return route.template % {name: argument(route, name, tenant) for name in route.parameters}


def labels_of(route: Route) -> set[str]:
    found = (row_of(route, name) for name in route.parameters)
    return {".".join(label.split(".")[:2]) for label in found if label}


# --- The people --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Role:
    """A kind of person: `home` is their organization, `sees` the secrets that they may be shown."""

    home: str | None
    sees: tuple[str, ...]
    staff: bool = False
    enters: bool = True
    token: bool = False


ALL = ("Larch", "Burrow", "Thicket", "Cedar", "Lagoon", "Meadow")
# The rows of Quokka Burrow are asked for. In its account there is Bilby Thicket; the other account is Cedar's.
PEOPLE = {
    "anonymous": Role(None, (), enters=False),
    "operator": Role("Burrow", ALL, staff=True),
    "account admin": Role("Burrow", ("Larch", "Burrow", "Thicket"), staff=True),
    "account admin of one organization": Role("Burrow", ("Larch", "Burrow"), staff=True),
    "account admin of another account": Role("Lagoon", ("Cedar", "Lagoon", "Meadow"), staff=True),
    "organization admin": Role("Burrow", ("Larch", "Burrow"), staff=True),
    "organization admin of a sibling": Role("Thicket", ("Larch", "Thicket"), staff=True),
    "user": Role("Burrow", ("Larch", "Burrow")),
    "user of a sibling": Role("Thicket", ("Larch", "Thicket")),
    "user without a role": Role(None, ()),
    "blocked member": Role(None, ()),
    "inactive user": Role(None, (), enters=False),
    "program of a sibling": Role("Thicket", ("Larch", "Thicket"), enters=False, token=True),
}


@dataclass
class World:
    """All tenants, and the requests that one person makes.

    They go to Django's handler: its test client would copy the context of each template that is rendered.
    """

    tenants: dict[str, Tenant]
    requests: RequestFactory
    handler: Handler


@pytest.fixture
def world(db: None, settings: Any, tmp_path: Path, who: str) -> Iterator[World]:
    settings.MEDIA_ROOT = tmp_path
    larch, cedar = make_account("Alpine", "Larch"), make_account("Boreal", "Cedar")
    tenants = {
        "Burrow": make_tenant(larch, "Quokka", "Burrow", 1001),
        "Thicket": make_tenant(larch, "Bilby", "Thicket", 1002),
        "Lagoon": make_tenant(cedar, "Numbat", "Lagoon", 2001),
        "Meadow": make_tenant(cedar, "Wombat", "Meadow", 2002),
    }
    user, requests = someone(who, tenants), RequestFactory()
    if user is not None and PEOPLE[who].token:
        requests.defaults["HTTP_AUTHORIZATION"] = f"Bearer {PersonalToken.objects.issue(user, 'walk')}"
    elif user is not None:
        client = Client()
        client.force_login(user)
        requests.cookies = client.cookies
    if who == "inactive user":
        User.objects.filter(email="someone@elsewhere.example").update(is_active=False)
    handler = Handler()
    handler.load_middleware()
    request_finished.disconnect(close_old_connections)  # it would end the test's transaction
    yield World(tenants, requests, handler)
    request_finished.connect(close_old_connections)


def someone(who: str, tenants: dict[str, Tenant]) -> User | None:
    if who == "anonymous":
        return None
    home = tenants[PEOPLE[who].home or "Burrow"]
    if who.startswith("organization admin"):
        return home.admin
    if who in ("user", "user of a sibling", "program of a sibling"):
        return home.user
    person = User.objects.create_user(
        "someone@elsewhere.example", "x", name="Someone", is_operator=who == "operator"
    )
    match who:
        case "account admin" | "account admin of another account":
            Membership.objects.create(user=person, account=home.account, role="account_admin")
        case "account admin of one organization":
            Membership.objects.create(user=person, organization=home.organization, role="account_admin")
        case "blocked member":
            Membership.objects.create(
                user=person, organization=home.organization, role="organization_admin", status="blocked"
            )
        case "inactive user":
            Membership.objects.create(user=person, organization=home.organization, role="organization_admin")
    return person


# --- What belongs to a tenant ------------------------------------------------------------------------------


@cache
def ways(model: type[Model], depth: int = 4) -> tuple[str, ...]:
    """All look-ups from a model to an organization, along its foreign keys."""
    found: list[str] = []
    for key in model._meta.concrete_fields:
        if not isinstance(key, ForeignKey) or key.name in ("resend_of", "last_message"):
            continue
        target = key.related_model
        if target is Organization:
            found.append(key.name)
        elif depth and isinstance(target, type) and issubclass(target, Model) and target is not model:
            found += [f"{key.name}__{way}" for way in ways(target, depth - 1)]
    return tuple(found)


def statements(tenant: Tenant) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """What asks for all rows that lead to the organization, or are its account, its users, or rows of these.

    By the label of each model: Django takes ten times longer to write the statements than the database to answer.
    """
    users = [tenant.user.pk, tenant.admin.pk]
    found = {
        "portal.Organization": Organization.objects.filter(pk=tenant.organization.pk),
        "portal.Account": Account.objects.filter(pk=tenant.account.pk),
        "portal.User": User.objects.filter(pk__in=users),
        "integrations.Template": Template.objects.filter(account=tenant.account),
    }
    for model in apps.get_models():
        condition = Q(pk__in=[])
        for way in ways(model):
            condition |= Q(**{way: tenant.organization})
        for key in model._meta.concrete_fields:
            if isinstance(key, ForeignKey) and key.related_model is User:
                condition |= Q(**{f"{key.name}__in": users})
        if condition != Q(pk__in=[]):
            found.setdefault(model._meta.label, model._default_manager.filter(condition).distinct())
    return {label: rows.order_by("pk").query.sql_with_params() for label, rows in found.items()}


def stored(asked: dict[str, tuple[str, tuple[Any, ...]]]) -> dict[str, list[Any]]:
    """The rows that these statements find."""
    found = {}
    with connection.cursor() as cursor:
        for label, (statement, parameters) in asked.items():
            cursor.execute(statement, parameters)
            found[label] = cursor.fetchall()
    return found


class Writes:
    """Counts the statements that change something other than sessions."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if re.match(r"\s*(INSERT|UPDATE|DELETE|REPLACE)", sql, re.IGNORECASE) and "django_session" not in sql:
            self.count += 1
        return execute(sql, params, many, context)


# --- What is asked -----------------------------------------------------------------------------------------


def named(tenant: Tenant) -> dict[str, Any]:
    """The tenant's keys, by the names that forms and queries have for them."""
    return {
        "organization": tenant.organization.pk,
        "account": tenant.account.pk,
        "template": tenant.key("integrations.Template"),
        "integration": tenant.key("integrations.Integration"),
        "service": tenant.key("integrations.Integration"),
        "number": tenant.key("messaging.Number"),
        "conversation": tenant.key("messaging.Conversation"),
        "open": tenant.key("messaging.Conversation"),
        "contact": tenant.key("messaging.Contact"),
        "message": tenant.key("messaging.Message"),
        "before": tenant.key("messaging.Message") + 1,
        "failed": tenant.key("messaging.Message"),
        "unknown": tenant.key("messaging.Message"),
        "include": "unknown",
        "outcome": "sent",
        "user": tenant.user.pk,
        "assigned": tenant.user.pk,
        "users": tenant.user.pk,
        "author": tenant.user.pk,
        "role": "account_admin",
        "status": "active",
        "uuid": tenant.rows["messaging.Message"].uuid,  # type: ignore[attr-defined]
        "pk": tenant.key("messaging.Message"),
        "id": tenant.key("messaging.Message"),
        "q": tenant.word,
        "to": "+61412345678",
        "text": "from a stranger",
        "name": "Changed by a stranger",
        "state": "x",
        "tag": tenant.key("messaging.ContactTag"),
        "do": "block",
        "note": "from a stranger",
        "assignee": tenant.user.pk,
    }


def queries(route: Route, tenant: Tenant) -> list[str]:
    """None, and the tenant's keys: for lists of the administration in each of their filters."""
    keys = named(tenant)
    if route.model is None or not route.template.endswith(f"/{route.model.split('.')[1].lower()}/"):
        return [urlencode(keys | {"_changelist_filters": f"organization={tenant.organization.pk}"})]
    page = admin.site.get_model_admin(apps.get_model(route.model))
    filters = [
        item.parameter_name
        for item in page.list_filter
        if isinstance(item, type) and issubclass(item, SimpleListFilter)
    ]
    asked = [{name: keys[name]} for name in filters if name in keys]
    return ["", *(urlencode(query) for query in [{"q": tenant.word}, *asked])]


def form_of(route: Route, tenant: Tenant) -> dict[str, Any]:
    """The tenant's keys in all fields that forms have for them, and the fields that make forms complete."""
    keys, found = named(tenant), {}
    for prefix in ("", "memberships-0-", "auto_replies-0-"):
        found |= {f"{prefix}{name}": value for name, value in keys.items()}
    label = route.model if route.model in tenant.rows else "messaging.Message"
    return found | {
        "action": {"messaging.Message": "resend", "messaging.WebhookRequest": "reprocess"}.get(
            label or "", "x"
        ),
        "index": 0,
        "_selected_action": tenant.key(str(label)),
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": tenant.key("portal.Membership"),
        "auto_replies-TOTAL_FORMS": 1,
        "auto_replies-INITIAL_FORMS": 1,
        "auto_replies-0-id": tenant.key("messaging.AutoReply"),
        "auto_replies-0-keyword": "HOURS",
        "domain": "stranger.example",
        "email": "stranger@elsewhere.example",
        "time_zone": "UTC",
        "is_active": "on",
        "new_password": "a-long-enough-secret",
        "country": "AU",
        "inbound_format": "e164",
        "outbound_format": "e164",
        "sticky_hours": 0,
        "active": "on",
        "post": "yes",
    }


def ask(world: World, method: str, path: str, query: str, form: dict[str, Any]) -> HttpResponse:
    body, kind = "", "application/octet-stream"
    if method in ("POST", "PUT", "PATCH", "DELETE"):
        body, kind = urlencode(form), "application/x-www-form-urlencoded"
        if path.startswith("/api/"):
            message = {"from": form["number"], "to": form["to"], "text": form["text"]}
            body, kind = json.dumps(message | {"messages": [message]}, default=str), "application/json"
    request = world.requests.generic(method, f"{path}?{query}", body, kind)
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return world.handler.get_response(request)  # type: ignore[return-value]


def content(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    said = f"{head}\n{body.decode('utf-8', 'replace')}".lower()
    # In the random letters of CSRF tokens some word is found now and then.
    return re.sub(r"\b[a-z0-9]{64}\b", "", said)


def to_sign_in(answer: HttpResponse) -> bool:
    return answer.status_code == 302 and urlsplit(answer["Location"]).path in (
        "/account/login/",
        "/admin/login/",
    )


def permitted(role: Role, route: Route, path: str, answer: HttpResponse, own: bool) -> bool:
    """Whether the role may be answered like this; `own`: the rows in the path are within its reach."""
    status = answer.status_code
    if status >= 500:
        return False
    area = AREAS.get(route.area)
    assert area, f"Say in AREAS of {Path(__file__).name} who may open pages below /{route.area}."
    if route.template == "/admin/login/" or route.name == "oauth_callback" or area == "open":
        return True
    if area == "api":
        public = route.name in ("api_description", "api_docs", "")
        allowed = own or not labels_of(route) or status in REFUSALS
        return public or (allowed if role.token else status == 401)
    if not role.enters:
        signed_out = route.name == "logout" and answer.headers.get("Location") == "/admin/"
        return to_sign_in(answer) or status == 405 or signed_out
    if area == "administration" and not role.staff:
        return status == 403
    if own or not labels_of(route):
        return True
    if route.template.endswith("%(object_id)s/"):  # an old address of the change page
        return status in REFUSALS or (status == 302 and answer["Location"] == f"{path}change/")
    return status in REFUSALS


def within_reach(role: Role, route: Route, target: Tenant) -> bool:
    labels = labels_of(route)
    if labels and labels <= OF_ACCOUNT:
        return role.home is not None and target.account.name.split()[1] in role.sees
    return target.secret in role.sees


def adds(label: str, before: list[Any], now: list[Any]) -> bool:
    """Whether rows were added to those that are stored, which themselves have not changed."""
    return label in ("messaging.WebhookRequest", "portal.AuditEntry") and now[: len(before)] == before


def requests_of(world: World, who: str) -> Iterator[tuple[Route, str, str, str, dict[str, Any], bool]]:
    """What is asked of each URL: route, method, path, query, form, and whether the rows in the path are own.

    Each asks by GET, POST and one other method, and another person by another one, so that each URL is asked by
    all methods. The API has a function for each method, so whoever is refused tries them all.
    """
    role, target = PEOPLE[who], world.tenants["Burrow"]
    strangers = [tenant for tenant in world.tenants.values() if tenant.secret not in role.sees]
    for turn, route in enumerate(ROUTES, list(PEOPLE).index(who)):
        # Another's rows in path, query and body; and their own in the path with another's in query and body.
        pairs = [(target, target)]
        inside = role.staff or route.area != "admin"
        if inside and role.home is not None and strangers and labels_of(route):
            pairs.append((world.tenants[role.home], strangers[0]))
        for whose, others in pairs:
            path, own = path_of(route, whose), within_reach(role, route, whose)
            opens = inside and (own or not labels_of(route))
            methods = ["GET", "POST", OTHER[turn % len(OTHER)]] if others is whose else ["GET", "POST"]
            if route.area == "api" and not opens:
                methods = METHODS
            asked, form = queries(route, others), form_of(route, others)
            for method in methods:
                for query in asked if method == "GET" else asked[-1:]:
                    yield route, method, path, query, form, own


@pytest.mark.parametrize("who", PEOPLE)
def test_nobody_reads_or_changes_what_is_anothers(world: World, who: str) -> None:
    role = PEOPLE[who]
    strangers = [tenant for tenant in world.tenants.values() if tenant.secret not in role.sees]
    hidden = [secret.lower() for secret in ALL if secret not in role.sees] + [SESAME]
    asked = {tenant.secret: statements(tenant) for tenant in strangers}
    before = {tenant.secret: stored(asked[tenant.secret]) for tenant in strangers}
    wrong: list[str] = []
    for route, method, path, query, form, own in requests_of(world, who):
        writes, savepoint = Writes(), transaction.savepoint()
        with connection.execute_wrapper(writes):
            answer = ask(world, method, path, query, form)
            text = content(answer)
            answer.close()
        line = f"{method} {path}?{query} → {answer.status_code}"
        if not permitted(role, route, path, answer, own):
            wrong.append(f"{line}: must not be answered like this")
        wrong += [f"{line}: shows {word!r}" for word in hidden if word in text]
        for tenant in strangers if writes.count else []:
            now = stored(asked[tenant.secret])
            wrong += [
                f"{line}: changed {label} of {tenant.secret}"
                for label in now
                if now[label] != before[tenant.secret][label]
                and not (
                    # A webhook is kept, and so is who has done something to what is their own.
                    (route.name == "webhook" or label == "portal.AuditEntry")
                    and adds(label, before[tenant.secret][label], now[label])
                )
            ]
        transaction.savepoint_rollback(savepoint)
    assert not wrong, "\n".join(wrong[:60])


@pytest.mark.parametrize("who", ["account admin of another account"])
def test_the_walk_asks_everything(world: World, who: str) -> None:
    """A walk that asks little finds little."""
    asked = list(requests_of(world, who))
    assert {route for route, *_ in asked} == set(ROUTES)
    assert {method for _, method, *_ in asked} == set(METHODS)
    strangers = [who for who in PEOPLE if who not in ("operator", "user", "organization admin")]
    by_all = [{(route, method) for route, method, *_ in requests_of(world, who)} for who in strangers]
    assert set().union(*by_all) == {(route, method) for route in ROUTES for method in METHODS}
