"""Who uses which numbers, and which of their conversations they see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from portal.models import Membership, User


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def permitted(self) -> AssignmentQuerySet:
        """The assignments that permit users to send and receive through a number.

        The user must be an active member of the number's organization.
        """
        memberships = Membership.objects.filter(
            user=OuterRef("user"),
            organization=OuterRef("number__organization"),
            status=Membership.Status.ACTIVE,
        )
        return self.filter(Exists(memberships))

    def users_by_number(self) -> dict[int, set[int]]:
        """The users of each number; both by their keys."""
        found: dict[int, set[int]] = defaultdict(set)
        for number, user in self.values_list("number", "user"):
            found[number].add(user)
        return found

    def assign_all(self, wanted: Mapping[int, Set[int]]) -> None:
        """Gives numbers these users and no others; both by their keys."""
        known = self.filter(number__in=wanted).users_by_number()
        gone = {(number, user) for number, users in wanted.items() for user in known[number] - users}
        if gone:
            rows = self.filter(number__in={number for number, _user in gone})
            keys = [pk for pk, *pair in rows.values_list("pk", "number", "user") if tuple(pair) in gone]
            self.filter(pk__in=keys).delete()
        self.bulk_create(
            [
                Assignment(number_id=number, user_id=user)
                for number, users in wanted.items()
                for user in sorted(users - known[number])
            ],
            ignore_conflicts=True,
        )


class Assignment(models.Model):
    """The assignment of a user to a number, through which they send and receive."""

    number = models.ForeignKey("Number", models.CASCADE, related_name="assignments", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="assignments")

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        constraints = [models.UniqueConstraint(fields=["number", "user"], name="assignment_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.number}"


def assigned_to(user: User, number: str = "pk") -> Q:
    """The condition that the user may send through a number, given by its lookup."""
    return Q(**{f"{number}__in": Assignment.objects.permitted().filter(user=user).values("number")})


def not_private(user: User, conversation: str = "") -> Q:
    """The condition that a conversation, given by its lookup, is not private to another user."""
    private_to = f"{conversation}__private_to" if conversation else "private_to"
    return Q(**{f"{private_to}__isnull": True}) | Q(**{private_to: user})
