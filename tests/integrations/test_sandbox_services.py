"""The sandbox as each service of the catalogue: it answers and calls as the service's cases show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integrations import catalog, http, responses, senders, webhooks
from integrations.events import HttpRequest, HttpResponse, InboundMessage
from integrations.language.document import compile_document
from integrations.received import Accepted
from integrations.requests import build, plan
from integrations.sandbox import ACCESS_TOKEN, Sandbox
from integrations.sandbox.catalog_entry import CatalogEntry, HostedEntry, read_entry, services
from integrations.sandbox.provider import Provider

FOLDERS = [pytest.param(folder, id=name) for name, folder in services().items()]
ORIGIN = "http://127.0.0.1:9"
MESSAGE = {
    "from": "+12025550001",
    "to": "+12025550002",
    "text": "Hello there!",
    "message_uuid": "6f1c2d3e-0000-4000-8000-000000000001",
    "webhook_url": "https://sms.example.com/services/x/a1",
    "access_token": ACCESS_TOKEN,
}


@pytest.fixture
def service(folder: Path) -> Provider:
    return Provider(read_entry(folder), ORIGIN)


def access_token(service: Provider) -> str:
    """The token that the service's login gives; without a login, the one that all examples have."""
    template, values = service.hosted.template, service.hosted.values
    if "Login" not in template.methods:
        return ACCESS_TOKEN
    answer, _ = service.respond(build(template, "Login", values, {}), "ok")
    return str(responses.read(template, "Login", values, {}, answer).bound["access_token"])


def sent(service: Provider, values: Mapping[str, Any] | None = None) -> tuple[HttpRequest, Mapping[str, Any]]:
    """The request of a text, and the variables that it was made of."""
    template, message = service.hosted.template, {**MESSAGE, "access_token": access_token(service)}
    part = plan(template, service.hosted.values if values is None else values, message)[0]
    return part.request, part.variables


def outcome(service: Provider, answer: HttpResponse, variables: Mapping[str, Any]) -> str:
    template, values = service.hosted.template, service.hosted.values
    return responses.read(template, "SendMessage", values, variables, answer).result


@pytest.mark.parametrize(
    ("mode", "status", "expected"),
    [("429", 429, "throttled"), ("500", 500, "retry"), ("refuse", None, "failed")],
)
@pytest.mark.parametrize("folder", FOLDERS)
def test_refusals_on_demand_mean_what_they_say(
    service: Provider, mode: str, status: int | None, expected: str
) -> None:
    request, variables = sent(service)
    answer, taken = service.respond(request, mode)
    assert (taken, outcome(service, answer, variables)) == (None, expected)
    assert status is None or answer.status == status


def test_a_refusal_is_spelled_as_the_service_does() -> None:
    service = Provider(read_entry(catalog.FOLDER / "twilio"), ORIGIN)
    answer, _ = service.respond(sent(service)[0], "429")
    assert answer.body.startswith(b'{"code":20429,"message":"Too Many Requests"')


@pytest.mark.parametrize("folder", FOLDERS)
def test_wrong_secrets_are_refused(service: Provider) -> None:
    secret = {item.label for item in service.hosted.template.properties if item.secret}
    # Another key where requests are signed: no request can be signed with "wrong".
    others = HostedEntry(service.hosted.entry, ORIGIN).values
    wrong = {
        label: (others[label] if str(value).startswith("-----BEGIN") else "wrong")
        if label in secret
        else value
        for label, value in service.hosted.values.items()
    }
    request = build(
        service.hosted.template, "SendMessage", wrong, {**sent(service)[1], "access_token": "wrong"}
    )
    assert request != sent(service)[0]
    answer, taken = service.respond(request, "ok")
    assert (taken, outcome(service, answer, MESSAGE)) == (None, "unauthorized")


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_message_gets_another_id_and_another_place_is_not_found(service: Provider) -> None:
    request, variables = sent(service)
    found = [service.respond(request, "ok") for _ in range(2)]
    assert [outcome(service, answer, variables) for answer, _ in found] == ["sent", "sent"]
    ids = {taken.messageid for _, taken in found if taken is not None}
    assert len(ids) == 2
    elsewhere = replace(request, url=f"{ORIGIN}/api/elsewhere")
    assert service.respond(elsewhere, "ok")[0].status == 404
    assert service.respond(replace(request, method="PATCH"), "ok")[0].status == 405


