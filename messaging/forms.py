"""A number with its users."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from messaging.models import Assignment, Number
from portal.models import Membership, Organization, User


class NumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """A number of an organization, and who of its people send and receive through it."""

    assigned = forms.ModelMultipleChoiceField(
        label=_("Users"),
        queryset=User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("One user: private conversations. Several: they share them."),
    )

    class Meta:
        model = Number
        fields = [
            "organization",
            "number",
            "country",
            "display_name",
            "integration",
            "inbound_format",
            "outbound_format",
            "active",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organization = self._organization()
        self.fields["assigned"].queryset = people_of(organization)  # type: ignore[attr-defined]
        if "integration" in self.fields:
            self.fields["integration"].queryset = (  # type: ignore[attr-defined]
                Integration.objects.filter(organization=organization).select_related(
                    "template", "organization"
                )
                if organization
                else Integration.objects.none()
            )
        if self.instance.pk:
            self.fields["assigned"].initial = list(self.instance.users.values_list("pk", flat=True))

    def _organization(self) -> Organization | None:
        """Whose number it is or, while a new one is written, what was chosen from those that may be."""
        if self.instance.pk:
            return self.instance.organization
        chosen = self.data.get("organization") or self.initial.get("organization")
        field = self.fields.get("organization")
        if field is None or not str(chosen or "").isdigit():
            return None
        found: Organization | None = field.queryset.filter(pk=chosen).first()  # type: ignore[attr-defined]
        return found

    def save_users(self, number: Number) -> None:
        """Makes the ticked people the number's users, and nobody else."""
        chosen = set(self.cleaned_data["assigned"].values_list("pk", flat=True))
        number.assignments.exclude(user__in=chosen).delete()
        known = set(number.assignments.values_list("user", flat=True))
        Assignment.objects.bulk_create(
            [Assignment(number=number, user_id=pk) for pk in chosen - known], ignore_conflicts=True
        )


def people_of(organization: Organization | None) -> Any:
    """The active members of an organization."""
    if organization is None:
        return User.objects.none()
    active = Q(memberships__organization=organization, memberships__status=Membership.Status.ACTIVE)
    return User.objects.filter(active, is_active=True).distinct()
