"""What people write: to a contact they talk with, or to somebody new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging import numbers
from messaging.errors import Refused
from messaging.inbox import writing
from messaging.models import Contact, Conversation, Message, Number
from messaging.models.numbers import NumberQuerySet
from messaging.outbound import uploads
from messaging.outbound.submit import submit
from messaging.rules import schedule
from portal.ids import key_of
from portal.models import User


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> Any:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        return list(given)


class MessageForm(forms.Form):
    """A text, files, or both. `uuid` is the message's name, so that a double click sends once."""

    uuid = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)
    text = forms.CharField(
        label=_("Message"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 1, "placeholder": _("Write a message"), "autocomplete": "off"}),
    )
    attachments = FilesField(label=_("Files"), required=False)
    # When it is sent: one of the choices of `schedule.chosen`, or the time in `at`; empty for now.
    later = forms.CharField(label=_("When"), required=False, max_length=20)
    at = forms.CharField(label=_("At"), required=False, max_length=40)
    schedule = forms.CharField(label=_("Schedule"), required=False, max_length=3)

    def clean_schedule(self) -> str:
        """Refuses to send at once what somebody schedules without a time."""
        pressed: str = self.cleaned_data["schedule"]
        if pressed and not (self.cleaned_data.get("later") or self.cleaned_data.get("at")):
            raise forms.ValidationError(_("Choose a time, or press Send."))
        return pressed

    @property
    def most_bytes(self) -> int:
        """What the files may have together."""
        return settings.MAX_UPLOAD_BYTES

    @property
    def too_large(self) -> str:
        """What is said of files with more."""
        return uploads.too_large()

    @property
    def recipient(self) -> Contact | None:
        """Whom it goes to, if not to whom the conversation is with."""
        return None

    def send(self, author: User, number: Number, to: str | Contact) -> Message:
        """Submits what was written. Raises submit.Refused."""
        data = self.cleaned_data
        files: Iterable[UploadedFile[Any]] = data["attachments"]
        text, send_at = writing.signed(data["text"], author), self._send_at(author, number, to)
        return submit(author, number, to, text=text, files=list(files), uuid=data["uuid"], send_at=send_at)

    def _send_at(self, author: User, number: Number, to: str | Contact) -> datetime | None:
        """When it is sent: when its author says, or once they cannot undo it any more."""
        data = self.cleaned_data
        if data["later"] or data["at"]:
            address = to.address if isinstance(to, Contact) else to
            return schedule.chosen(data["at"], data["later"], schedule.zone_of(address, number))
        seconds = writing.choices_of(author).undo_seconds
        return timezone.now() + timedelta(seconds=seconds) if seconds else None


class MemberForm(MessageForm):
    """A message to one member of a group, at first to whoever wrote last."""

    member: forms.ModelChoiceField[Contact] = forms.ModelChoiceField(
        queryset=None, label=_("To"), empty_label=None
    )

    def __init__(self, group: Conversation, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        wrote = group.messages.exclude(sender=None).order_by("-pk")
        self.initial["member"] = wrote.values_list("sender", flat=True).first()
        field = self.fields["member"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = group.contact.members_in_order

    @property
    def recipient(self) -> Contact | None:
        found: Contact = self.cleaned_data["member"]
        return found


class NewMessageForm(MessageForm):
    """A message with its recipient, and the number that it goes out from."""

    number: forms.ModelChoiceField[Number] = forms.ModelChoiceField(
        queryset=None, label=_("From"), empty_label=None
    )
    to = forms.CharField(
        label=_("To"),
        max_length=40,
        widget=forms.TextInput(
            attrs={"placeholder": _("A phone number"), "inputmode": "tel", "autocomplete": "off"}
        ),
    )
    # The recipient at whose place it was said to be night.
    warned = forms.CharField(required=False, max_length=numbers.ADDRESS_LENGTH)
    field_order = ["number", "to", "text", "attachments"]

    def __init__(self, own: NumberQuerySet, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["number"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = own

    def begun(self) -> Conversation | None:
        """The conversation that it begins, or goes on with, as it is filled in; None without a number."""
        queryset = cast("forms.ModelChoiceField[Number]", self.fields["number"]).queryset
        rows = list(queryset) if queryset is not None else []
        chosen = key_of(str(self["number"].value() or ""))
        number = next((row for row in rows if row.pk == chosen), rows[0] if rows else None)
        return writing.begun(number, str(self["to"].value() or "")) if number is not None else None

    def send_new(self, author: User) -> Message:
        """Submits what was written. Raises submit.Refused, also once if it is night where it arrives now."""
        data = self.cleaned_data
        talk = writing.begun(data["number"], data["to"])
        night = None if data["later"] or data["warned"] == talk.contact.address else writing.night(talk)
        if night is not None and night.now:
            said = _(
                "It is night at the contact’s place. Wait until 8:00, or press Send again to send it now."
            )
            raise Refused(str(said))
        return self.send(author, data["number"], data["to"])
