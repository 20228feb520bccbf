"""Run by a test in a data folder of its own: an organization whose user wrote to many through the sandbox."""

import os
import sys
from datetime import timedelta

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()

from django.utils import timezone  # noqa: E402

from integrations import catalog, properties  # noqa: E402
from integrations.models import Integration, Template  # noqa: E402
from messaging.models import Assignment, Contact, Conversation, Message, Number  # noqa: E402
from portal.models import Account, Membership, Organization, User  # noqa: E402


def fill(api_url: str, count: int) -> None:
    """`count` messages "text 0" …, each to a contact of its own, queued and committed."""
    catalog.install()
    account = Account.objects.create(name="Southern Voice")
    acme = Organization.objects.create(account=account, name="Acme", domain="acme.example")
    alice = User.objects.create_user("alice@acme.example", "correct-horse-battery", name="Alice")
    Membership.objects.create(user=alice, organization=acme, extension="101")
    integration = Integration.objects.create(
        organization=acme, template=Template.objects.get(account=None, service_id="generic")
    )
    properties.store(integration, {"API URL": api_url, "API key": "sandbox-key"})
    number = Number.objects.create(
        organization=acme, integration=integration, number="+61855555501", country="AU"
    )
    Assignment.objects.create(number=number, user=alice)
    for index in range(count):
        contact = Contact.objects.create(organization=acme, address=f"+61412{index:06d}")
        conversation = Conversation.objects.create(organization=acme, number=number, contact=contact)
        Message.objects.create(
            organization=acme,
            conversation=conversation,
            integration=integration,
            direction="out",
            author=alice,
            text=f"text {index}",
            expires_at=timezone.now() + timedelta(hours=24),
        )
    print(account.accountid)


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
