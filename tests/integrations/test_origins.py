"""Secrets go only where somebody has confirmed it, however the address may have changed."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from integrations import holds, oauth, properties, setup
from integrations.language.errors import DocumentError
from integrations.models import AccessToken, Integration, PropertyValues, Template
from messaging import alerts
from messaging.inbound import fetch_media, file_events
from messaging.models import Assignment, Attachment, Message, Number
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.statuses import AttachmentState, QueueState
from portal.models import Organization, User
from tests import pages

KEY, OTHER = "planted-secret-1", "own-secret-of-acme-2"
SETUP = "/admin/integrations/integration/organization/{}/{}/"
ACCOUNT = "/admin/integrations/integration/account/{}/{}/"


@dataclass
class Provider:
    """A provider on a real port; what it was asked is in `seen`."""

    origin: str = ""
    seen: list[str] = field(default_factory=list)
    redirect: str = ""

    def has(self, secret: str) -> bool:
        return any(secret in request for request in self.seen)


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        provider: Provider = self.server.provider
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode("latin-1")
        basic = self.headers.get("Authorization", "").removeprefix("Basic ")
        plain = base64.b64decode(basic + "===", validate=False).decode("latin-1") if basic else ""
        provider.seen.append(f"{self.command} {self.path} {self.headers} {plain} {body}")
        if provider.redirect and self.path.startswith("/files/"):
            self.send_response(302)
            self.send_header("Location", provider.redirect)
            self.end_headers()
            return
        answer = b'{"id": "m-1", "access_token": "granted-token-3", "refresh_token": "refresh-token-4"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[Provider]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.provider = provider = Provider(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@dataclass
class World:
    """Acme with a provider that it has set up, and another address that nobody has confirmed."""

    good: Provider
    evil: Provider
    acme: Organization
    admin: User
    reseller: User
    alice: User
    template: Template
    client: Client = field(init=False)
    files: int = 0

    def __post_init__(self) -> None:
        self.client = signed_in(self.admin)

    @property
    def integration(self) -> Integration:
        return Integration.objects.ready().get(organization=self.acme, template=self.template)

    @property
    def url(self) -> str:
        return SETUP.format(self.acme.pk, self.template.pk)

    def page(self, client: Client | None = None) -> str:
        return unescape((client or self.client).get(self.url).content.decode())

    def post(self, form: dict[str, str], client: Client | None = None, url: str = "") -> Any:
        """What a browser does: the page's hidden fields go along."""
        client, url = client or self.client, url or self.url
        return pages.post(client, url, {"do": "save", **form})

    def confirm(self, client: Client | None = None) -> Any:
        """Presses Confirm, if the page has it."""
        client = client or self.client
        answers = [
            unescape(found) for found in re.findall(r'name="answer" value="([^"]*)"', self.page(client))
        ]
        return client.post(self.url, {"do": "confirm", "answer": answers})

    def document(self) -> dict[str, Any]:
        assert self.template.published is not None
        return json.loads(self.template.published.source)

    def revise(self, change: Callable[[dict[str, Any]], None]) -> None:
        made = self.document()
        change(made)
        self.template.revise(json.dumps(made))

    def everything(self) -> None:
        """All that carries credentials: a text, a file, a check, a token, a file from the provider."""
        number = Number.objects.get(integration__template=self.template)
        submit(self.alice, number, "+61412345678", text="Hello")
        dispatch.drain()
        oauth.renew_due()
        self.client.post(self.url, {"do": "check", **self.shown()})
        self.files += 1
        file = f"{self.evil.origin}/files/{self.files}.png"
        webhook = {"from": "+61412345678", "to": number.number, "url": file}
        Client().post(
            f"/services/{self.template.service_id}/a{self.acme.orgid}",
            webhook,
            content_type="application/json",
        )
        file_events.drain()
        fetch_media.drain()

    def shown(self) -> dict[str, str]:
        """The fields as a browser would send them."""
        found = {}
        for name, value in re.findall(r'name="(property-\d)"[^>]*?value="([^"]*)"', self.page()):
            found[name] = unescape(value)
        for value, name in re.findall(r'value="([^"]*)"[^>]*?name="(property-\d)"', self.page()):
            found.setdefault(name, unescape(value))
        return found


