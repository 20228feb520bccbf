"""A number with its users and rules, its auto-replies, and where it may move."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from integrations.models import Integration
from messaging import keywords
from messaging.models import Assignment, AutoReply, Number
from messaging.rules import optout
from portal.models import Membership, Organization, User

STICKY_HOURS = (0, 1, 2, 4, 8, 12, 24, 48, 72, 168, 336, 720)


class NumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """A number of an organization, and who of its people send and receive through it.

    A new number belongs to `organization`, which a subclass names. It needs a service to send through; a
    number that lost its service, because it moved, may be saved without one.
    """

    organization: ClassVar[Organization | None] = None
    assigned = forms.ModelMultipleChoiceField(
        label=_("Users"),
        queryset=User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("One user: private conversations. Several: they share them."),
    )
    sticky_hours = forms.TypedChoiceField(
        label=_("A conversation stays with who began it"),
        coerce=int,
        widget=UnfoldAdminSelectWidget,
        help_text=_(
            "With several users: for so long only the one who wrote first sees the conversation and its "
            "answers. An answer that comes later is for everybody on the number."
        ),
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
            "sticky_hours",
            "header",
            "footer",
            "opt_out_keyword",
            "opt_out_answer",
            "help_answer",
        ]
        widgets = {
            "header": UnfoldAdminTextInputWidget,
            "footer": UnfoldAdminTextInputWidget,
            "opt_out_answer": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
            "help_answer": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.organization is not None:
            self.instance.organization = self.organization
        self.fields["assigned"].queryset = people_of(self.instance.organization)  # type: ignore[attr-defined]
        if "integration" in self.fields:
            self._offer_services(self.fields["integration"])
        if "sticky_hours" in self.fields:
            hours = sorted({*STICKY_HOURS, self.instance.sticky_hours})
            self.fields["sticky_hours"].choices = [  # type: ignore[attr-defined]
                (each, time_in_words(each)) for each in hours
            ]
        if self.instance.pk:
            self.fields["assigned"].initial = list(self.instance.users.values_list("pk", flat=True))
            for name, text in (("opt_out_answer", optout.confirmation), ("help_answer", optout.help_text)):
                if name in self.fields and not getattr(self.instance, name):
                    self.fields[name].widget.attrs["placeholder"] = text(self.instance)

    def _offer_services(self, field: Any) -> None:
        """The organization's services that can send, and the one that the number has."""
        now = self.instance.integration_id
        own = Integration.objects.filter(organization=self.instance.organization_id)
        field.queryset = own.filter(Q(enabled=True) | Q(pk=now)).select_related("template")
        field.label_from_instance = lambda integration: str(integration.template)
        field.required = now is not None or self.instance.pk is None
        if self.instance.pk is None and len(field.queryset) == 1:
            field.initial = field.queryset[0]

    def save_users(self, number: Number) -> None:
        """Makes the ticked people the number's users, and nobody else."""
        chosen = set(self.cleaned_data["assigned"].values_list("pk", flat=True))
        number.assignments.exclude(user__in=chosen).delete()
        known = set(number.assignments.values_list("user", flat=True))
        Assignment.objects.bulk_create(
            [Assignment(number=number, user_id=pk) for pk in chosen - known], ignore_conflicts=True
        )
        number.release()


class AutoReplyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A keyword (or *) and the text that answers it."""

    class Meta:
        model = AutoReply
        fields = ["keyword", "text"]
        widgets = {
            "keyword": UnfoldAdminTextInputWidget(attrs={"placeholder": _("HOURS, or *")}),
            "text": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        }


class AutoReplyFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The answers of one number: one for each word."""

    def clean(self) -> None:
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            keyword = form.cleaned_data.get("keyword", "") if hasattr(form, "cleaned_data") else ""
            if not keyword or form.cleaned_data.get("DELETE"):
                continue
            asked = keywords.word(keyword) or keyword
            if asked in seen:
                form.add_error("keyword", _("There is an answer to this keyword already."))
            seen.add(asked)


class MoveForm(forms.Form):
    """The organization that a number moves to."""

    organization: forms.ModelChoiceField[Organization] = forms.ModelChoiceField(
        queryset=None,
        label=_("New organization"),
        empty_label=_("Choose…"),
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, number: Number, organizations: QuerySet[Organization], *args: Any) -> None:
        super().__init__(*args)
        self.number = number
        self.fields["organization"].queryset = organizations  # type: ignore[attr-defined]

    def service(self) -> Integration | None:
        """The same service as before, where the new organization has it switched on."""
        if self.number.integration is None:
            return None
        return Integration.objects.filter(
            organization=self.cleaned_data["organization"],
            template=self.number.integration.template_id,
            enabled=True,
        ).first()


def people_of(organization: Organization | None) -> Any:
    """The active members of an organization."""
    if organization is None:
        return User.objects.none()
    active = Q(memberships__organization=organization, memberships__status=Membership.Status.ACTIVE)
    return User.objects.filter(active, is_active=True).distinct()


def time_in_words(hours: int) -> str:
    """A time of stickiness as people say it."""
    if hours == 0:
        return str(_("No: everybody on the number sees it at once"))
    if hours % 24:
        return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
    return ngettext("%(n)d day", "%(n)d days", hours // 24) % {"n": hours // 24}
