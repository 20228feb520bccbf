"""Run in the environment of a Patchbay that is measured: an organization whose user knows many contacts.

Prints what the load generator needs: the account, the session and the conversations.
"""

import json
import os
import sys

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

from integrations import catalog, properties  # noqa: E402
from integrations.models import Integration, Template  # noqa: E402
from messaging.models import Assignment, Contact, Conversation, Number  # noqa: E402
from portal.models import Account, Membership, Organization, User  # noqa: E402


def fill(api_url: str, contacts: int) -> dict[str, object]:
    """Acme with one user, one number and so many conversations."""
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
    people = Contact.objects.bulk_create(
        [Contact(organization=acme, address=f"+61412{index:06d}") for index in range(contacts)]
    )
    found = Conversation.objects.bulk_create(
        [Conversation(organization=acme, number=number, contact=person) for person in people]
    )
    session = SessionStore()
    session[SESSION_KEY] = str(alice.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = alice.get_session_auth_hash()
    session.create()
    return {
        "account": account.accountid,
        "session": session.session_key,
        "conversations": [item.pk for item in found],
    }


if __name__ == "__main__":
    print(json.dumps(fill(sys.argv[1], int(sys.argv[2]))))
