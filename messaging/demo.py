"""The example account of the demo: two organizations, five users, a shared and a private number."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from integrations import holds, oauth
from integrations.models import AccessToken, Integration, Template
from integrations.sandbox import ACCESS_TOKEN, Sandbox
from messaging import numbers
from messaging.models import Assignment, Number
from portal.models import Account, Membership, Organization, User

ACCOUNT = "Southern Voice"
SHARED, PRIVATE = "+61855555555", "+61855555556"
ADMIN = ("Rita Reseller", "rita@southernvoice.example")
PEOPLE = (
    # name, email address, domain, extension, role
    ("Alice Archer", "alice@acme.example", "acme.example", "101", Membership.Role.USER),
    ("Bob Baker", "bob@acme.example", "acme.example", "102", Membership.Role.USER),
    ("Carol Cooper", "carol@acme.example", "acme.example", "103", Membership.Role.ORGANIZATION_ADMIN),
    ("Dave Drover", "dave@globex.example", "globex.example", "101", Membership.Role.ORGANIZATION_ADMIN),
)


@dataclass(frozen=True)
class Demo:
    """The data for the phone, and the users who can sign in (address, description)."""

    webhook_url: str
    numbers: tuple[tuple[str, str], ...]
    logins: tuple[tuple[str, str], ...]


def create(provider: Sandbox, password: str) -> Demo:
    """Creates the example account if it does not exist, and connects it to the provider's address."""
    with transaction.atomic():
        account, made = Account.objects.get_or_create(name=ACCOUNT)
        if made:
            _fill(account, password)
        _set_passwords(account, password)
        integration = _integration(account.organizations.get(domain="acme.example"), provider)
        for number in Number.objects.filter(account=account, number__in=(SHARED, PRIVATE)):
            number.integration = integration
            number.inbound_format = _format(number.number, provider.spelled(number.number))
            number.save()
    return Demo(
        integration.account_webhook_url,
        ((SHARED, "Acme's shared number"), (PRIVATE, "Carol's own number")),
        (
            ("alice@acme.example", "user of the shared number"),
            ("bob@acme.example", "user of the shared number"),
            ("carol@acme.example", "administrator of Acme, with a number of her own"),
            ("dave@globex.example", "administrator of Globex, where nothing is set up yet"),
            (ADMIN[1], "administrator of the reseller's account"),
        ),
    )


def _set_passwords(account: Account, password: str) -> None:
    """Sets the password that is printed, if it has changed since the last start."""
    people = list(User.objects.filter(memberships__account=account).distinct())
    if not people[0].check_password(password):
        for user in people:
            user.set_password(password)
        User.objects.bulk_update(people, ["password"])


def _integration(organization: Organization, provider: Sandbox) -> Integration:
    """The enabled integration with the provider, with the provider's credentials."""
    # Indented, for whoever looks at the template.
    source = json.dumps(json.loads(provider.document), indent=2, ensure_ascii=False)
    service_id = provider.service_id
    template = (
        Template.objects.visible_to(organization.account)
        .select_related("published")
        .filter(service_id=service_id)
        .first()
    ) or Template(account=organization.account)
    if template.account is not None and (template.published is None or template.published.source != source):
        template.revise(source)
    Integration.objects.get_or_create(organization=organization, template=template)
    integration = Integration.objects.ready().get(organization=organization, template=template)
    holds.enter(integration, provider.values)
    if integration.compiled.oauth is not None:
        token = {"secrets": {"access_token": ACCESS_TOKEN}, "granted_at": timezone.now()}
        AccessToken.objects.update_or_create(integration=integration, defaults=token)
    elif integration.compiled.grant is not None:
        oauth.request_renewal(integration)
    return integration


def _format(number: str, spelled: str) -> str:
    """The format in which the number is written like this."""
    return next(form for form in numbers.Format if numbers.spell(number, "", form) == spelled)


def _fill(account: Account, password: str) -> None:
    acme = Organization.objects.create(account=account, name="Acme Dental", domain="acme.example")
    Organization.objects.create(account=account, name="Globex Freight", domain="globex.example")
    reseller = User.objects.create_user(ADMIN[1], password, name=ADMIN[0], time_zone="Australia/Adelaide")
    Membership.objects.create(user=reseller, account=account, role=Membership.Role.ACCOUNT_ADMIN)
    people = {}
    for name, email, domain, extension, role in PEOPLE:
        people[name] = User.objects.create_user(email, password, name=name, time_zone="Australia/Adelaide")
        Membership.objects.create(
            user=people[name],
            organization=account.organizations.get(domain=domain),
            extension=extension,
            role=role,
        )
    for number, label, users in (
        (SHARED, "Front desk", ("Alice Archer", "Bob Baker")),
        (PRIVATE, "Carol", ("Carol Cooper",)),
    ):
        row = Number.objects.create(organization=acme, number=number, country="AU", display_name=label)
        Assignment.objects.bulk_create([Assignment(number=row, user=people[user]) for user in users])
