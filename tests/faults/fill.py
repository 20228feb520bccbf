"""Run by a test against an installation: organizations whose users wrote to many, each through a service."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()

from django.core.files.base import ContentFile  # noqa: E402
from django.utils import timezone  # noqa: E402

from integrations import catalog, holds  # noqa: E402
from integrations.models import Integration, Template  # noqa: E402
from messaging import media  # noqa: E402
from messaging.models import (  # noqa: E402
    Assignment,
    Attachment,
    Contact,
    Conversation,
    Message,
    Number,
    Receiver,
)
from portal.models import Account, Membership, Organization, User  # noqa: E402

BATCH = 1000  # a statement takes 65,535 parameters


def fill(organizations: list[dict[str, Any]]) -> str:
    """The id of the account that has these organizations; all is committed.

    Each has a `name`, a `document` with a property "URL" (null: the generic service) and its `url`. It has
    `count` messages, "<name> 0" and so on, each to a different contact and with so many `files`; they are due
    after `due` seconds. What happens is told to its `receiver`, a URL, if it has one.
    """
    catalog.install()
    account = Account.objects.create(name="Southern Voice")
    for place, found in enumerate(organizations):
        name, document = found["name"], found.get("document")
        organization = Organization.objects.create(account=account, name=name, domain=f"{name}.example")
        author = User.objects.create_user(f"alice@{name}.example", "correct-horse-battery", name="Alice")
        Membership.objects.create(user=author, organization=organization, extension="101")
        if document is None:
            template = Template.objects.get(account=None, service_id="generic")
            values = {"API URL": found["url"], "API key": "sandbox-key"}
        else:
            template, values = Template(account=account), {"URL": found["url"]}
            template.revise(json.dumps(document))
        integration = Integration.objects.create(organization=organization, template=template)
        holds.enter(integration, values)
        number = Number.objects.create(
            organization=organization,
            integration=integration,
            number=f"+6185555{5501 + place}",
            country="AU",
        )
        Assignment.objects.create(number=number, user=author)
        if url := found.get("receiver"):
            Receiver.objects.create(
                account=account, organization=organization, url=url, received=True, statuses=True
            )
        _write(number, author, name, found.get("count", 0), found.get("due", [0]))
        for message in Message.objects.filter(organization=organization):
            for index in range(found.get("files", 0)):
                file = Attachment(message=message, position=index)
                media.keep(file, ContentFile(b"file %d" % index), "text/plain", f"{index}.txt").save()
    return account.accountid


def _write(number: Number, author: User, name: str, count: int, due: list[float]) -> None:
    organization, integration = number.organization, number.integration
    contacts = Contact.objects.bulk_create(
        (Contact(organization=organization, address=f"+61412{index:06d}") for index in range(count)),
        batch_size=BATCH,
    )
    conversations = Conversation.objects.bulk_create(
        (Conversation(organization=organization, number=number, contact=contact) for contact in contacts),
        batch_size=BATCH,
    )
    now = timezone.now()
    Message.objects.bulk_create(
        [
            Message(
                organization=organization,
                conversation=conversation,
                integration=integration,
                direction="out",
                author=author,
                text=f"{name} {index}",
                next_attempt_at=now + timedelta(seconds=due[index % len(due)]),
                expires_at=now + timedelta(hours=24),
            )
            for index, conversation in enumerate(conversations)
        ],
        batch_size=BATCH,
    )


if __name__ == "__main__":
    print(fill(json.loads(sys.argv[1])))
