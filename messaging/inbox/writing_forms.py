"""What a user chooses about writing, and the replies that they keep."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from messaging.models import CannedReply, Number, WritingChoices
from portal.models import Organization, User

LISTED = 300  # numbers and organizations to choose from


class ChoicesForm(forms.ModelForm):  # type: ignore[type-arg]
    undo_seconds = forms.TypedChoiceField(
        label=_("After Send, I can undo for"),
        coerce=int,
        choices=[(0, _("no time: send at once")), (5, _("5 seconds")), (10, _("10 seconds"))],
    )

    class Meta:
        model = WritingChoices
        fields = ("undo_seconds", "signature")


class ReplyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A canned reply, and for whom it is: the user alone, all of an organization, or all of a number."""

    whose = forms.ChoiceField(label=_("For"))

    class Meta:
        model = CannedReply
        fields = ("name", "text")
        widgets = {"text": forms.Textarea(attrs={"rows": 3, "maxlength": 1600})}

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self._owners = _owners(user)
        field = self.fields["whose"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(key, label) for key, (label, _given) in self._owners.items()]
        if row := self.instance if self.instance.pk else None:
            kind = "mine" if row.owner_id else "number" if row.number_id else "all"
            self.initial["whose"] = f"{kind} {row.number_id if kind == 'number' else row.organization_id}"

    def apply(self) -> CannedReply:
        """The reply as it was written, not stored yet."""
        reply: CannedReply = super().save(commit=False)
        _label, given = self._owners[self.cleaned_data["whose"]]
        reply.owner_id, reply.number_id = given["owner"], given["number"]
        reply.organization_id = given["organization"]
        return reply


def _owners(user: User) -> dict[str, tuple[str, dict[str, Any]]]:
    """For whom the user may write replies: the label and the keys of each choice."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    own = Organization.objects.filter(pk__in=user.own_organizations).order_by("name")
    for row in own[:LISTED]:
        keys = {"owner": user.pk, "number": None, "organization": row.pk}
        found[f"mine {row.pk}"] = (str(_("Only me, %(name)s") % {"name": row}), keys)
    administered = Organization.objects.administered_by(user).order_by("name")
    for row in administered[:LISTED]:
        keys = {"owner": None, "number": None, "organization": row.pk}
        found[f"all {row.pk}"] = (str(_("Everybody, %(name)s") % {"name": row}), keys)
    numbers = Number.objects.filter(organization__in=administered.order_by(), active=True)
    for number in numbers.order_by("number")[:LISTED]:
        keys = {"owner": None, "number": number.pk, "organization": number.organization_id}
        found[f"number {number.pk}"] = (str(_("Everybody on %(name)s") % {"name": number}), keys)
    return found
