from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from integrations.models import Template
from portal.models import Account, Membership, Organization, User
from tests.conftest import person

PREVIEWED: dict[str, Any] = {
    "id": "acme-sms",
    "name": "Acme SMS",
    "properties": ["API key", {"name": "Signing key", "required": False}, {"name": "Sender", "secret": False}],
    "auth": {"type": "Header", "name": "X-Api-Key", "value": "$API key$"},
    "API": {
        "SendMessage": {
            "request_url": "https://api.acme.example/v2/sms",
            "request_parameters": {"sender": "$Sender$", "recipient": "$to|digits$", "message": "$content$"},
            "response_map": {"status": "accepted", "message_id": "$messageid$"},
            "response_errors": [
                {"when": {"$response.code$": 21}, "result": "opted_out", "code": "$response.code$"},
                {"when": {"$response.code$": True}, "text": "Acme says $response.reason$."},
            ],
        }
    },
    "Webhook": {
        "verify": {
            "type": "hmac", "key": "$Signing key$", "algorithm": "sha256", "over": "$body$",
            "signature": "$headers.X-Acme-Signature$",
        },
        "events": [
            {
                "event_type": "message",
                "request_parameters": {
                    "event": "mo", "id": "$messageid$", "from": "$from$", "to": "$to$", "text": "$text$",
                },
            },
            {
                "event_type": "messageStatus",
                "request_parameters": {"event": "dlr", "id": "$messageid$", "state": "$status$"},
                "status_map": {"DELIVERED": "delivered", "FAILED": "failed"},
            },
        ],
    },
}  # fmt: skip


@dataclass
class Previewed:
    """A template of Acme's account with events and answers; `client` is signed in as the account's admin."""

    template: Template
    client: Client

    @property
    def url(self) -> str:
        return f"/admin/integrations/template/{self.template.pk}/studio/"

    def preview(self, **fields: Any) -> str:
        """The page after these fields were entered."""
        answer = self.client.post(f"{self.url}preview/", {"answer": "written", "source": "pasted", **fields})
        assert answer.status_code == 200
        return answer.content.decode()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def previewed(acme: Organization, reseller: User) -> Previewed:
    template = Template(account=acme.account)
    template.revise(json.dumps(PREVIEWED))
    return Previewed(template, signed_in(reseller))


@pytest.fixture
def make_reseller(db: None) -> Callable[[], User]:
    """Makes the administrator of another account."""

    def make() -> User:
        account = Account.objects.create(name="Northern Voice")
        return person("Nora", None, account=account, role=Membership.Role.ACCOUNT_ADMIN)

    return make
