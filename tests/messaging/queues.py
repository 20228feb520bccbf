"""Services with limits of their own, and many messages at once, for the tests of claiming and sending."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from integrations import holds
from integrations.models import Integration, Template
from messaging.models import Contact, Conversation, Message, Number
from messaging.statuses import Direction
from portal.models import Account, Organization


def template_of(
    account: Account, name: str = "own", limits: Mapping[str, float] | None = None, **send: Any
) -> Template:
    """A template of the account in the sandbox's format, whose URL and key are properties."""
    document = {
        "id": name,
        "name": name.title(),
        "properties": [{"name": "URL", "type": "url", "secret": False}, "Key"],
        "auth": {"type": "Bearer", "token": "$Key$"},
        "limits": dict(limits or {}),
        "API": {
            "SendMessage": {
                "request_url": "$URL$",
                "request_parameters": {"from": "$from$", "to": "$to$", "content": "$content$"},
                "response_map": {"data": {"id": "$messageid$"}},
                **send,
            }
        },
    }
    template = Template(account=account)
    template.revise(json.dumps(document))
    return template


def integration_of(
    organization: Organization, template: Template, url: str, key: str = "sandbox-key"
) -> Integration:
    """The template enabled for an organization with values of its own."""
    integration = Integration.objects.create(organization=organization, template=template)
    holds.enter(integration, {"URL": url, "Key": key} if key else {"URL": url})
    return integration


def number_of(integration: Integration, number: str) -> Number:
    """A number that sends through the integration."""
    return Number.objects.create(
        organization=integration.organization, integration=integration, number=number, country="AU"
    )


def write_many(number: Number, count: int, **fields: Any) -> list[Message]:
    """So many messages from the number, each to a contact of its own, due in the order of their texts."""
    organization = number.organization
    before = Contact.objects.filter(organization=organization).count()
    contacts = Contact.objects.bulk_create(
        Contact(organization=organization, address=f"+61412{before + index:06d}") for index in range(count)
    )
    conversations = Conversation.objects.bulk_create(
        Conversation(organization=organization, number=number, contact=contact) for contact in contacts
    )
    first = timezone.now() - timedelta(hours=1)
    return Message.objects.bulk_create(
        Message(
            organization=organization,
            conversation=conversation,
            integration=number.integration,
            direction=Direction.OUT,
            text=f"text {index}",
            expires_at=timezone.now() + timedelta(hours=24),
            next_attempt_at=first + timedelta(milliseconds=index),
            **fields,
        )
        for index, conversation in enumerate(conversations)
    )


def fill(number: Number, count: int) -> None:
    """So many messages as `write_many` makes them, in a moment, made by the database itself.

    Their texts have enough words for PostgreSQL to estimate how many begin in some way.
    """
    series = (
        f"generate_series(1, {count}) AS series(n)"
        if connection.vendor == "postgresql"
        else "(WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series "
        f"WHERE n < {count}) SELECT n FROM series) AS series"
    )
    uuid = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    organization, now = number.organization_id, timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO messaging_contact (organization_id, address, name) "
            f"SELECT {organization}, 'fill' || n, '' FROM {series}",
        )
        cursor.execute(
            f"INSERT INTO messaging_conversation (organization_id, number_id, contact_id, last_at) "
            f"SELECT {organization}, {number.pk}, id, %s FROM messaging_contact "
            f"WHERE organization_id = {organization} AND address LIKE 'fill%%'",
            [now],
        )
        cursor.execute(
            f"INSERT INTO messaging_message (uuid, organization_id, conversation_id, integration_id, direction, "
            f"text, automatic, created_at, changed_at, status, status_code, status_text, queue_state, "
            f"next_attempt_at, expires_at, attempts, fence) "
            f"SELECT {uuid}, {organization}, id, {number.integration_id}, 'out', 'text word' || id %% 500, '', %s, %s, 0, '', '', "
            f"0, %s, %s, 0, 0 FROM messaging_conversation WHERE number_id = {number.pk}",
            [now, now, now, now + timedelta(hours=24)],
        )
        cursor.execute("ANALYZE")
