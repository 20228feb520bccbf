"""Check credentials: by what is typed or stored, told in plain words, and nothing is stored."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from integrations import oauth, properties
from integrations.models import AccessToken, Integration, PropertyValues, Template
from portal.models import Organization, User
from tests.oauth_server import CLIENT, OAuthServer, document, make
from tests.pages import post

SETUP = "/admin/integrations/integration/organization/{}/{}/"


@pytest.fixture
def keyed(oauth_server: OAuthServer, acme: Organization) -> Template:
    """The service with an API key, which is good if it is one of the server's access tokens."""
    made = document(oauth_server.origin, "client_credentials")
    made["properties"], made["auth"] = ["API key"], {"type": "Bearer", "token": "$API key$"}
    oauth_server.good.add("right-key-1")
    template = Template(account=acme.account)
    template.revise(json.dumps(made))
    return template


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def verdict(page: Any) -> str:
    found = re.search(r'class="pb-verdict [^>]*>(.*?)</p>', page.content.decode(), re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def test_what_is_typed_is_checked_and_not_stored(
    oauth_server: OAuthServer, keyed: Template, acme: Organization, admin_of_acme: User
) -> None:
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, keyed.pk)
    page = post(client, url, {"do": "check", "property-0": "right-key-1"})
    assert (page.status_code, verdict(page)) == (200, "The provider accepts these credentials.")
    page = post(client, url, {"do": "check", "property-0": "wrong-key-1"})
    assert verdict(page) == "The service knows no such client."
    assert "wrong-key-1" not in page.content.decode()
    assert [call[:2] for call in oauth_server.calls] == [("/me", "right-key-1"), ("/me", "wrong-key-1")]
    assert (Integration.objects.count(), PropertyValues.objects.count()) == (0, 0)


def test_what_is_stored_is_checked_where_nothing_is_typed(
    oauth_server: OAuthServer, keyed: Template, acme: Organization, admin_of_acme: User
) -> None:
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, keyed.pk)
    post(client, url, {"do": "save", "property-0": "right-key-1"})
    page = post(client, url, {"do": "check", "property-0": ""})
    assert verdict(page) == "The provider accepts these credentials."
    assert oauth_server.calls == [("/me", "right-key-1", None)]
    assert properties.values_of([Integration.objects.ready().get()])


def test_what_is_missing_is_said_and_nobody_is_asked(
    oauth_server: OAuthServer, keyed: Template, acme: Organization, admin_of_acme: User
) -> None:
    page = post(signed_in(admin_of_acme), SETUP.format(acme.pk, keyed.pk), {"do": "check", "property-0": ""})
    assert (page.status_code, verdict(page)) == (
        422,
        "The credentials were not checked. API key is required.",
    )
    assert oauth_server.calls == []


def test_a_refusal_that_repeats_the_key_is_shown_without_it(
    oauth_server: OAuthServer, acme: Organization, admin_of_acme: User, keyed: Template
) -> None:
    source = keyed.published.source.replace("$status$", "$headers.none$")  # type: ignore[union-attr]
    keyed.revise(source)
    page = post(
        signed_in(admin_of_acme),
        SETUP.format(acme.pk, keyed.pk),
        {"do": "check", "property-0": "wrong-key-1"},
    )
    assert verdict(page) == (
        "The provider rejects these credentials. The provider responded with status 401: "
        "{&quot;errors&quot;: [{&quot;message&quot;: &quot;token ••• expired&quot;}]}"
    )


def test_a_service_that_does_not_answer_is_not_called_a_refusal(
    settings: Any, acme: Organization, admin_of_acme: User, keyed: Template
) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = ["http://127.0.0.1:1"]
    keyed.revise(re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:1", keyed.published.source))  # type: ignore[union-attr]
    page = post(signed_in(admin_of_acme), SETUP.format(acme.pk, keyed.pk), {"do": "check", "property-0": "k"})
    assert verdict(page).startswith("The credentials could not be checked now. ")


def test_a_typed_client_is_checked_by_a_token_that_nobody_keeps(
    oauth_server: OAuthServer, acme: Organization, admin_of_acme: User
) -> None:
    integration = make(oauth_server, acme, "client_credentials")
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, integration.template_id)
    form = {"do": "check", "property-0": CLIENT[0], "property-1": CLIENT[1]}
    assert verdict(post(client, url, form)) == "The provider accepts these credentials."
    assert len(oauth_server.tokens) == 1
    assert AccessToken.objects.get().granted_at is None
    oauth.renew_due()
    assert verdict(post(client, url, form)) == "The provider accepts these credentials."
    assert len(oauth_server.tokens) == 2  # by the stored one
    page = post(client, url, form | {"property-1": "wrong-secret-9"})
    assert verdict(page) == "The provider returned no access token (status 401). invalid_client: not •••"
    assert "wrong-secret-9" not in page.content.decode()


def test_a_consent_is_checked_by_the_stored_token_only(
    oauth_server: OAuthServer, acme: Organization, admin_of_acme: User
) -> None:
    integration = make(oauth_server, acme, "authorization_code")
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, integration.template_id)
    form = {"do": "check", "property-0": CLIENT[0], "property-1": ""}
    assert verdict(post(client, url, form)) == "The integration is not connected. Connect it first."
    oauth_server.good.add("a-good-token-1")
    AccessToken.objects.update(secrets={"access_token": "a-good-token-1"}, granted_at="2026-01-01T00:00Z")
    assert verdict(post(client, url, form)) == "The provider accepts these credentials."
    page = post(client, url, form | {"property-1": "another"})
    assert verdict(page) == "Save these values and connect the integration; then you can check them."
    assert [call[:2] for call in oauth_server.calls] == [("/me", "a-good-token-1")]


def test_strangers_find_nothing(
    oauth_server: OAuthServer, keyed: Template, acme: Organization, admin_of_globex: User
) -> None:
    url = SETUP.format(acme.pk, keyed.pk)
    assert signed_in(admin_of_globex).post(url, {"do": "check", "property-0": "k"}).status_code == 404
    assert oauth_server.calls == []


def test_a_service_without_the_method_has_no_button_and_is_not_saved_by_it(
    admin_of_acme: User, acme: Organization, generic: Template
) -> None:
    client, url = signed_in(admin_of_acme), SETUP.format(acme.pk, generic.pk)
    assert "Check credentials" not in client.get(url).content.decode()
    post(client, url, {"do": "check", "property-0": "https://x.example", "property-1": "k"})
    assert Integration.objects.count() == 0