def document(origin: str) -> dict[str, Any]:
    return {
        "id": "acme-sms",
        "name": "Acme SMS",
        "properties": [
            "API key",
            {"name": "API URL", "type": "url", "required": False, "default": f"{origin}/api"},
        ],
        "auth": {"type": "Bearer", "token": "$API key$"},
        "API": {
            "SendMessage": {
                "request_url": "$API URL$/send",
                "request_parameters": {"to": "$to$", "text": "$content$"},
                "response_map": {"id": "$messageid$"},
            },
            "CheckCredentials": {"request_method": "GET", "request_url": f"{origin}/me"},
        },
        "Webhook": {
            "verify": {"type": "ip", "ranges": ["127.0.0.1/32"]},
            "events": [
                {"event_type": "mms", "request_parameters": {"from": "$from$", "to": "$to$", "url": "$url$"}}
            ],
        },
    }


@pytest.fixture
def world(
    settings: Any, acme: Organization, admin_of_acme: User, reseller: User, alice: User
) -> Iterator[World]:
    with listening() as good, listening() as evil:
        settings.PATCHBAY_ALLOWED_ORIGINS = [good.origin, evil.origin]
        template = Template(account=acme.account)
        template.revise(json.dumps(document(good.origin)))
        yield World(good, evil, acme, admin_of_acme, reseller, alice, template)


def set_up(world: World, **fields: str) -> World:
    """As an administrator does it, on the page."""
    assert world.post({"property-0": KEY, **fields}).status_code == 302
    number = Number.objects.create(
        organization=world.acme, integration=world.integration, number="+61855555501", country="AU"
    )
    Assignment.objects.create(number=number, user=world.alice)
    return world


