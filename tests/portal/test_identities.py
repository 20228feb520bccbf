"""Signing in with an identity provider: who gets in, as whom, and what is not believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from portal.identities import settings as identity_settings
from portal.identities.settings import IdentityProvider
from portal.models import AuditEntry, Invitation, Membership, Organization, User
from tests.identity_server import CLIENT, IdentityServer, running

START = "/account/with/oidc/"


@pytest.fixture(scope="module")
def server() -> Iterator[IdentityServer]:
    with running() as started:
        yield started


@pytest.fixture
def provider(server: IdentityServer, settings: Any, db: None) -> IdentityServer:
    issuer = server.issuer
    server.__init__()  # type: ignore[misc]
    server.issuer = issuer
    settings.IDENTITY_PROVIDERS = [IdentityProvider("oidc", "Acme ID", issuer, *CLIENT)]
    return server


def come(server: IdentityServer, client: Client | None = None, start: str = START) -> tuple[Client, Any]:
    """A browser that went to the provider, and what it got when it came back."""
    client = client or Client()
    there = client.get(start)
    assert there.status_code == 302, there.content.decode()
    return client, client.get(server.consent(there["Location"]).removeprefix("http://localhost:8000"))


def is_in(client: Client) -> User | None:
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key) if key else None


def invite(inviter: User, organization: Organization, email: str = "new@acme.example") -> Invitation:
    row = Invitation(
        email=email,
        name="New One",
        account=organization.account,
        organization=organization,
        inviter=inviter,
        extension="250",
    )
    row.open()
    return row


def test_a_user_signs_in_and_stays_linked(provider: IdentityServer, alice: User) -> None:
    client, answer = come(provider)
    assert (answer.status_code, answer["Location"], is_in(client)) == (302, "/", alice)
    assert SocialAccount.objects.get().extra_data == {"email": "alice@acme.example"}
    provider.claims |= {"email": "renamed@acme.example", "email_verified": False}
    client, answer = come(provider)
    assert (is_in(client), SocialAccount.objects.count()) == (alice, 1)
    assert AuditEntry.objects.filter(action="signed_in", actor=alice).count() == 2


def test_the_provider_is_asked_by_code_with_state_nonce_and_pkce(
    provider: IdentityServer, alice: User
) -> None:
    query = parse_qs(urlsplit(Client().get(START + "?scope=all&process=connect")["Location"]).query)
    assert {name: query[name] for name in ("client_id", "response_type", "redirect_uri")} == {
        "client_id": ["the-client"],
        "response_type": ["code"],
        "redirect_uri": ["http://localhost:8000/account/with/oidc/callback/"],
    }
    assert sorted(query["scope"][0].split()) == ["email", "openid"]
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["nonce"][0]) == 64 and query["nonce"] != query["state"]


def test_it_leads_on_to_where_it_began_and_nowhere_else(provider: IdentityServer, alice: User) -> None:
    assert come(provider, start=f"{START}?next=/inbox/new/")[1]["Location"] == "/inbox/new/"
    assert come(provider, start=f"{START}?next=https://evil.example/")[1]["Location"] == "/"


def test_the_button_is_there_for_what_is_configured_alone(provider: IdentityServer, settings: Any) -> None:
    page = Client().get("/account/login/?next=/inbox/new/").content.decode()
    assert 'href="/account/with/oidc/?next=/inbox/new/">Sign in with Acme ID' in page
    settings.IDENTITY_PROVIDERS = []
    assert "/account/with/" not in Client().get("/account/login/").content.decode()
    assert [Client().get(path).status_code for path in (START, f"{START}callback/?code=1&state=2")] == [
        404
    ] * 2


def test_other_sites_start_no_sign_in(provider: IdentityServer) -> None:
    answer = Client().get(START, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer["Location"], provider.asked) == ("/account/login/", [])


def test_an_invited_person_gets_the_roles_of_the_invitations(
    provider: IdentityServer, admin_of_acme: User, acme: Organization
) -> None:
    invite(admin_of_acme, acme)
    provider.claims |= {"email": "New@Acme.example"}
    client, _ = come(provider)
    made = User.objects.get(email="new@acme.example")
    assert (is_in(client), made.name, made.has_usable_password()) == (made, "New One", False)
    member = Membership.objects.get(user=made)
    assert (member.organization, member.role, member.extension) == (acme, "user", "250")
    assert Invitation.objects.count() == 0
    assert client.get("/account/2fa/totp/activate/").status_code == 200
    assert client.get("/inbox/").status_code == 200


def refused(provider: IdentityServer, status: int, text: str) -> None:
    users, linked = User.objects.count(), SocialAccount.objects.count()
    client, answer = come(provider)
    assert (answer.status_code, text in answer.content.decode()) == (status, True), answer.content.decode()
    assert is_in(client) is None
    assert (User.objects.count(), SocialAccount.objects.count()) == (users, linked)


@pytest.mark.parametrize("verified", [False, None, "false", 0, [], 1.5])
def test_an_address_that_is_not_verified_is_nobodys(
    provider: IdentityServer, alice: User, verified: Any
) -> None:
    provider.claims |= {"email_verified": verified}
    refused(provider, 403, "does not confirm that the address alice@acme.example is yours")
    assert AuditEntry.objects.filter(action="sign_in_failed", object_id=str(alice.pk)).count() == 1


@pytest.mark.parametrize(
    "email", [None, "", 7, "no address", ["alice@acme.example"], "a" * 300 + "@acme.example"]
)
def test_without_an_address_nobody_gets_in(provider: IdentityServer, alice: User, email: Any) -> None:
    provider.claims |= {"email": email}
    refused(provider, 403 if email not in (None, "") else 401, "work")


def test_nobody_signs_up(provider: IdentityServer, alice: User) -> None:
    provider.claims |= {"email": "stranger@acme.example"}
    refused(provider, 403, "Nobody has invited stranger@acme.example")


def test_an_invitation_whose_writer_may_no_longer_invite_counts_for_nothing(
    provider: IdentityServer, admin_of_acme: User, acme: Organization
) -> None:
    invite(admin_of_acme, acme)
    admin_of_acme.memberships.update(status="blocked")
    provider.claims |= {"email": "new@acme.example"}
    refused(provider, 403, "Nobody has invited new@acme.example")


def test_who_gets_the_address_next_is_somebody_else(provider: IdentityServer, alice: User) -> None:
    come(provider)
    provider.claims |= {"sub": "8"}
    refused(provider, 403, "Another identity at Acme ID already signs in with alice@acme.example")


def test_a_blocked_user_stays_out(provider: IdentityServer, alice: User) -> None:
    come(provider)
    alice.is_active = False
    alice.save()
    client, answer = come(provider)
    assert (answer["Location"], is_in(client)) == ("/account/inactive/", None)


def test_the_second_factor_is_asked_for(provider: IdentityServer, alice: User) -> None:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    TOTP.activate(alice, generate_totp_secret())
    client, answer = come(provider)
    assert (answer["Location"], is_in(client)) == ("/account/2fa/authenticate/", None)


def test_domains_of_the_provider_are_verified_and_no_others(
    provider: IdentityServer, alice: User, settings: Any
) -> None:
    domains = ("acme.example",)
    settings.IDENTITY_PROVIDERS = [IdentityProvider("oidc", "Acme ID", provider.issuer, *CLIENT, domains)]
    provider.claims = {"sub": "7", "email": "alice@acme.example"}
    assert is_in(come(provider)[0]) == alice
    provider.claims = {"sub": "9", "email": "alice@sub.acme.example"}
    refused(provider, 403, "does not confirm")


def test_letters_that_only_look_like_an_address_are_another(provider: IdentityServer, alice: User) -> None:
    kim = User.objects.create_user("kim@acme.example", "x", name="Kim")
    provider.claims["email"] = "\N{KELVIN SIGN}im@acme.example"
    refused(provider, 403, "does not confirm")
    assert not SocialAccount.objects.filter(user=kim).exists()


def test_the_address_may_come_with_the_user_info(provider: IdentityServer, alice: User) -> None:
    provider.claims = {"sub": "7"}
    provider.info = {"sub": "7", "email": "alice@acme.example", "email_verified": True}
    assert is_in(come(provider)[0]) == alice


FORGERIES: dict[str, dict[str, Any]] = {
    "another nonce": {"forged": {"nonce": "x"}},
    "no nonce": {"forged": {"nonce": None}},
    "another issuer": {"forged": {"iss": "https://evil.example"}},
    "another audience": {"forged": {"aud": "another-client"}},
    "too old": {"forged": {"exp": int(time.time()) - 3600}},
    "no subject": {"forged": {"sub": None}},
    "another key": {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
    "an unknown key": {"headers": {"kid": "k2"}},
    "no signature": {"key": None, "algorithm": "none"},
    "a shared secret": {"key": CLIENT[1] * 3, "algorithm": "HS256"},
    "user info of another": {
        "claims": {"sub": "7"},
        "info": {"sub": "8", "email": "alice@acme.example", "email_verified": True},
    },
    "no token": {"token_answer": (200, {"access_token": "x"})},
    "tokens that are none": {"token_answer": (200, {"access_token": 1, "id_token": [1]})},
    "a list": {"token_answer": (200, ["access_token"])},
    "no JSON": {"token_answer": (200, b"\xff{")},
    "an error": {"token_answer": (500, {})},
    "a redirect": {"token_answer": (302, {})},
    "too much": {"token_answer": (200, b" " * 600_000)},
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused(provider: IdentityServer, alice: User, name: str) -> None:
    for attribute, value in FORGERIES[name].items():
        setattr(provider, attribute, value)
    refused(provider, 401, "did not confirm who you are")


def test_the_state_is_of_one_browser_and_good_once(provider: IdentityServer, alice: User) -> None:
    mine = Client()
    back = provider.consent(mine.get(START)["Location"]).removeprefix("http://localhost:8000")
    other = Client()
    assert (other.get(back).status_code, is_in(other)) == (401, None)
    assert is_in(mine) is None
    assert mine.get(back).status_code == 302
    assert is_in(mine) == alice
    mine.logout()
    assert (mine.get(back).status_code, is_in(mine)) == (401, None)
    for wrong in ("", "?state=x&code=y", "?error=access_denied", "?state=%00&code=%00"):
        assert Client().get(f"{START}callback/{wrong}").status_code in (400, 401)


def test_who_changes_their_mind_is_at_the_form_again(provider: IdentityServer) -> None:
    client = Client()
    state = parse_qs(urlsplit(client.get(START)["Location"]).query)["state"][0]
    answer = client.get(f"{START}callback/?error=access_denied&state={state}", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/login/"


@pytest.mark.parametrize(
    "discovered",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_publishes_nonsense_is_not_used(
    provider: IdentityServer, discovered: dict[str, Any]
) -> None:
    provider.discovered = discovered
    answer = Client().get(START)
    assert (answer.status_code, "Location" in answer) == (401, False)


def test_only_the_origin_of_the_issuer_may_be_private(
    provider: IdentityServer, alice: User, settings: Any
) -> None:
    with running() as other:
        provider.discovered = {"token_endpoint": f"{other.issuer}/token"}
        refused(provider, 401, "did not confirm who you are")
        assert other.asked == []


def test_a_provider_that_is_down_is_said_so(settings: Any, db: None) -> None:
    settings.IDENTITY_PROVIDERS = [IdentityProvider("oidc", "Acme ID", "http://127.0.0.1:9", *CLIENT)]
    assert "Acme ID did not confirm" in Client().get(START).content.decode()


def test_settings_make_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = "01234567-89ab-cdef-0123-456789abcdef"
    for name, value in {
        "PATCHBAY_GOOGLE_CLIENT_ID": "g",
        "PATCHBAY_GOOGLE_CLIENT_SECRET": "gs",
        "PATCHBAY_MICROSOFT_CLIENT_ID": "m",
        "PATCHBAY_MICROSOFT_CLIENT_SECRET": "ms",
        "PATCHBAY_MICROSOFT_TENANT": tenant,
        "PATCHBAY_MICROSOFT_DOMAINS": "Acme.example, @globex.example",
        "PATCHBAY_OIDC_CLIENT_ID": "o",
        "PATCHBAY_OIDC_CLIENT_SECRET": "os",
        "PATCHBAY_OIDC_ISSUER": "https://id.acme.example",
        "PATCHBAY_OIDC_NAME": "Acme",
    }.items():
        monkeypatch.setenv(name, value)
    assert identity_settings.read() == [
        IdentityProvider("google", "Google", "https://accounts.google.com", "g", "gs"),
        IdentityProvider(
            "microsoft",
            "Microsoft",
            f"https://login.microsoftonline.com/{tenant}/v2.0",
            "m",
            "ms",
            ("acme.example", "globex.example"),
        ),
        IdentityProvider("oidc", "Acme", "https://id.acme.example", "o", "os"),
    ]
    for name, value in {
        "PATCHBAY_GOOGLE_CLIENT_SECRET": "",
        "PATCHBAY_MICROSOFT_TENANT": "common",
        "PATCHBAY_OIDC_ISSUER": "http://id.acme.example",
    }.items():
        with monkeypatch.context() as wrong:
            wrong.setenv(name, value)
            with pytest.raises(ImproperlyConfigured, match=name.rsplit("_", 1)[0]):
                identity_settings.read()
