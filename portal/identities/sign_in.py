"""Signing in with an identity provider (OpenID Connect): who may, as whom, and what is believed.

The provider says that somebody controls an e-mail address; whether that address may sign in is decided here.
Nobody signs up, and nobody links an identity by hand: it is linked to the user who has its verified address,
once, and is known by the provider's own key from then on.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, NoReturn

import jwt
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import render

from portal import mail
from portal.audit import sign_ins
from portal.identities.settings import IdentityProvider, is_safe
from portal.models import Invitation, User

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLOCK_SECONDS = 60  # by which the clocks of two servers may differ
CACHE_SECONDS = 300
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class _Client(OAuth2Client):
    """Adds the nonce, which the ID token must repeat: a digest of the state, which the session keeps."""

    def get_redirect_url(self, authorization_url: str, scope: list[str], extra_params: dict[str, str]) -> str:
        extra = {**extra_params, "nonce": _nonce(self.state or "")}
        url: str = super().get_redirect_url(authorization_url, scope, extra)
        return url


def _nonce(state: str) -> str:
    return hashlib.sha256(f"nonce {state}".encode()).hexdigest()


class Exchange(OpenIDConnectOAuth2Adapter):
    """The requests of one sign-in; all that is wrong with an answer is an OAuth2Error."""

    client_class = _Client

    @cached_property
    def configured(self) -> IdentityProvider:
        return next(item for item in settings.IDENTITY_PROVIDERS if item.key == self.provider_id)

    @cached_property
    def openid_config(self) -> dict[str, Any]:
        """What the provider publishes about itself; kept for five minutes, since anybody may ask for it."""
        issuer = self.configured.issuer.rstrip("/")
        key = f"openid:{issuer}"
        if (found := cache.get(key)) is None:
            found = self._get(f"{issuer}/.well-known/openid-configuration")
            if str(found.get("issuer", "")).rstrip("/") != issuer:
                raise OAuth2Error("The provider publishes another issuer than the one that is configured.")
            if not all(isinstance(found.get(name), str) and is_safe(found[name]) for name in ENDPOINTS):
                raise OAuth2Error("The provider does not publish safe endpoints.")
            cache.set(key, found, CACHE_SECONDS)
        return found  # type: ignore[no-any-return]

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return mail.url("openid_connect_callback", self.provider_id)

    def get_access_token_data(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        found = super().get_access_token_data(*args, **kwargs)
        good = isinstance(found, dict) and all(
            isinstance(found.get(name), str) for name in ("access_token", "id_token")
        )
        if not good:
            raise OAuth2Error("The provider's answer has no tokens.")
        return found  # type: ignore[no-any-return]

    def parse_token(self, data: dict[str, Any]) -> SocialToken:
        return SocialToken(token=data["access_token"])

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **more: Any) -> Any:
        claims = self._verified(more["response"]["id_token"], _nonce(request.GET.get("state", "")))
        if not claims.get("email") and is_safe(str(self.openid_config.get("userinfo_endpoint"))):
            info = self._get(self.profile_url, {"Authorization": f"Bearer {token.token}"})
            if info.get("sub") != claims["sub"]:
                raise OAuth2Error("The user info is about somebody else.")
            claims |= {name: info.get(name) for name in ("email", "email_verified")}
        return self.get_provider().sociallogin_from_response(request, claims)

    def _verified(self, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that the provider has signed for this very sign-in."""
        try:
            kid = jwt.get_unverified_header(id_token).get("kid")
            keys = jwt.PyJWKSet.from_dict(self._get(self.openid_config["jwks_uri"])).keys
            key = next(key for key in keys if key.key_id == kid)
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=ALGORITHMS,
                audience=self.configured.client_id,
                issuer=self.openid_config["issuer"],
                leeway=CLOCK_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except StopIteration:
            raise OAuth2Error("The ID token names no key of the provider.") from None
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError) as error:
            raise OAuth2Error("The ID token is not valid.") from error
        if claims.get("nonce") != nonce:
            raise OAuth2Error("The ID token is for another sign-in.")
        return claims

    def _get(self, url: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            with get_adapter().get_requests_session() as session:
                answer = session.request("GET", url, headers=headers)
                found = answer.json() if answer.status_code == 200 else None
        except (OSError, ValueError) as error:  # as are those of the library requests
            raise OAuth2Error("The provider cannot be reached, or did not answer as it should.") from error
        if not isinstance(found, dict):
            raise OAuth2Error("The provider did not answer as it should.")
        return found


class Provider(OpenIDConnectProvider):
    """An identity provider as django-allauth sees it; nothing of the request decides what it is asked."""

    oauth2_adapter_class = Exchange

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_redirect_from_request_kwargs(request)
        return {**found, "process": AuthProcess.LOGIN, "scope": self.get_scope(), "auth_params": {}}

    def get_scope(self) -> list[str]:
        return ["openid", "email"]

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Another issuer's people are others, even if the operator reuses the settings for it."""
        return hashlib.sha256(f"{data['iss']}\n{data['sub']}".encode()).hexdigest()

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"email": str(data.get("email") or "")[:254]}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        return {}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        email = data.get("email")
        # Of other letters, lower case may be an ASCII letter (U+212A: k), and so somebody else's address.
        if not isinstance(email, str) or not email.isascii():
            return []
        _local, _at, domain = email.lower().rpartition("@")
        verified = data.get("email_verified") in (True, "true") or domain in self.app.settings["domains"]
        return [EmailAddress(email=email.lower(), verified=verified, primary=True)]


