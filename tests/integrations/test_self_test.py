"""The self test: the provider is asked, and our own public webhook URL is called, over real HTTP both ways."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations import credentials, holds, http, probes, self_test
from integrations.events import Fault
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging.models import WebhookRequest
from portal.models import Organization, User
from tests.local_server import LocalServer

Answer = tuple[int, dict[str, str], bytes]


class Other(LocalServer):
    """Whatever answers in our place; it notes what it is asked."""

    def __init__(self) -> None:
        self.answer: Callable[[Mapping[str, str]], Answer] = lambda headers: (200, {}, b"{}")
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        super().__init__()

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked.append((method, path, dict(headers), body))
        return self.answer(headers)


@pytest.fixture
def other(settings: Any) -> Iterator[Other]:
    server = Other()
    settings.PUBLIC_URL = server.origin
    settings.PATCHBAY_ALLOWED_ORIGINS = []
    yield server
    server.stop()


@pytest.fixture
def integration(acme: Organization, generic: Template) -> Integration:
    """The generic service, set up, at a provider that cannot be asked anything."""
    made = Integration.objects.create(organization=acme, template=generic)
    holds.enter(made, {"API URL": "https://api.example.com/", "API key": "planted-secret-1"})
    return made


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url_of(integration: Integration) -> str:
    args = [integration.organization_id, integration.template_id]
    return reverse("admin:integrations_self_test", args=args)


@pytest.mark.django_db(transaction=True)
def test_a_probe_comes_back_through_the_public_url(
    live_server: Any, acme: Organization, generic: Template, admin_of_acme: User, settings: Any
) -> None:
    settings.PUBLIC_URL, settings.PATCHBAY_ALLOWED_ORIGINS = live_server.url, []
    made = Integration.objects.create(organization=acme, template=generic)
    holds.enter(made, {"API URL": "https://api.example.com/", "API key": "planted-secret-1"})
    client = signed_in(admin_of_acme)
    answer = client.post(url_of(made), follow=True)
    passed = f"{generic} passes the self test. The credentials were not checked: the first text shows"
    assert passed in answer.content.decode()
    made.refresh_from_db()
    assert (made.tested_at is not None, made.tested_problem) == (True, "")
    assert not WebhookRequest.objects.exists()
    setup = reverse("admin:integrations_setup", args=[acme.pk, generic.pk])
    assert "Last passed on" in client.get(setup).content.decode()
    health = client.get(reverse("admin:messaging_servicehealth_changelist")).content.decode()
    assert ("Self test passed" in health, "The self test fails" in health) == (True, False)
    # Without the exemption, which the self test alone has, our own address is no address on the internet.
    assert isinstance(http.fetch(f"{live_server.url}/healthz", max_bytes=100), Fault)
    trusted = (live_server.url,)
    assert isinstance(http.fetch("http://127.0.0.1:9/", max_bytes=100, trusted=trusted), Fault)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, {}, b"<h1>Welcome to nginx!</h1>"), "Another application answers at {url}, with 200 OK."),
        ((404, {}, b"Not Found"), "Another application answers at {url}, with 404 Not Found."),
        (
            (502, {}, b"Bad Gateway"),
            "The proxy at {url} answers 502 Bad Gateway: it does not reach Patchbay.",
        ),
        (
            (301, {"Location": "https://www.example.com/services/?x=secret"}, b""),
            "{url} redirects to https://www.example.com, and providers do not follow redirects.",
        ),
        ((302, {"Location": "/login"}, b""), "{url} redirects webhook requests instead of taking them."),
        (
            (401, {"WWW-Authenticate": "Basic"}, b""),
            "Something in front of Patchbay at {url} refuses the request with 401 Unauthorized.",
        ),
        ((599, {}, b""), "Another application answers at {url}, with 599."),
        ((200, {"X-Patchbay-Probe": "guessed"}, b""), "Another application answers at {url}, with 200 OK."),
    ],
)
def test_what_answers_in_our_place_is_told(
    other: Other, integration: Integration, answer: Answer, says: str
) -> None:
    other.answer = lambda headers: answer
    [problem] = self_test.run(integration)
    assert problem.startswith(says.format(url=other.origin))
    assert "secret" not in problem
    integration.refresh_from_db()
    assert (integration.tested_at, integration.tested_problem) == (None, problem)
    [(method, path, _headers, _body)] = other.asked
    assert (method, path) == ("POST", f"/services/generic/a{integration.organization.orgid}")


def test_who_repeats_our_request_is_not_taken_for_us(other: Other, integration: Integration) -> None:
    other.answer = lambda headers: (200, {probes.HEADER: headers[probes.HEADER]}, b"")
    assert self_test.run(integration)[0].startswith("Another application answers")


def test_a_url_where_nothing_listens(integration: Integration, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings.PUBLIC_URL = f"http://127.0.0.1:{free.getsockname()[1]}"
    [problem] = self_test.run(integration)
    assert problem.startswith(
        f"Providers may not reach {settings.PUBLIC_URL}: Could not connect to 127.0.0.1:"
    )


def test_a_name_that_is_not_found(
    integration: Integration, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    settings.PUBLIC_URL = "https://sms.acme.example"
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    [problem] = self_test.run(integration)
    assert problem == (
        "Providers may not reach https://sms.acme.example: The host name of sms.acme.example:443 was not found. "
        "Check the spelling, or try again later."
    )


def test_a_certificate_that_is_not_accepted(other: Other, integration: Integration, settings: Any) -> None:
    settings.PUBLIC_URL = other.origin.replace("http:", "https:")
    [problem] = self_test.run(integration)
    assert problem.startswith(
        f"Providers cannot reach {settings.PUBLIC_URL}: its certificate is not accepted."
    )


def test_a_later_failure_keeps_when_it_last_passed(
    other: Other, integration: Integration, admin_of_acme: User
) -> None:
    def ours(headers: Mapping[str, str]) -> Answer:
        owner = integration.organization.orgid
        given = {probes.HEADER.lower(): headers[probes.HEADER]}
        return 200, probes.proof("generic", owner, given) or {}, b""

    other.answer = ours
    assert self_test.run(integration) == []
    passed = integration.tested_at
    other.answer = lambda headers: (503, {}, b"")
    assert len(self_test.run(integration)) == 1
    integration.refresh_from_db()
    assert (integration.tested_at, passed is not None) == (passed, True)
    health = signed_in(admin_of_acme).get(reverse("admin:messaging_servicehealth_changelist"))
    assert "The self test fails:" in health.content.decode()


def test_the_provider_is_asked_where_the_template_can(
    other: Other, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "can_check", lambda item: True)
    result = credentials.CheckResult(False, "The provider rejects these credentials. No such key.")
    monkeypatch.setattr(credentials, "check", lambda item, known: result)
    problems = self_test.run(integration)
    assert problems[0] == "The provider rejects these credentials. No such key."
    assert (len(problems), len(other.asked)) == (2, 1)


def test_nothing_is_asked_of_a_provider_before_questions_are_answered(
    acme: Organization, other: Other, sandbox: Sandbox
) -> None:
    check = {"request_method": "GET", "request_url": f"{sandbox.origin}/api/check"}
    document = {
        "id": "checked",
        "name": "Checked",
        "properties": ["API key"],
        "auth": {"type": "Bearer", "token": "$API key$"},
        "API": {"SendMessage": {"request_url": sandbox.api_url}, "CheckCredentials": check},
    }
    template = Template(account=acme.account)
    template.revise(json.dumps(document))
    made = Integration.objects.create(organization=acme, template=template)
    assert self_test.run(made) == ["Checked needs API key. Enter it."]
    assert (sandbox.received, other.asked) == ([], [])


@pytest.mark.parametrize(
    ("service_id", "owner", "token"),
    [
        ("generic", "1" * 20, "forged"),
        ("other", "1" * 20, ""),
        ("generic", "2" * 20, ""),
    ],
)
def test_a_token_is_good_for_one_webhook_url(service_id: str, owner: str, token: str) -> None:
    given = token or probes.token(service_id, owner)
    headers = {probes.HEADER.lower(): given}
    assert probes.proof("generic", "1" * 20, headers) is None
    assert probes.proof("generic", "1" * 20, {}) is None


def test_a_probe_of_nobody_is_a_request_like_any_other(integration: Integration) -> None:
    url = f"/services/generic/a{integration.organization.orgid}"
    answer = Client().post(url, "{}", content_type="application/json", headers={probes.HEADER: "forged"})
    assert probes.HEADER not in answer.headers
    assert WebhookRequest.objects.count() == 1


@pytest.mark.parametrize("who", ["alice", "charlie", "admin_of_globex"])
def test_strangers_test_nothing(
    other: Other, integration: Integration, request: pytest.FixtureRequest, who: str
) -> None:
    user = request.getfixturevalue(who)
    assert signed_in(user).post(url_of(integration)).status_code in (403, 404)
    integration.refresh_from_db()
    assert (other.asked, integration.tested_problem) == ([], "")


@pytest.mark.parametrize("who", ["admin_of_acme", "reseller", "operator"])
def test_it_is_run_from_the_page_health_and_not_all_the_time(
    other: Other, integration: Integration, request: pytest.FixtureRequest, who: str
) -> None:
    client = signed_in(request.getfixturevalue(who))
    answers = [client.post(url_of(integration), {"back": "health"}) for _ in range(7)]
    assert {answer["Location"] for answer in answers} == {"/admin/messaging/servicehealth/"}
    assert len(other.asked) == 6
    assert client.get(url_of(integration)).status_code == 405
