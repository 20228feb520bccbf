"""What people write to a contact with whom they talk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.inbox import writing
from messaging.models import Contact, Conversation, Message, Number
from messaging.outbound import uploads
from messaging.outbound.submit import submit
from messaging.rules import schedule
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

    def send(self, author: User, number: Number, to: Contact | Sequence[Contact]) -> Message:
        """Submits what was written, to several as a group. Raises submit.Refused."""
        contacts = [to] if isinstance(to, Contact) else to
        send_at = self.time_for(author, number, contacts)
        return submit(author, number, to, send_at=send_at, **self.written(author))

    def written(self, author: User) -> dict[str, Any]:
        """The message without whom it is for, and when."""
        data = self.cleaned_data
        files: Iterable[UploadedFile[Any]] = data["attachments"]
        return {"text": writing.signed(data["text"], author), "files": list(files), "uuid": data["uuid"]}

    def time_for(self, author: User, number: Number, to: Sequence[Contact]) -> datetime | None:
        """When it is sent: when its author says, or once they cannot undo it any more."""
        data = self.cleaned_data
        if data["later"] or data["at"]:
            there = writing.night(number, to)
            return schedule.chosen(data["at"], data["later"], there.zone if there else None)
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