class Adapter(DefaultSocialAccountAdapter):
    """Knows the providers of the settings alone, and lets in whom somebody has invited."""

    def list_apps(self, request: Any, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        return [
            SocialApp(
                provider="openid_connect",
                provider_id=item.key,
                name=item.name,
                client_id=item.client_id,
                secret=item.secret,
                settings={
                    "server_url": item.issuer,
                    "oauth_pkce_enabled": True,
                    "domains": list(item.domains),
                },
            )
            for item in settings.IDENTITY_PROVIDERS
            if provider in (None, item.key)
        ]

    def list_providers(self, request: HttpRequest) -> list[Provider]:
        return [Provider(request, app=app) for app in self.list_apps(request)]

    def get_provider(self, request: HttpRequest, provider: str, client_id: Any = None) -> Provider:
        return Provider(request, app=self.get_app(request, provider=provider))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Any) -> Any:
        return sociallogin.user

    def on_authentication_error(self, request: HttpRequest, provider: Any, **more: Any) -> None:
        sign_ins.failed("")

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Finds the user of an identity that is new here; raises ImmediateHttpResponse if there is none."""
        if sociallogin.is_existing:
            return
        address = next((item for item in sociallogin.email_addresses), None)
        if address is None or not address.verified:
            self._refuse(request, sociallogin, "unverified")
        email: str = address.email
        user = User.objects.filter(email=email).first() or _welcome(email)
        if user is None:
            self._refuse(request, sociallogin, "unknown")
        if not _link(user, sociallogin.account):
            self._refuse(request, sociallogin, "another")
        sociallogin.user = user

    def _refuse(self, request: HttpRequest, sociallogin: SocialLogin, why: str) -> NoReturn:
        email = sociallogin.account.extra_data["email"]
        sign_ins.failed(email)
        context = {"why": why, "email": email, "provider": sociallogin.provider.name}
        page = render(request, "account/identity_refused.html", context, status=403)
        raise ImmediateHttpResponse(page)


def _welcome(email: str) -> User | None:
    """A new user with the roles to which the address has been invited; None if there are none."""
    invitations = Invitation.objects.open_to(email)
    if not invitations:
        return None
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, None, name=invitations[0].name)
            for invitation in invitations:
                invitation.accept(user)
    except IntegrityError:  # at the same moment, by the link in the mail
        return User.objects.filter(email=email).first()
    return user


def _link(user: User, account: SocialAccount) -> bool:
    """Links an identity to the user; False if the user has another one of this provider already.

    Providers give addresses to new people. Whoever has the address next is not the user who had it.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        others = SocialAccount.objects.filter(user=user, provider=account.provider)
        if others.exclude(uid=account.uid).exists():
            return False
        SocialAccount.objects.get_or_create(
            provider=account.provider,
            uid=account.uid,
            defaults={"user": user, "extra_data": account.extra_data},
        )
    return True
