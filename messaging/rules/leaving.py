"""What happens when somebody leaves: their numbers, and the conversations that only they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from messaging.models import Assignment, Conversation, Number
from portal import audit
from portal.models import Membership, User
from portal.permissions import in_reach_of


@dataclass(frozen=True)
class Leaving:
    """What somebody leaves behind; `unheld` are the numbers that nobody else holds."""

    numbers: Sequence[Number]
    unheld: Sequence[Number]
    private: int  # conversations


def consequences(user: User, by: User) -> Leaving:
    """What the user leaves behind in the reach of an administrator, in a constant number of queries."""
    numbers = list(_numbers(user, by).select_related("organization"))
    others = Assignment.objects.permitted().filter(number__in=numbers, user__is_active=True)
    held = set(others.exclude(user=user).values_list("number", flat=True))
    private = Conversation.objects.filter(private_to=user, number__in=numbers).count()
    return Leaving(numbers, [number for number in numbers if number.pk not in held], private)


def heirs(user: User, by: User) -> QuerySet[User]:
    """The active people who may take over at least one of the user's numbers."""
    organizations = _numbers(user, by).values("organization")
    members = Membership.objects.filter(
        user=OuterRef("pk"), organization__in=organizations, status=Membership.Status.ACTIVE
    )
    return User.objects.filter(Exists(members), is_active=True).exclude(pk=user.pk)


@transaction.atomic
def deactivate(user: User, by: User, heir: User | None = None) -> int:
    """Blocks the user for good, and opens what only they saw; returns how many numbers the heir has got.

    The heir gets the numbers of the organizations in which they are. What nobody takes over stays assigned
    to the user, for the day they return.
    """
    handed = 0
    with audit.covered():
        if heir is not None:
            for number in _numbers(user, by).filter(organization__in=_organizations(heir)):
                _hand_over(number, user, heir)
                handed += 1
        Conversation.objects.filter(private_to=user).update(private_to=None, private_until=None)
        user.is_active = False
        user.save(update_fields=["is_active"])
        label = str(User._meta.get_field("is_active").verbose_name)
        audit.record(audit.Action.CHANGED, user, {label: (_("yes"), _("no"))})
    return handed


def _hand_over(number: Number, user: User, heir: User) -> None:
    Assignment.objects.filter(number=number, user=user).delete()
    Assignment.objects.get_or_create(number=number, user=heir)
    number.release_conversations()
    label = str(Number._meta.get_field("users").verbose_name)
    audit.record(audit.Action.CHANGED, number, {label: (str(user), str(heir))})


def _numbers(user: User, by: User) -> QuerySet[Number]:
    reach = in_reach_of(by, "organization", "organization__account")
    return Number.objects.filter(reach, assignments__user=user, active=True)


def _organizations(user: User) -> QuerySet[Membership]:
    roles = Membership.objects.filter(user=user, status=Membership.Status.ACTIVE)
    return roles.exclude(organization=None).values("organization")  # type: ignore[return-value]
