"""What one enters to try a provider."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

MOST_TEXT = 1_000  # characters
MOST_BYTES = 512 * 1024
ANSWERS = {
    "ok": gettext_lazy("As it should"),
    "429": gettext_lazy("Too many requests (429)"),
    "500": gettext_lazy("An error of its own (500)"),
    "slow": gettext_lazy("Slowly"),
    "garbage": gettext_lazy("Garbage: a web page"),
    "lost": gettext_lazy("Not at all: the answer is lost"),
}
REPORTS = {
    "delivered": gettext_lazy("Delivered"),
    "failed": gettext_lazy("Failed"),
    "": gettext_lazy("No report"),
}
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


class SendForm(forms.Form):
    """A message to the simulated phone, and how the provider answers."""

    prefix = "send"
    text = forms.CharField(
        label=gettext_lazy("Text"),
        required=False,
        max_length=MOST_TEXT,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        initial=gettext_lazy("Hello, “world” & all 👋"),
    )
    file = forms.FileField(label=gettext_lazy("Picture or file"), required=False)
    answer = forms.ChoiceField(
        label=gettext_lazy("The provider answers"),
        choices=list(ANSWERS.items()),
        widget=UnfoldAdminSelectWidget,
    )
    report = forms.ChoiceField(
        label=gettext_lazy("Delivery report"),
        required=False,
        initial="delivered",
        choices=list(REPORTS.items()),
        widget=UnfoldAdminSelectWidget,
    )

    def clean_text(self) -> str:
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")

    def clean_file(self) -> UploadedFile[Any] | None:
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        if file is not None and (file.size or 0) > MOST_BYTES:
            raise ValidationError(_("The file is larger than 512 KiB. Choose a smaller one."))
        return file

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not self.errors and not (found.get("text") or "").strip() and not found.get("file"):
            self.add_error("text", _("Write a text, or choose a file."))
        return found


class ReplyForm(forms.Form):
    """A message that is written on the phone."""

    prefix = "reply"
    text = forms.CharField(
        label=gettext_lazy("Answer"),
        required=False,
        max_length=MOST_TEXT,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    picture = forms.BooleanField(label=gettext_lazy("with a picture"), required=False)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not self.errors and not (found.get("text") or "").strip() and not found.get("picture"):
            self.add_error("text", _("Write a text."))
        return found


class RealForm(forms.Form):
    """A message that really is sent; `token` is used once."""

    prefix = "real"
    sender = forms.CharField(
        label=gettext_lazy("From, a number of the organization"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "+61…"}),
    )
    to = forms.CharField(
        label=gettext_lazy("To, a phone of your own"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "+61…", "inputmode": "tel"}),
    )
    text = forms.CharField(
        label=gettext_lazy("Text"), max_length=MOST_TEXT, widget=UnfoldAdminTextInputWidget
    )
    token = forms.RegexField(r"^[\w-]{1,64}\Z", widget=forms.HiddenInput)

    def clean_to(self) -> str:
        number = re.sub(r"[ ().-]", "", self.cleaned_data["to"])
        if not _NUMBER.fullmatch(number):
            raise ValidationError(_("Write the number with + and its country code, such as +61412345678."))
        return number