@pytest.mark.parametrize("folder", FOLDERS)
def test_credentials_can_be_checked(service: Provider) -> None:
    template = service.hosted.template
    if "CheckCredentials" not in template.methods:
        assert service.reader.url("CheckCredentials") == ""
        return
    known = {"access_token": access_token(service)}
    request = build(template, "CheckCredentials", service.hosted.values, known)
    answer, taken = service.respond(request, "ok")
    read = responses.read(template, "CheckCredentials", service.hosted.values, known, answer)
    assert (taken, read.result) == (None, "sent")


@pytest.mark.parametrize("folder", FOLDERS)
def test_webhooks_are_of_the_service_and_of_nobody_else(service: Provider) -> None:
    url = "https://sms.example.com/services/x/a1"
    request = service.writer.message(url, "+12025550002", "+12025550001", "Hi")
    assert request is not None
    template, values = service.hosted.template, service.hosted.values
    found = webhooks.read(template, request, values)
    assert (found.verdict, len(found.events)) == ("accepted", 1)
    if template.webhook.verify is not None:
        # Every value that is shared with the service is another one, and so is the key of its signatures.
        others = HostedEntry(service.hosted.entry, ORIGIN).values
        strange = {
            label: f"{value}x" if others[label] == value else others[label] for label, value in values.items()
        }
        assert webhooks.read(template, request, strange).verdict == "unverified"


@pytest.mark.parametrize("folder", FOLDERS)
def test_groups_are_told_as_the_service_tells_them_or_not_at_all(service: Provider) -> None:
    writes, ours = "+12025550109", ["+12025550101", "+12025550102"]
    others = ["+12025550103", "+12025550104", "+12025550105"]
    requests = service.writer.group(
        "https://sms.example.com/services/x/a1", writes, ours, others, "Hi all", ""
    )
    counts = {"bandwidth": 2, "bulkvs": 1, "telnyx": 1}
    assert len(requests) == counts.get(service.hosted.entry.template.id, 0)
    template, values = service.hosted.template, service.hosted.values
    for place, request in enumerate(requests):
        found = webhooks.read(template, request, values)
        assert isinstance(found, Accepted) and found.verdict == "accepted"
        (event,) = found.events
        assert isinstance(event, InboundMessage)
        told = [senders.sender(each, "US") for each in (event.sender, *event.recipients, *event.members)]
        assert (told[0], told[1], event.text) == (writes, ours[place], "Hi all")
        assert sorted(told) == sorted([writes, *ours, *others])


@pytest.fixture
def twilio(settings: Any) -> Iterator[Sandbox]:
    sandbox = Sandbox(catalog.FOLDER / "twilio")
    sandbox.start()
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin]
    yield sandbox
    sandbox.stop()


def test_a_guarded_file_is_only_for_those_with_the_credentials(twilio: Sandbox) -> None:
    url = twilio.provider.file_url(twilio.store.keep(b"picture", "image/png"))
    assert url.startswith(f"{twilio.origin}/api/2010-04-01/Accounts/")
    refused = http.fetch(url, max_bytes=1000)
    assert isinstance(refused, HttpResponse)
    assert (refused.status, b"picture" in refused.body) == (401, False)
    answer = http.fetch(url, max_bytes=1000, headers=twilio.provider.reader.credentials)
    assert isinstance(answer, HttpResponse)
    assert (answer.status, answer.body) == (200, b"picture")
    assert twilio.received == []


def entry(document: dict[str, Any], *cases: dict[str, Any]) -> CatalogEntry:
    template = compile_document({"id": "acme", "name": "Acme", **document})
    return CatalogEntry(template.document, template, cases, b"")


