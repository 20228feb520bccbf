"""The form of what is known of a contact, which the inbox and the administration show."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from messaging.errors import Refused
from messaging.models import Contact
from messaging.rules import contacts
from portal.models import User

FIELDS = ["name", "company", "tags", "note"]


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    """Name, company, note and tags of the person whom a contact stands for; `apply` stores them."""

    tags = forms.CharField(
        label=_("Tags"),
        required=False,
        max_length=2000,
        help_text=_("Separate them by commas."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    class Meta:
        model = Contact
        fields = FIELDS
        widgets = {"note": forms.Textarea(attrs={"rows": 4})}

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.initial["tags"] = ", ".join(str(tag) for tag in self.instance.tags.all())

    def clean_tags(self) -> list[str]:
        try:
            return contacts.tag_names(self.cleaned_data["tags"])
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def apply(self, by: User) -> None:
        """Stores what was entered."""
        contacts.edit(self.instance, by, **{name: self.cleaned_data[name] for name in FIELDS})

    def _post_clean(self) -> None:
        """Leaves the row as it is stored: `apply` compares and changes it."""

    def _save_m2m(self) -> None:
        """Tags are stored by `apply`."""
