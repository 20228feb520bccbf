"""Forms for a number with its users and auto-replies, and for moving it."""

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
from messaging.rules import invited, optout
from portal.models import Invitation, Membership, Organization, User

STICKY_HOURS = (0, 1, 2, 4, 8, 12, 24, 48, 72, 168, 336, 720)


class NumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """A number and the users who send and receive through it.

    A subclass sets `organization`, to which a new number belongs. A new number needs a provider; one that has
    lost its provider in a move can be saved without.
    """

    organization: ClassVar[Organization | None] = None
    assigned = forms.ModelMultipleChoiceField(
        label=_("Users"),
        queryset=User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Several users of a number share its conversations."),
    )
    invited = forms.ModelMultipleChoiceField(
        label=_("Invited people"),
        queryset=Invitation.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("They get the number when they accept their invitation."),
    )
    sticky_hours = forms.TypedChoiceField(
        label=_("Session stickiness"),
        coerce=int,
        widget=UnfoldAdminSelectWidget,
        help_text=_(
            "On a number with several users, how long replies are shown only to the user who started the "
            "conversation. Later replies are shown to all users of the number."
        ),
    )

    keyword_languages = forms.MultipleChoiceField(
        label=_("Languages of keywords"),
        choices=keywords.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "The words shown work like STOP. English is always understood, such as STOP, START and HELP. If "
            "no language is selected, those of the number's country are understood, too."
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
            "keyword_languages",
            "opt_out_keyword",
            "opt_out_answer",
            "help_answer",
        ]
        widgets = {
            "header": UnfoldAdminTextInputWidget,
            "footer": UnfoldAdminTextInputWidget,
            "opt_out_answer": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "help_answer": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.organization is not None:
            self.instance.organization = self.organization
        self.fields["assigned"].queryset = active_members(self.instance.organization)  # type: ignore[attr-defined]
        promised: Any = self.fields["invited"]
        promised.queryset = invited.to(self.instance.organization)
        promised.label_from_instance = invitation_label
        if "integration" in self.fields:
            self._set_providers(self.fields["integration"])
        if "country" in self.fields:
            self.fields["country"].widget.attrs["data-countries"] = True  # the browser knows their names
        if "sticky_hours" in self.fields:
            hours = sorted({*STICKY_HOURS, self.instance.sticky_hours})
            self.fields["sticky_hours"].choices = [  # type: ignore[attr-defined]
                (each, stickiness_label(each)) for each in hours
            ]
        if "keyword_languages" in self.fields:
            self.initial["keyword_languages"] = self.instance.keyword_languages.split()
        if self.instance.pk:
            self.fields["assigned"].initial = list(self.instance.users.values_list("pk", flat=True))
            promised.initial = list(self.instance.planned.values_list("invitation", flat=True))
            for name, text in (("opt_out_answer", optout.confirmation), ("help_answer", optout.help_text)):
                if name in self.fields and not getattr(self.instance, name):
                    self.fields[name].widget.attrs["placeholder"] = text(self.instance)

    def clean_keyword_languages(self) -> str:
        """As the number keeps them: codes with blanks between them."""
        return " ".join(self.cleaned_data["keyword_languages"])

    def _set_providers(self, field: Any) -> None:
        """Offers the organization's enabled integrations, and the number's current one."""
        current = self.instance.integration_id
        own = Integration.objects.filter(organization=self.instance.organization_id)
        field.queryset = own.filter(Q(enabled=True) | Q(pk=current)).select_related("template")
        field.label_from_instance = lambda integration: str(integration.template)
        field.required = current is not None or self.instance.pk is None
        if self.instance.pk is None and len(field.queryset) == 1:
            field.initial = field.queryset[0]

    def save_users(self, number: Number) -> None:
        """Assigns the selected users to the number, now or when they accept, and no others."""
        selected = set(self.cleaned_data["assigned"].values_list("pk", flat=True))
        number.assignments.exclude(user__in=selected).delete()
        known = set(number.assignments.values_list("user", flat=True))
        Assignment.objects.bulk_create(
            [Assignment(number=number, user_id=pk) for pk in selected - known], ignore_conflicts=True
        )
        number.release_conversations()
        invited.plan(number, self.cleaned_data["invited"])


class AutoReplyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A keyword (or *) and the reply to it."""

    class Meta:
        model = AutoReply
        fields = ["keyword", "text"]
        widgets = {
            "keyword": UnfoldAdminTextInputWidget(attrs={"placeholder": _("HOURS, or *")}),
            "text": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        }


class AutoReplyFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The auto-replies of a number, at most one for each keyword."""

    def clean(self) -> None:
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            keyword = form.cleaned_data.get("keyword", "") if hasattr(form, "cleaned_data") else ""
            if not keyword or form.cleaned_data.get("DELETE"):
                continue
            word = keywords.word(keyword) or keyword
            if word in seen:
                form.add_error("keyword", _("There is already a reply to this keyword."))
            seen.add(word)


class MoveForm(forms.Form):
    """Asks for the organization to which a number moves."""

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

    def integration(self) -> Integration | None:
        """The new organization's integration with the number's provider, if it is enabled."""
        if self.number.integration is None:
            return None
        return Integration.objects.filter(
            organization=self.cleaned_data["organization"],
            template=self.number.integration.template_id,
            enabled=True,
        ).first()


def active_members(organization: Organization | None) -> Any:
    """The active members of an organization."""
    if organization is None:
        return User.objects.none()
    active = Q(memberships__organization=organization, memberships__status=Membership.Status.ACTIVE)
    return User.objects.filter(active, is_active=True).distinct()


def invitation_label(invitation: Invitation) -> str:
    """Who is invited, as a choice."""
    return f"{invitation.name} <{invitation.email}>"


def stickiness_label(hours: int) -> str:
    """The label of a choice of session stickiness."""
    if hours == 0:
        return str(_("Off: all users see replies at once"))
    if hours % 24:
        return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
    return ngettext("%(n)d day", "%(n)d days", hours // 24) % {"n": hours // 24}
