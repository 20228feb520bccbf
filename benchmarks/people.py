"""Run in the environment of a Patchbay that is measured: an organization whose user knows many contacts.

Prints what the load generator needs: the account, and a token of the user.
"""

import json
import os
import sys

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()

from integrations import catalog, holds  # noqa: E402
from integrations.models import Integration, Template  # noqa: E402
from messaging.models import Assignment, Contact, Conversation, Number  # noqa: E402
from portal.models import Account, Membership, Organization, PersonalToken, User  # noqa: E402


def fill(api_url: str, contacts: int) -> dict[str, str]:
    """Acme with one user, one number and so many conversations."""
    catalog.install()
    account = Account.objects.create(name="Southern Voice")
    acme = Organization.objects.create(account=account, name="Acme", domain="acme.example")
    alice = User.objects.create_user("alice@acme.example", "correct-horse-battery", name="Alice")
    Membership.objects.create(user=alice, organization=acme, extension="101")
    integration = Integration.objects.create(
        organization=acme, template=Template.objects.get(account=None, service_id="generic")
    )
    holds.enter(integration, {"API URL": api_url, "API key": "sandbox-key"})
    number = Number.objects.create(
        organization=acme, integration=integration, number="+61855555501", country="AU"
    )
    Assignment.objects.create(number=number, user=alice)
    people = Contact.objects.bulk_create(
        [Contact(organization=acme, address=f"+61412{index:06d}") for index in range(contacts)]
    )
    Conversation.objects.bulk_create(
        [Conversation(organization=acme, number=number, contact=person) for person in people]
    )
    return {"account": account.accountid, "token": PersonalToken.objects.issue(alice, "The load generator")}


if __name__ == "__main__":
    print(json.dumps(fill(sys.argv[1], int(sys.argv[2]))))
