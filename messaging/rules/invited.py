"""People who are invited to an organization: they get their numbers when they accept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.db.models import QuerySet

from messaging.models import Assignment, Number, PlannedAssignment
from portal.models import Invitation, Organization, User


def to(organization: Organization | None) -> QuerySet[Invitation]:
    """The invitations to an organization, by name; also expired ones, which can be sent again."""
    if organization is None:
        return Invitation.objects.none()
    return Invitation.objects.filter(organization=organization).order_by("name", "pk")


def plan(number: Number, invitations: Iterable[Invitation]) -> None:
    """Promises the number to these invitations, and to no others."""
    plan_all({number.pk: {each.pk for each in invitations}})


def plan_all(wanted: Mapping[int, set[int]]) -> None:
    """As `plan`, for many numbers and invitations by their keys, in a constant number of queries."""
    known: dict[int, set[int]] = defaultdict(set)
    gone = []
    rows = PlannedAssignment.objects.filter(number__in=wanted)
    for pk, number, invitation in rows.values_list("pk", "number", "invitation"):
        known[number].add(invitation)
        if invitation not in wanted[number]:
            gone.append(pk)
    PlannedAssignment.objects.filter(pk__in=gone).delete()
    PlannedAssignment.objects.bulk_create(
        [
            PlannedAssignment(number_id=number, invitation_id=invitation)
            for number, invitations in wanted.items()
            for invitation in sorted(invitations - known[number])
        ],
        ignore_conflicts=True,
    )


def accepted(invitation: Invitation, user: User) -> None:
    """Assigns the user to the numbers that were promised."""
    promised = PlannedAssignment.objects.filter(
        invitation__in=invitation.like_this(), number__organization=invitation.organization_id
    )
    numbers = set(promised.values_list("number", flat=True))
    Assignment.objects.bulk_create(
        [Assignment(number_id=number, user=user) for number in sorted(numbers)], ignore_conflicts=True
    )