def a_literal_host(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["API"]["SendMessage"]["request_url"] = f"{world.evil.origin}/send"

    world.revise(change)


def a_pinned_revision(world: World) -> None:
    made = world.document()
    made["API"]["SendMessage"]["request_url"] = f"{world.evil.origin}/send"
    revision = world.template.save_draft(json.dumps(made))
    Integration.objects.filter(pk=world.integration.pk).update(revision=revision)


def another_default(world: World) -> None:
    world.revise(lambda made: made["properties"][1].update(default=f"{world.evil.origin}/api"))


def another_variable(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["API"]["SendMessage"]["variables"] = {
            "base": {"$first": [{"$when": {"$API key$": True}, "$value": world.evil.origin}, "$API URL$"]}
        }
        made["API"]["SendMessage"]["request_url"] = "$base$/send"

    world.revise(change)


def another_variable_without_the_key(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["API"]["SendMessage"]["variables"] = {"base": {"$first": ["$Next$", world.evil.origin]}}
        made["properties"].append({"name": "Next", "type": "url", "required": False})
        made["API"]["SendMessage"]["request_url"] = "$base$/send"

    world.revise(change)


def another_table(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["properties"].append({"name": "Region", "secret": False, "default": "eu"})
        made["tables"] = {"hosts": {"eu": world.evil.origin}}
        made["API"]["SendMessage"]["request_url"] = "$Region|map:'hosts'$/send"

    world.revise(change)


def a_text_that_opens_the_url(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["properties"].append({"name": "Server", "secret": False, "default": world.evil.origin})
        made["API"]["SendMessage"]["request_url"] = "$Server$/send"

    world.revise(change)


def a_choice_that_opens_the_url(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["properties"].append(
            {"name": "Server", "type": "choice", "choices": [world.evil.origin], "default": world.evil.origin}
        )
        made["API"]["SendMessage"]["request_url"] = "$Server$/send"

    world.revise(change)


def the_check(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["API"]["CheckCredentials"]["request_url"] = f"{world.evil.origin}/me"

    world.revise(change)


def the_key_in_a_query(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        del made["auth"]
        made["API"]["SendMessage"]["request_url"] = f"{world.evil.origin}/send?k=$API key$"

    world.revise(change)


def the_key_in_a_path(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        del made["auth"]
        made["API"]["SendMessage"]["request_url"] = f"{world.evil.origin}/$API key$/send"

    world.revise(change)


def the_key_by_a_filter(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        del made["auth"]
        made["API"]["SendMessage"]["request_url"] = f"{world.evil.origin}/send"
        made["API"]["SendMessage"]["request_parameters"]["to"] = "$none|or:API key$"
        made["API"]["SendMessage"]["variables"] = {"none": None}

    world.revise(change)


def a_common_header(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        del made["auth"]
        made["request_headers"] = {"X-Key": "$API key$"}
        made["API"]["SendMessage"]["request_url"] = f"{world.evil.origin}/send"

    world.revise(change)


def media_of_a_foreign_host(world: World) -> None:
    world.revise(lambda made: made["Webhook"].update(media_auth=["127.0.0.1"]))


def media_of_the_api(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["Webhook"]["media_auth"] = True

    world.revise(change)


def the_accounts_value(world: World) -> None:
    form = {"property-1": f"{world.evil.origin}/api"}
    url = ACCOUNT.format(world.acme.account_id, world.template.pk)
    assert world.post(form, signed_in(world.reseller), url).status_code == 302


def the_own_value(world: World) -> None:
    form = {"property-0": "", "property-1": f"{world.evil.origin}/api"}
    world.post(form)


def a_secret_that_the_document_shows(world: World) -> None:
    def change(made: dict[str, Any]) -> None:
        made["properties"][0] = {"name": "API key", "secret": False}
        made["API"]["SendMessage"]["request_url"] = f"{world.evil.origin}/send"

    world.revise(change)


def an_import_of_values(world: World) -> None:
    row = PropertyValues.objects.get(integration=world.integration)
    row.values = {**row.values, "API URL": f"{world.evil.origin}/api"}
    row.save()


GROWTHS = [
    a_literal_host,
    a_pinned_revision,
    another_default,
    another_variable,
    another_variable_without_the_key,
    another_table,
    a_text_that_opens_the_url,
    a_choice_that_opens_the_url,
    the_check,
    the_key_in_a_query,
    the_key_in_a_path,
    the_key_by_a_filter,
    a_common_header,
    media_of_a_foreign_host,
    media_of_the_api,
    the_accounts_value,
    the_own_value,
    a_secret_that_the_document_shows,
    an_import_of_values,
]


@pytest.mark.parametrize("growth", GROWTHS, ids=lambda growth: growth.__name__)
def test_no_secret_goes_to_a_new_address_unasked(world: World, growth: Callable[[World], None]) -> None:
    set_up(world)
    world.everything()
    assert world.good.has(KEY)
    world.evil.seen.clear()  # a file that anybody may fetch
    try:
        growth(world)
    except DocumentError:
        return  # refused when it is saved, and nothing has changed
    world.everything()
    assert not world.evil.has(KEY)
    assert KEY not in world.page()


@pytest.mark.parametrize(
    "growth", [a_literal_host, another_default, the_own_value, the_key_in_a_path, a_pinned_revision]
)
def test_messages_wait_until_it_is_confirmed_and_then_go_at_once(
    world: World, growth: Callable[[World], None]
) -> None:
    set_up(world)
    growth(world)
    number = Number.objects.get()
    submit(world.alice, number, "+61412345678", text="Hello")
    dispatch.drain()
    message = Message.objects.get()
    assert (message.queue_state, message.attempts, message.status_text) == (QueueState.WAITING, 0, "")
    alerts.send_due()
    assert f"Acme SMS will now send your API key to {world.evil.origin}." in mail.outbox[0].body
    assert f"Acme SMS will now send your API key to {world.evil.origin}." in world.page()
    assert world.evil.seen == []
    assert world.confirm().status_code == 302
    dispatch.drain()
    message.refresh_from_db()
    assert (message.get_status_display(), message.attempts, world.evil.has(KEY)) == ("sent", 1, True)
    assert "will now send" not in world.page()


def test_what_did_not_grow_goes_on(world: World) -> None:
    set_up(world)
    the_check(world)
    world.everything()
    assert Message.objects.get(text="Hello").get_status_display() == "sent"
    assert not world.evil.has(KEY)
    assert "will now send your API key" in world.page()


def test_the_first_set_up_names_where_the_key_goes_and_confirms_it(world: World) -> None:
    assert f"It is used for requests to {world.good.origin}." in world.page()
    set_up(world)
    world.everything()
    assert world.good.has(KEY)
    row = PropertyValues.objects.get(integration=world.integration)
    assert row.secret_origins["API key"][world.good.origin]["by"] == world.admin.pk


def test_what_the_page_did_not_name_is_not_confirmed_with_it(world: World) -> None:
    named = pages.named(world.client.get(world.url).content.decode())
    assert world.good.origin in named["named"]
    a_literal_host(world)  # between the page and the answer
    assert world.client.post(world.url, named | {"property-0": KEY, "do": "save"}).status_code == 302
    assert f"will now send your API key to {world.evil.origin}" in world.page()


@pytest.mark.parametrize("named", ["[[[1], 2]]", "{}", "nonsense", '[["API key", null]]', "7"])
def test_a_page_that_was_tampered_with_confirms_nothing(world: World, named: str) -> None:
    a_literal_host(world)
    assert world.client.post(world.url, {"property-0": KEY, "named": named, "do": "save"}).status_code in (
        302,
        422,
    )
    rows = PropertyValues.objects.all()
    assert [origin for row in rows for origin in (row.secret_origins or {}).get("API key", ())] == []


def test_a_check_asks_first(world: World) -> None:
    set_up(world)
    the_check(world)
    page = world.client.post(world.url, {"do": "check", **world.shown()}).content.decode()
    assert f"Acme SMS will now send your API key to {world.evil.origin}." in page
    assert world.evil.seen == []
    world.confirm()
    world.client.post(world.url, {"do": "check", **world.shown()})
    assert world.evil.has(KEY)


# Values of the account.


def inherit(world: World) -> World:
    """The account's key and address, which Acme uses."""
    url = ACCOUNT.format(world.acme.account_id, world.template.pk)
    form = {"property-0": KEY, "property-1": f"{world.good.origin}/api"}
    assert world.post(form, signed_in(world.reseller), url).status_code == 302
    return set_up(world, **{"property-0": ""})


def test_an_inherited_key_works_at_once_where_the_account_has_said(world: World) -> None:
    inherit(world)
    world.everything()
    assert world.good.has(KEY)
    assert "will now send" not in world.page()


def test_only_an_administrator_of_the_account_confirms_for_its_values(world: World) -> None:
    inherit(world)
    the_own_value(world)
    sentence = f"Acme SMS will now send the account's API key to {world.evil.origin}."
    assert sentence in world.page()
    answers = [f"API key {world.evil.origin}", f"API key {world.evil.origin} account"]
    world.client.post(world.url, {"do": "confirm", "answer": answers})
    world.everything()
    assert (world.evil.has(KEY), sentence in world.page()) == (False, True)
    world.confirm(signed_in(world.reseller))
    world.everything()
    assert (world.evil.has(KEY), sentence in world.page()) == (True, False)


def test_an_answer_for_the_accounts_key_is_none_for_an_own_one_that_was_entered_meanwhile(
    world: World,
) -> None:
    inherit(world)
    the_own_value(world)
    (ask,) = {ask for ask in holds.asks_of(world.integration) if ask.label == "API key"}
    properties.store(world.integration, {"API key": OTHER, "API URL": f"{world.evil.origin}/api"})
    assert holds.confirm(world.integration, {ask.answer}, world.reseller, for_account=True) == 0
    world.everything()
    assert not world.evil.has(OTHER) and not world.evil.has(KEY)


def test_a_confirmation_for_the_own_key_does_not_hold_for_the_accounts(world: World) -> None:
    inherit(world)
    world.post({"property-0": OTHER, "property-1": f"{world.evil.origin}/api"})
    world.everything()
    assert world.evil.has(OTHER)
    row = PropertyValues.objects.get(integration=world.integration)
    row.values = {"API URL": f"{world.evil.origin}/api"}  # the own key is gone, the account's is used
    row.save()
    world.everything()
    assert not world.evil.has(KEY)


def test_strangers_confirm_nothing(world: World, charlie: User, admin_of_globex: User, alice: User) -> None:
    set_up(world)
    a_literal_host(world)
    answers = {"do": "confirm", "answer": [f"API key {world.evil.origin}"]}
    for user in (charlie, admin_of_globex, alice):
        assert signed_in(user).post(world.url, answers).status_code in (302, 403, 404)
    assert Client(enforce_csrf_checks=True).post(world.url, answers).status_code in (302, 403)
    world.everything()
    assert not world.evil.has(KEY)
    assert f"to {world.evil.origin}" in world.page()


@pytest.mark.parametrize(
    "answer", ["API key http://127.0.0.1:1", "Other {}", "API key", "", " ", "API key  {}"]
)
def test_only_what_is_asked_is_confirmed(world: World, answer: str) -> None:
    set_up(world)
    a_literal_host(world)
    world.client.post(world.url, {"do": "confirm", "answer": [answer.format(world.evil.origin)]})
    world.everything()
    assert not world.evil.has(KEY)


# OAuth2.


def connect(world: World, flow: str = "client_credentials") -> World:
    def change(made: dict[str, Any]) -> None:
        made["auth"] = {
            "type": "OAuth2",
            "client_id": "me",
            "client_secret": "$API key$",
            "flow_type": flow,
            "authorization_endpoint": f"{world.good.origin}/authorize",
            "token_endpoint": f"{world.good.origin}/token",
        }

    world.revise(change)
    set_up(world)
    if flow == "client_credentials":
        world.everything()
        assert world.good.has("granted-token-3")
    return world


def a_token_endpoint(made: dict[str, Any], origin: str) -> None:
    made["auth"]["token_endpoint"] = f"{origin}/token"


def an_api(made: dict[str, Any], origin: str) -> None:
    made["API"]["SendMessage"]["request_url"] = f"{origin}/send"


def an_api_that_needs_no_key(made: dict[str, Any], origin: str) -> None:
    made["API"]["CheckCredentials"]["request_url"] = f"{origin}/me"


def the_client_in_a_parameter(made: dict[str, Any], origin: str) -> None:
    made["auth"] |= {"token_endpoint": f"{origin}/token", "client_secret": None}
    made["auth"]["token_parameters"] = {"k": "$API key$"}


@pytest.mark.parametrize(
    "change", [a_token_endpoint, an_api, an_api_that_needs_no_key, the_client_in_a_parameter]
)
def test_tokens_and_what_obtains_them_wait_too(world: World, change: Callable[..., None]) -> None:
    connect(world)
    world.revise(lambda made: change(made, world.evil.origin))
    AccessToken.objects.update(renew_at=timezone.now())
    world.evil.seen.clear()
    world.everything()
    assert not any(map(world.evil.has, (KEY, "granted-token-3", "refresh-token-4")))
    assert AccessToken.objects.get().secrets["access_token"] == "granted-token-3"
    world.confirm()
    oauth.renew_due()
    world.everything()
    assert world.evil.seen and "will now send" not in world.page()


def test_nobody_is_sent_to_a_consent_page_that_was_not_confirmed(world: World) -> None:
    connect(world, "authorization_code")
    start = f"/oauth/connect/{world.acme.pk}/{world.template.pk}/"
    assert world.client.get(start)["Location"].startswith(world.good.origin)
    world.revise(lambda made: made["auth"].update(authorization_endpoint=f"{world.evil.origin}/authorize"))
    assert world.client.get(start)["Location"] == world.url
    assert f"will now send your access token to {world.evil.origin}" in world.page()
    world.confirm()
    assert world.client.get(start)["Location"].startswith(world.evil.origin)


def test_a_code_is_not_exchanged_where_nobody_has_confirmed_it(world: World) -> None:
    connect(world, "authorization_code")
    answer = world.client.get(f"/oauth/connect/{world.acme.pk}/{world.template.pk}/")
    state = re.search(r"state=([^&]*)", answer["Location"])[1]  # type: ignore[index]
    world.revise(lambda made: a_token_endpoint(made, world.evil.origin))
    world.client.get("/oauth/callback", {"state": state, "code": "the-code"})
    assert world.evil.seen == []


def log_in_with(world: World, label: str) -> dict[str, Any]:
    """The document with a method Login that sends this secret."""
    made = world.document()
    if len(made["properties"]) == 2:
        made["properties"].append({"name": "Own key", "required": False})
    made["auth"]["token"] = "$access_token$"
    made["API"]["Login"] = {
        "request_url": f"{world.good.origin}/login",
        "request_parameters": {"key": f"${label}$"},
        "response_map": {"access_token": "$access_token$"},
    }
    return made


def another_login(world: World) -> None:
    world.template.revise(json.dumps(log_in_with(world, "Own key")))


def another_login_for_some(world: World) -> None:
    world.template.save_draft(json.dumps(log_in_with(world, "Own key")))
    page = f"/admin/integrations/template/{world.template.pk}/studio/publish/"
    form = {"revision": world.template.draft.number, "for": "some", "organization": world.acme.pk}  # type: ignore[union-attr]
    assert signed_in(world.reseller).post(page, form).status_code == 302


def a_key_that_is_no_secret_now(world: World) -> None:
    made = log_in_with(world, "API key")
    made["properties"][0] = {"name": "API key", "secret": False, "required": False}
    world.template.revise(json.dumps(made))


def withdrawn_while_it_is_off(world: World) -> None:
    setup.switch(world.integration, on=False)
    assert world.template.published is not None
    setup.save_for_account(world.acme.account, world.template, setup.Entered({}, {}), world.reseller)
    setup.switch(world.integration, on=True)


@pytest.mark.parametrize(
    "change", [another_login, another_login_for_some, a_key_that_is_no_secret_now, withdrawn_while_it_is_off]
)
def test_a_token_of_the_account_does_not_become_the_organizations(
    world: World, change: Callable[[World], None]
) -> None:
    world.template.revise(json.dumps(log_in_with(world, "API key")))
    inherit(world)
    world.everything()
    assert world.good.has("granted-token-3")
    change(world)
    world.post({"property-0": "", "property-1": f"{world.evil.origin}/api"})
    world.confirm()
    world.post({"property-0": OTHER, "property-1": f"{world.evil.origin}/api", "property-2": OTHER})
    world.confirm()
    submit(world.alice, Number.objects.get(), "+61412345678", text="Hello")
    dispatch.drain()
    assert not world.evil.has("granted-token-3")
    assert not AccessToken.objects.exclude(granted_at=None).exists()


def another_name(world: World) -> None:
    world.template.revise(json.dumps({**log_in_with(world, "API key"), "name": "Acme Text"}))


@pytest.mark.parametrize("change", [another_name, a_key_that_is_no_secret_now])
def test_a_token_of_the_account_is_kept_as_long_as_no_other_secret_obtains_it(
    world: World, change: Callable[[World], None]
) -> None:
    world.template.revise(json.dumps(log_in_with(world, "API key")))
    inherit(world)
    world.everything()
    change(world)
    assert AccessToken.objects.get().secrets["access_token"] == "granted-token-3"


def test_whoever_tries_a_revision_that_is_the_first_to_need_a_token_gets_one(world: World) -> None:
    inherit(world)
    world.template.save_draft(json.dumps(log_in_with(world, "API key")))
    page = f"/admin/integrations/template/{world.template.pk}/studio/publish/"
    form = {"revision": world.template.draft.number, "for": "some", "organization": world.acme.pk}  # type: ignore[union-attr]
    assert signed_in(world.reseller).post(page, form).status_code == 302
    world.confirm(signed_in(world.reseller))
    oauth.renew_due()
    assert AccessToken.objects.get().secrets["access_token"] == "granted-token-3"


# Files.


def test_a_file_waits_until_its_host_is_confirmed(world: World) -> None:
    set_up(world)
    media_of_a_foreign_host(world)
    world.everything()
    file = Attachment.objects.get()
    assert (file.state, file.attempts, world.evil.seen) == (AttachmentState.WAITING, 0, [])
    assert Message.objects.get(text="Hello").get_status_display() == "sent"
    world.confirm()
    fetch_media.drain()
    assert world.evil.has(KEY)


def test_a_redirect_of_a_file_takes_no_credentials_along(world: World) -> None:
    world.revise(lambda made: made["Webhook"].update(media_auth=["127.0.0.1"]))
    set_up(world)
    world.good.redirect = f"{world.evil.origin}/files/a.png"
    number = Number.objects.get()
    webhook = {"from": "+61412345678", "to": number.number, "url": f"{world.good.origin}/files/a.png"}
    url = f"/services/{world.template.service_id}/a{world.acme.orgid}"
    Client().post(url, webhook, content_type="application/json")
    file_events.drain()
    fetch_media.drain()
    assert world.good.has(KEY) and world.evil.seen and not world.evil.has(KEY)


def test_no_value_of_ones_own_hides_where_a_secret_of_the_account_goes(
    acme: Organization, admin_of_acme: User, reseller: User
) -> None:
    """An admin enters the very address as a secret, so that it would be masked wherever it stands."""
    template = Template(account=acme.account)
    template.revise(
        json.dumps(
            {
                "id": "masked",
                "name": "Masked",
                "properties": [{"name": "URL", "type": "url", "secret": False}, "Password", "Webhook token"],
                "API": {"SendMessage": {"request_url": "$URL$", "request_headers": {"P": "$Password$"}}},
                "Webhook": {
                    "verify": {"type": "header", "name": "T", "value": "$Webhook token$"},
                    "events": [{"event_type": "ignore"}],
                },
            }
        )
    )
    integration = Integration.objects.create(organization=acme, template=template)
    row = PropertyValues.objects.create(account=acme.account, template=template)
    properties.replace(row, template.published.compiled, {"Password": KEY})  # type: ignore[union-attr]
    row.save()
    asked = []
    for host in ("127.0.0.1:9999", "127.0.0.1:9998"):
        holds.enter(integration, {"URL": f"http://{host}/send", "Webhook token": host}, admin_of_acme)
        (ask,) = [item for item in holds.asks_of(integration) if item.label == "Password"]
        asked.append((ask.origin, ask.inherited))
        assert host in ask.sentence("Masked")
        assert holds.confirm(integration, {ask.answer}, admin_of_acme, for_account=False) == 0
        assert holds.confirm(integration, {ask.answer}, reseller, for_account=True) == 1
    assert asked == [("http://127.0.0.1:9999", True), ("http://127.0.0.1:9998", True)]
