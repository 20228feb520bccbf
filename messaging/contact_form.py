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
    """Name, company, note and tags of the person whom a contact stands for; `apply` stores what was changed.

    Several people may have the same contact open. What another one has stored meanwhile stays, and is shown
    before a field that both have changed is replaced.
    """

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
        for field in self.fields.values():
            field.show_hidden_initial = True

    def clean_tags(self) -> list[str]:
        try:
            return contacts.tag_names(self.cleaned_data["tags"])
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def clean(self) -> dict[str, Any]:
        for name in self._changed:
            stored, seen = self.initial[name], self._seen(name)
            if not _same(stored, seen):
                # The author knows it from now on.
                self.data = {**dict(self.data.items()), self[name].html_initial_name: stored}
                said = _("Somebody has changed this meanwhile to “%(stored)s”. Save again to replace it.")
                self.add_error(name, forms.ValidationError(said, params={"stored": stored}))
        return self.cleaned_data

    def apply(self, by: User) -> None:
        """Stores what was changed."""
        contacts.edit(self.instance, by, **{name: self.cleaned_data[name] for name in self._changed})

    @property
    def _changed(self) -> list[str]:
        """The fields in which the author has written something else than the page showed."""
        return [name for name in self.fields if not _same(self[name].data or "", self._seen(name))]

    def _seen(self, name: str) -> str:
        """What the page showed in a field; what is stored if it does not say."""
        return str(self.data.get(self[name].html_initial_name, self.initial[name]))

    def _post_clean(self) -> None:
        """Leaves the row as it is stored: `apply` compares and changes it."""

    def _save_m2m(self) -> None:
        """Tags are stored by `apply`."""


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same, however their lines end."""
    return one.strip().splitlines() == other.strip().splitlines()
