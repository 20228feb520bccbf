"""What people write to somebody new, or to several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from messaging.errors import Refused
from messaging.inbox import whom, writing
from messaging.inbox.forms import MessageForm
from messaging.inbox.whom import LONGEST, Whom
from messaging.models import Contact, Message, Number
from messaging.models.contacts import ADDRESS_LENGTH
from messaging.models.numbers import NumberQuerySet
from messaging.outbound.submit import submit_each
from portal.ids import key_of
from portal.models import User


@dataclass(frozen=True)
class Sent:
    """The messages that were sent, and the contacts who got none, with why."""

    messages: Sequence[Message]
    refused: Sequence[tuple[Contact, Refused]] = ()


_AT_NIGHT = _("It is night at the contact’s place. Wait until 8:00, or press Send again to send it now.")
_AT_NIGHT_OF = _(
    "It is night at the place of %(contact)s. Wait until 8:00, or press Send again to send it now."
)


class NewMessageForm(MessageForm):
    """A message with its recipients, and the number that it goes out from."""

    GROUP, ALONE = "group", "alone"

    number: forms.ModelChoiceField[Number] = forms.ModelChoiceField(
        queryset=None, label=_("From"), empty_label=None
    )
    to = forms.CharField(
        label=_("To"),
        max_length=LONGEST,
        widget=forms.TextInput(
            attrs={
                "placeholder": _("A phone number or name; several with commas"),
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "aria-describedby": "whom-said",
            }
        ),
    )
    how = forms.ChoiceField(
        required=False, choices=[(GROUP, _("One group")), (ALONE, _("Each alone"))], initial=GROUP
    )
    # What was said of several recipients, and the recipient at whose place it was said to be night.
    told = forms.CharField(required=False, max_length=ADDRESS_LENGTH + 40)
    warned = forms.CharField(required=False, max_length=ADDRESS_LENGTH)
    field_order = ["number", "to", "text", "attachments"]

    def __init__(self, own: NumberQuerySet, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        field = self.fields["number"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = own

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if "number" in self.cleaned_data and "to" in self.cleaned_data:
            meant = self.whom
            if meant is None or not meant.contacts or meant.problems or meant.unfinished:
                said = [*meant.problems, meant.unfinished] if meant else []
                self.add_error("to", " ".join(filter(None, said)) or _("Say whom the message goes to."))
        return data

    @cached_property
    def whom(self) -> Whom | None:
        """Whom it goes to, as it is filled in; None without a number."""
        queryset = cast("forms.ModelChoiceField[Number]", self.fields["number"]).queryset
        rows = list(queryset) if queryset is not None else []
        chosen = key_of(str(self["number"].value() or ""))
        number = next((row for row in rows if row.pk == chosen), rows[0] if rows else None)
        return whom.read(number, self.user, str(self["to"].value() or "")) if number is not None else None

    @cached_property
    def sends_to_groups(self) -> bool:
        """Whether the recipients are several, and can be one group."""
        return self.whom is not None and self.whom.several and self.whom.number.sends_to_groups

    @property
    def as_group(self) -> bool:
        """Whether they are to be one group."""
        return self.sends_to_groups and self["how"].value() != self.ALONE

    @property
    def saying(self) -> str:
        """What `told` is once the page has said how it goes to several recipients."""
        if self.whom is None or not self.whom.several:
            return ""
        way = self.GROUP if self.sends_to_groups else self.ALONE
        return f"{self.whom.number.pk} {way} {self.whom.addresses}"

    @property
    def goes(self) -> str:
        """To how many it goes, and how."""
        count = len(self.whom.contacts) if self.whom else 0
        words = (
            _("Goes to %(count)d people as one group.")
            if self.as_group
            else _("Goes to %(count)d people, each alone.")
        )
        return str(words) % {"count": count}

    def send_new(self) -> Sent:
        """Submits what was written. Raises submit.Refused, also once if something has to be said before.

        That is to how many it goes, and that it is night where it arrives now.
        """
        assert self.whom is not None
        number, contacts, data = self.whom.number, self.whom.contacts, self.cleaned_data
        if data["told"] != self.saying and self.whom.several:
            raise Refused(f"{self.goes} {_('Press Send again to send it.')}")
        there = None if data["later"] else writing.night(number, contacts)
        if there is not None and there.now and data["warned"] != there.contact.address:
            raise Refused(
                str(_AT_NIGHT_OF) % {"contact": there.contact} if self.whom.several else str(_AT_NIGHT)
            )
        if self.as_group or not self.whom.several:
            one = contacts[0]
            # The members of a group that was named may be none at this number yet.
            members = contacts if self.as_group else tuple(one.members_in_order) if one.is_group else ()
            return Sent([self.send(self.user, number, members or one)])
        times = [self.time_for(self.user, number, [contact]) for contact in contacts]
        results = submit_each(self.user, number, contacts, send_at=times, **self.written(self.user))
        refused = [
            (contact, result)
            for contact, result in zip(contacts, results, strict=True)
            if isinstance(result, Refused)
        ]
        if len(refused) == len(contacts):
            raise Refused(" ".join(dict.fromkeys(str(why) for _contact, why in refused)))
        return Sent([result for result in results if isinstance(result, Message)], refused)
