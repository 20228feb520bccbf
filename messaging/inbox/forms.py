"""What people write: to a contact they talk with, or to somebody new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from messaging.models import Message, Number
from messaging.models.numbers import NumberQuerySet
from messaging.outbound import uploads
from messaging.outbound.submit import submit
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

    @property
    def most_bytes(self) -> int:
        """What the files may have together."""
        return settings.MAX_UPLOAD_BYTES

    @property
    def too_large(self) -> str:
        """What is said of files with more."""
        return uploads.too_large()

    def send(self, author: User, number: Number, to: str) -> Message:
        """Submits what was written. Raises submit.Refused."""
        data = self.cleaned_data
        files: Iterable[UploadedFile[Any]] = data["attachments"]
        return submit(author, number, to, text=data["text"], files=list(files), uuid=data["uuid"])


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
    field_order = ["number", "to", "text", "attachments"]

    def __init__(self, numbers: NumberQuerySet, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["number"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = numbers

    def send_new(self, author: User) -> Message:
        """Submits what was written. Raises submit.Refused."""
        return self.send(author, self.cleaned_data["number"], self.cleaned_data["to"])
