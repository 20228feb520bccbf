"""The form for several numbers at once, which makes the file of an import of what was pasted."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from integrations.models import Integration
from messaging import numbers
from messaging.forms import active_members, invitation_label
from messaging.models import Number
from messaging.rules import invited
from messaging.transfer import cells
from portal.models import Invitation, Organization, User

MOST_PROBLEMS = 10  # that are named


class SeveralForm(forms.Form):
    """Numbers of one organization, each in a line, that get the same provider and users."""

    pasted = forms.CharField(
        label=_("Numbers"),
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 8, "placeholder": "+61 8 5555 5501\n+61 8 5555 5502"}),
        help_text=_("One in each line; after a comma or tab the line may have a display name."),
    )
    country = forms.ChoiceField(
        label=_("Country"),
        required=False,
        widget=forms.Select(attrs={"data-countries": True}),  # the browser knows their names
        help_text=_("Numbers without a country code are taken to be in this country."),
    )
    integration: forms.ModelChoiceField[Integration] = forms.ModelChoiceField(
        queryset=None, label=_("Provider"), empty_label=_("Choose…")
    )
    users: forms.ModelMultipleChoiceField[User] = forms.ModelMultipleChoiceField(
        queryset=None, label=_("Users"), required=False, widget=forms.CheckboxSelectMultiple
    )

    invited: forms.ModelMultipleChoiceField[Invitation] = forms.ModelMultipleChoiceField(
        queryset=None,
        label=_("Invited people"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("They get the numbers when they accept their invitation."),
    )

    def __init__(self, organization: Organization, *args: Any) -> None:
        super().__init__(*args)
        self.organization = organization
        fields: Any = self.fields
        fields["country"].choices = [("", "–"), *numbers.countries()]
        own = Integration.objects.filter(organization=organization, enabled=True).select_related("template")
        fields["integration"].queryset = own
        fields["integration"].label_from_instance = lambda integration: str(integration.template)
        if len(own) == 1:
            fields["integration"].initial = own[0]
        fields["users"].queryset = active_members(organization)
        fields["invited"].queryset = invited.to(organization)
        fields["invited"].label_from_instance = invitation_label
        # Most numbers of an organization are in one country.
        fields["country"].initial = Number.objects.only_countries([organization]).get(organization.pk)

    def clean_pasted(self) -> list[tuple[str, str]]:
        """The numbers with their display names."""
        found = []
        for line in self.cleaned_data["pasted"].splitlines():
            number, *rest = re.split(r"[\t,;]", line.strip(), maxsplit=1)
            if number.strip():
                found.append((number.strip(), "".join(rest).strip()))
        if not found:
            raise ValidationError(_("Paste at least one number."))
        if len(found) > cells.MAX_ROWS:
            raise ValidationError(_("Paste at most %(most)d numbers.") % {"most": cells.MAX_ROWS})
        return found

    def clean(self) -> dict[str, Any]:
        """Refuses what is no number where it was pasted, so that it can be corrected there."""
        wrong = []
        for number, _name in self.cleaned_data.get("pasted", []):
            try:
                numbers.parse(number, self.cleaned_data.get("country", ""))
            except ValueError as error:
                wrong.append(str(error))
        if len(wrong) > MOST_PROBLEMS:
            more = len(wrong) - MOST_PROBLEMS
            wrong[MOST_PROBLEMS:] = [
                ngettext("%(n)d more is wrong.", "%(n)d more are wrong.", more) % {"n": more}
            ]
        if wrong:
            self.add_error("pasted", ValidationError(wrong))
        return self.cleaned_data

    def table(self) -> bytes:
        """The file to import."""
        given = self.cleaned_data
        file = io.StringIO()
        writer = csv.writer(file)
        same = {
            "organization": self.organization.domain,
            "country": given["country"],
            "provider": given["integration"].template.service_id,
        }
        # Without the columns that nobody has filled in: a number that is there already keeps its own.
        if given["users"] or given["invited"]:
            same["users"] = " ".join(each.email for each in (*given["users"], *given["invited"]))
        names = any(name for _number, name in given["pasted"])
        writer.writerow([*same, "number", *(["display_name"] if names else [])])
        for number, name in given["pasted"]:
            writer.writerow([*same.values(), number, *([name] if names else [])])
        return file.getvalue().encode()
