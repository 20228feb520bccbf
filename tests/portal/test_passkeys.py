"""What says that it is a passkey, and is none, is refused in a sentence: anybody can send it."""

from __future__ import annotations

import base64
import json

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from portal.models import User
from tests.conftest import PASSWORD

LOGIN, ADD = "/account/2fa/webauthn/login/", "/account/2fa/webauthn/add/"


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def passkey(said: str, user: str = "") -> str:
    """As a browser would send it, but for what the device is to have said."""
    return json.dumps(
        {
            "id": "AAAA",
            "rawId": "AAAA",
            "type": "public-key",
            "response": {
                "clientDataJSON": encoded(said),
                "attestationObject": "oA",
                "authenticatorData": "AAAA",
                "signature": "AA",
                "userHandle": encoded(user),
            },
            "clientExtensionResults": {},
        }
    )


NONE = {
    "nested": "[" * 3000,
    "digits": "9" * 5000,
    "half a character": '{"response": {"userHandle": "\\ud800"}}',
    "a list": "[]",
    "strange types": '{"id": "A", "rawId": 5, "type": "public-key", "response": {"clientDataJSON": []}}',
    "nested within": passkey("[" * 5000, "1"),
    "another challenge": passkey('{"type": "webauthn.get", "challenge": "AA", "origin": "https://x"}', "1"),
}


@pytest.mark.parametrize("sent", NONE.values(), ids=NONE.keys())
def test_it_signs_nobody_in(alice: User, sent: str) -> None:
    client = Client()
    assert client.get(LOGIN, headers={"X-Requested-With": "XMLHttpRequest"}).status_code == 200
    answer = client.post(LOGIN, {"credential": sent})
    assert answer.status_code in (200, 302) and "_auth_user_id" not in client.session


@pytest.mark.parametrize("sent", NONE.values(), ids=NONE.keys())
def test_it_is_not_added(alice: User, sent: str) -> None:
    client = Client()
    client.force_login(alice)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    assert client.get(ADD).status_code == 200
    answer = client.post(ADD, {"name": "Mine", "credential": sent})
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert not Authenticator.objects.exists()
