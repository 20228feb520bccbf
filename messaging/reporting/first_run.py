"""The first run: the steps from an empty installation to a first text, which are done, and what is next."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import Integration
from messaging.models import Assignment, Message, Number, PlannedAssignment
from messaging.statuses import Direction
from portal import mail
from portal.models import Account, Membership, Organization, User
from portal.permissions import in_reach_of


@dataclass(frozen=True)
class Step:
    """One step: what to do, why, where, whether it is done, and where it is done for many at once."""

    label: str
    hint: str
    url: str
    done: bool
    many: str = ""


def steps(user: User) -> list[Step]:
    """The steps of whoever administers accounts, or the shorter list of an organization's administrator.

    Each leads to where something is missing. Takes a constant number of queries.
    """
    reach = in_reach_of(user, "organization", "organization__account")
    organizations = Organization.objects.administered_by(user)
    numbers = Number.objects.filter(reach, active=True)
    ready = Exists(Integration.objects.filter(organization=OuterRef("pk"), enabled=True))
    some = list(organizations.annotate(ready=ready).order_by("ready", "pk")[:2])
    place = some[0] if some else None
    holders = Assignment.objects.permitted().filter(number__in=numbers)
    held = PlannedAssignment.objects.filter(number=OuterRef("pk"))
    bare = numbers.exclude(Exists(held)).exclude(pk__in=holders.values("number")).order_by("pk").first()
    found = [
        Step(
            _("Set up a messaging provider"),
            _("The service that carries your texts: its keys are entered once, and tried."),
            _gallery(user, some),
            Integration.objects.filter(reach, enabled=True).exists(),
        ),
        Step(
            _("Add a number"),
            _("The number or name that your texts come from."),
            reverse("admin:messaging_number_add") if place else "",
            numbers.exists(),
            reverse("admin:messaging_import", args=["numbers"]) if place else "",
        ),
        _people(user, numbers, bare, holders.exists(), in_place=place is not None),
        Step(
            _("Send a first text"),
            _("In the inbox, as somebody to whom a number is assigned."),
            reverse("inbox"),
            Message.objects.filter(reach, direction=Direction.OUT).exists(),
        ),
    ]
    if not user.administers_accounts:
        return found
    add = reverse("admin:portal_organization_add")
    why = _("A customer of yours, or your own firm: its people, numbers and conversations stay apart.")
    many = reverse("admin:messaging_import", args=["organizations"])
    found.insert(0, Step(_("Add an organization"), why, add, place is not None, many))
    if user.is_operator:
        add, why = reverse("admin:portal_account_add"), _("A reseller, to whom organizations belong.")
        found.insert(0, Step(_("Add an account"), why, add, Account.objects.exists()))
    return found


def _gallery(user: User, organizations: list[Organization]) -> str:
    """Where a provider is chosen: for all of the account at once where it has several organizations."""
    if not organizations:
        return ""
    if len(organizations) > 1 and user.administers_accounts:
        return reverse("admin:integrations_account_gallery", args=[organizations[0].account_id])
    return reverse("admin:integrations_gallery", args=[organizations[0].pk])


def _people(
    user: User, numbers: QuerySet[Number], bare: Number | None, done: bool, *, in_place: bool
) -> Step:
    """Leads to the invitations while there is nobody to assign, and to a number without users afterwards."""
    label = _("Invite people, and assign them to the number")
    reach = in_reach_of(user, "organization", "organization__account")
    others = Membership.objects.filter(reach, organization__isnull=False).exists()
    promised = PlannedAssignment.objects.filter(number__in=numbers).exists()
    if others and bare is not None:
        url = reverse("admin:messaging_number_change", args=[bare.pk])
        return Step(label, _("Choose on the page of the number who sends and answers with it."), url, done)
    if not in_place:
        return Step(label, _hint(), "", done)
    url = reverse("admin:portal_invitation_changelist")
    if promised:
        return Step(label, _("Done as soon as somebody accepts the invitation."), url, done)
    many = ""  # without mail only admins of an account invite people
    if mail.is_configured():
        many = reverse("admin:messaging_import", args=["users"])
    elif user.administers_accounts:
        many = reverse("admin:portal_invitation_many")
    return Step(label, _hint(), url, done, many)


def _hint() -> str:
    if mail.is_configured():
        return _("They get a mail with a link, and choose a password.")
    return _("You get a link for each of them, to pass on; with it they choose a password.")