def test_a_lab_has_no_host_but_the_sandbox() -> None:
    hosted = HostedEntry(
        entry(
            {
                "properties": [{"name": "Region", "secret": False}, {"name": "Base", "type": "url"}, "Key"],
                "documentation_url": "https://docs.acme.example/",
                "API": {
                    "SendMessage": {
                        "request_url": "https://$Region$.acme.example/v1/$to$",
                        "request_parameters": {"text": "$content$", "see": "at https://acme.example"},
                    },
                    "SendFile": {"request_url": "$Base$/files", "request_parameters": {"url": "$url$"}},
                },
                "Webhook": {
                    "verify": {"type": "ip", "ranges": ["203.0.113.0/24"]},
                    "media_auth": ["media.acme.example"],
                    "media_path": "/v1/",
                    "events": {"event_type": "optOut", "request_parameters": {"from": "$from$"}},
                },
            },
            {
                "kind": "send",
                "properties": {"Region": "eu", "Base": "https://eu.acme.example/v2", "Key": "k"},
            },
        ),
        ORIGIN,
    )
    assert (hosted.template.id, hosted.template.name) == ("acme-sandbox", "Acme (sandbox)")
    assert hosted.values == {"Region": "eu", "Base": f"{ORIGIN}/api/v2", "Key": "k"}
    assert hosted.document["API"]["SendMessage"]["request_url"] == f"{ORIGIN}/api/v1/$to$"
    assert hosted.document["API"]["SendMessage"]["request_parameters"]["see"] == "at https://acme.example"
    assert hosted.document["documentation_url"] == "https://docs.acme.example/"
    hook = hosted.document["Webhook"]
    assert (hook["media_auth"], hook["media_path"]) == (["127.0.0.1"], "/api/v1/")
    assert hook["verify"]["ranges"] == ["127.0.0.0/8", "::1/128"]


def test_a_document_without_hosts_stays_as_it_is() -> None:
    found = read_entry(catalog.FOLDER / "generic")
    assert HostedEntry(found, ORIGIN).document == found.document


@pytest.mark.parametrize("words", ["Look", '{"to": 1}', '"quoted"', "7"])
def test_files_that_are_sent_themselves_are_seen(words: str) -> None:
    url = f"{ORIGIN}/api/files"
    document = {
        "API": {
            "SendMessage": {"request_url": "https://acme.example/texts"},
            "SendFile": {
                "request_url": "https://acme.example/files",
                "request_content_type": "multipart",
                "request_parameters": {
                    "about": {"to": [{"number": "$to$"}]},
                    "text": "$text$",
                    "file": {"$each": "$media$", "$as": "item", "$value": "$item$"},
                },
            },
        },
    }
    service = Provider(entry(document), ORIGIN)
    media = [{"content": b"one", "content_type": "image/png", "filename": "a.png"}, {"content": b"two"}]
    request = plan(service.hosted.template, {}, {**MESSAGE, "text": words, "media": media})[0].request
    assert request.url == url
    _, taken = service.respond(request, "ok")
    assert taken is not None
    assert (taken.sent.to, taken.sent.text, taken.sent.files) == ("+12025550002", words, (b"one", b"two"))


def test_several_links_are_all_seen() -> None:
    service = Provider(read_entry(catalog.FOLDER / "twilio"), ORIGIN)
    media = [{"url": "https://a.example/1.png"}, {"url": "https://a.example/2.png"}]
    request = plan(service.hosted.template, service.hosted.values, {**MESSAGE, "media": media})[0].request
    _, taken = service.respond(request, "ok")
    assert taken is not None
    assert (taken.sent.method, taken.sent.urls) == (
        "SendFile",
        ("https://a.example/1.png", "https://a.example/2.png"),
    )


OAUTH = {
    "auth": {
        "type": "OAuth2",
        "client_id": "us",
        "authorization_endpoint": "https://acme.example/consent",
        "token_endpoint": "https://acme.example/token",
    },
    "API": {"SendMessage": {"request_url": "https://acme.example/texts", "request_parameters": {"to": "$to$", "text": "$content$"}}},
}  # fmt: skip


def test_oauth_lets_everybody_in(settings: Any) -> None:
    sandbox = Sandbox()
    sandbox.entry = entry(OAUTH)
    sandbox.start()
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin]
    try:
        back = "https%3A%2F%2Fportal.example%2Fback&state=s1"
        page = http.fetch(
            f"{sandbox.origin}/api/consent?redirect_uri={back}", max_bytes=1000, max_redirects=0
        )
        assert isinstance(page, HttpResponse)
        assert page.status == 302
        assert page.headers["location"] == "https://portal.example/back?code=sandbox-code&state=s1"
        token = http.fetch(f"{sandbox.origin}/api/token", method="POST", body=b"", max_bytes=1000)
        assert isinstance(token, HttpResponse)
        assert (token.status, ACCESS_TOKEN.encode() in token.body) == (200, True)
        assert sandbox.received == []
        for given, taken in ((ACCESS_TOKEN, True), ("another", False)):
            request = build(
                sandbox.provider.hosted.template,
                "SendMessage",
                {},
                {**MESSAGE, "content": "x", "access_token": given},
            )
            assert (sandbox.provider.respond(request, "ok")[1] is not None) == taken
    finally:
        sandbox.stop()
