"""Consent: to the service's page and back, with a service that really checks what it is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from integrations import oauth, oauth_views
from integrations.models import AccessToken, Integration
from messaging.engine.sweep import due_tasks
from messaging.wakeups import Task
from portal.models import Organization, User
from tests.oauth_server import CLIENT, OAuthServer, access_token, expire, make

SETUP = "/admin/integrations/integration/organization/{}/{}/"


@pytest.fixture
def unconnected(oauth_server: OAuthServer, acme: Organization) -> Integration:
    return make(oauth_server, acme, "authorization_code")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def begin(client: Client, integration: Integration) -> str:
    """The URL of the service that the administrator is sent to."""
    answer = client.get(f"/oauth/connect/{integration.organization_id}/{integration.template_id}/")
    assert answer.status_code == 302
    return str(answer["Location"])


def back(client: Client, url: str) -> Any:
    parts = urlsplit(url)
    return client.get(f"{parts.path}?{parts.query}")


def test_consent_round_trip(oauth_server: OAuthServer, unconnected: Integration, admin_of_acme: User) -> None:
    client = signed_in(admin_of_acme)
    page_url = SETUP.format(unconnected.organization_id, unconnected.template_id)
    page = client.get(page_url).content.decode()
    assert "Not connected yet" in page and 'value="http://localhost:8000/oauth/callback"' in page
    url = begin(client, unconnected)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(oauth_server.origin + "/authorize?brand=1&")
    assert {name: query[name] for name in ("response_type", "client_id", "redirect_uri")} == {
        "response_type": "code", "client_id": CLIENT[0], "redirect_uri": "http://localhost:8000/oauth/callback",
    }  # fmt: skip
    answer = back(client, oauth_server.consent(url))
    assert (answer.status_code, answer["Location"]) == (302, page_url)
    asked = oauth_server.tokens[0]
    assert (asked["grant_type"], asked["redirect_uri"]) == ("authorization_code", query["redirect_uri"])
    assert (asked["client_id"], asked["client_secret"]) == CLIENT
    assert access_token(unconnected) in oauth_server.good
    page = client.get(page_url).content.decode()
    assert "is connected" in page and "Connected since" in page and "renewed automatically" in page
    for secret in (CLIENT[1], *oauth_server.good, *oauth_server.refresh):
        assert secret not in page


def test_a_verifier_that_does_not_fit_gives_nothing(
    oauth_server: OAuthServer, unconnected: Integration, admin_of_acme: User
) -> None:
    client = signed_in(admin_of_acme)
    answer = oauth_server.consent(begin(client, unconnected))
    for item in oauth_server.codes.values():
        item["code_challenge"] = "another"
    page = client.get(back(client, answer)["Location"]).content.decode()
    assert (
        "The integration is not connected. The provider returned no access token (status 400). invalid_grant: It has ended."
        in page
    )
    assert access_token(unconnected) is None


@pytest.mark.parametrize("state", ["", "wrong"])
def test_a_wrong_or_absent_state_is_refused(
    oauth_server: OAuthServer, unconnected: Integration, admin_of_acme: User, state: str
) -> None:
    client = signed_in(admin_of_acme)
    begin(client, unconnected)
    answer = client.get("/oauth/callback", {"code": "x", **({"state": state} if state else {})})
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.content.decode()
    assert (oauth_server.tokens, access_token(unconnected)) == ([], None)


def test_a_state_is_good_once_in_its_session_and_for_half_an_hour(
    oauth_server: OAuthServer,
    unconnected: Integration,
    admin_of_acme: User,
    reseller: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = signed_in(admin_of_acme)
    answer = oauth_server.consent(begin(client, unconnected))
    assert back(signed_in(reseller), answer).status_code == 400
    assert back(Client(), answer).status_code == 400
    assert back(client, answer).status_code == 302
    assert back(client, answer).status_code == 400
    assert len(oauth_server.tokens) == 1
    late = oauth_server.consent(begin(client, unconnected))
    monkeypatch.setattr(oauth_views, "MINUTES", -1)
    assert back(client, late).status_code == 400
    assert len(oauth_server.tokens) == 1


def test_a_state_does_not_pass_to_the_next_person_at_the_browser(
    oauth_server: OAuthServer, unconnected: Integration, admin_of_acme: User, reseller: User
) -> None:
    client = signed_in(admin_of_acme)
    answer = oauth_server.consent(begin(client, unconnected))
    session = client.session
    kept = session["oauth"]
    client.force_login(reseller)
    session = client.session
    session["oauth"] = kept
    session.save()
    assert back(client, answer).status_code == 400
    assert oauth_server.tokens == []


def test_strangers_find_nothing(
    oauth_server: OAuthServer,
    unconnected: Integration,
    admin_of_globex: User,
    alice: User,
    admin_of_acme: User,
) -> None:
    url = f"/oauth/connect/{unconnected.organization_id}/{unconnected.template_id}/"
    assert signed_in(admin_of_globex).get(url).status_code == 404
    assert signed_in(alice).get(url).status_code == 404
    for none in (f"/oauth/connect/{2**70}/1/", f"/oauth/connect/{unconnected.organization_id}/{2**70}/"):
        assert signed_in(admin_of_acme).get(none).status_code == 404
    assert Client().get(url)["Location"].startswith("/account/login/")
    client = signed_in(admin_of_acme)
    answer = oauth_server.consent(begin(client, unconnected))
    admin_of_acme.memberships.all().delete()
    assert back(client, answer).status_code == 404
    assert oauth_server.tokens == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"error": "access_denied"}, "Consent was denied at the provider."),
        (
            {"error": "odd", "error_description": "Out of <b>order</b>"},
            "The provider reports: Out of &lt;b&gt;order",
        ),
        ({}, "The provider sent no authorization code."),
    ],
)
def test_errors_of_the_consent_page_are_told(
    oauth_server: OAuthServer,
    unconnected: Integration,
    admin_of_acme: User,
    query: dict[str, str],
    words: str,
) -> None:
    client = signed_in(admin_of_acme)
    state = parse_qs(urlsplit(begin(client, unconnected)).query)["state"][0]
    answer = client.get("/oauth/callback", {**query, "state": state})
    assert words in client.get(answer["Location"]).content.decode()
    assert oauth_server.tokens == []


def test_a_consent_that_has_ended_is_shown_red(
    oauth_server: OAuthServer, unconnected: Integration, admin_of_acme: User
) -> None:
    client = signed_in(admin_of_acme)
    back(client, oauth_server.consent(begin(client, unconnected)))
    oauth_server.end_sessions()
    AccessToken.objects.update(renew_at=timezone.now())
    oauth.renew_due()
    assert access_token(unconnected) is None and Task.RENEW_TOKENS not in due_tasks()[0]
    page = client.get(SETUP.format(unconnected.organization_id, unconnected.template_id)).content.decode()
    assert (
        "Not working: The provider returned no access token (status 400). invalid_grant: It has ended."
        in page
    )
    assert "Must be connected again" in page
    back(client, oauth_server.consent(begin(client, unconnected)))
    unconnected.refresh_from_db()
    assert (unconnected.trouble, access_token(unconnected) in oauth_server.good) == ("", True)


def test_without_a_refresh_token_the_end_is_shown_when_it_comes(
    oauth_server: OAuthServer, unconnected: Integration, admin_of_acme: User
) -> None:
    oauth_server.gives_refresh = False
    client = signed_in(admin_of_acme)
    back(client, oauth_server.consent(begin(client, unconnected)))
    url = SETUP.format(unconnected.organization_id, unconnected.template_id)
    assert "cannot be renewed automatically" in client.get(url).content.decode()
    row = AccessToken.objects.get(integration=unconnected)
    assert row.renew_at == row.expires_at
    expire(unconnected)
    oauth.renew_due()
    assert "Not working: The access token has expired." in client.get(url).content.decode()
    assert len(oauth_server.tokens) == 1
