"""What the start page asks: whose template it is, how it is called, or the text that it begins with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from integrations.language.document import ID
from integrations.models.templates import NAME
from integrations.studio.importers import MAX_TEXT
from portal.models import Account, User
from portal.permissions import in_reach_of

_TOO_LARGE = gettext_lazy("The text is larger than %(size)d MiB.")


class StartForm(forms.Form):
    """Whose the template is: an account that the user administers; operators may add built-in ones."""

    account = forms.ModelChoiceField(
        Account.objects.none(), label=gettext_lazy("Account"), widget=UnfoldAdminSelectWidget
    )
    problems: list[dict[str, Any]] = []

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["account"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = accounts = Account.objects.filter(in_reach_of(user, "", "pk"))
        only = list(accounts[:2])
        if user.is_operator:
            field.required, field.empty_label = False, _("none: it is built in, and all accounts see it")
        elif len(only) == 1:
            field.initial, field.widget = only[0], forms.HiddenInput()


class NamedForm(StartForm):
    """A name and an id; without an id, one is made of the name."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=NAME, widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("What people see, such as the provider's name."),
    )  # fmt: skip
    service_id = forms.CharField(
        label=gettext_lazy("Id"), required=False, widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy(
            "Part of the webhook URL, such as acme-sms. Leave it empty to have it made from the name."
        ),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        chosen = data.get("service_id") or slugify(data.get("name", ""))[:64]
        if "name" in data and not ID.fullmatch(chosen):
            self.add_error(
                "service_id",
                _("Use 2 to 64 letters, digits, _ and -, starting with a letter or digit."),
            )
        data["service_id"] = chosen
        return data


class TextForm(StartForm):
    """A text that is pasted or uploaded: a document, or what another system knows of a provider."""

    source = forms.CharField(
        label=gettext_lazy("Text"), required=False, strip=False,
        widget=forms.Textarea(attrs={"rows": 16, "class": "document", "spellcheck": "false", "wrap": "off"}),
        help_text=gettext_lazy(
            "A template as JSON, an smsc group of a kannel.conf, provider settings of FusionPBX, an External "
            "channel of RapidPro, or a Postman collection."
        ),
    )  # fmt: skip
    file = forms.FileField(
        label=gettext_lazy("Or a file"), required=False,
        widget=forms.FileInput(attrs={"accept": ".json,.jsonc,.txt,.conf,.csv,.sql"}),
    )  # fmt: skip
    part = forms.CharField(
        label=gettext_lazy("Which one"), required=False, max_length=NAME, widget=forms.HiddenInput
    )

    def offer(self, parts: Iterable[str]) -> None:
        """Has one of several be chosen that a text has."""
        if choices := [(each, each) for each in parts]:
            self.fields["part"].widget = UnfoldAdminSelectWidget(choices=choices)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        text = str(data.get("source") or "")
        if (file := data.get("file")) is not None:
            if file.size > MAX_TEXT:
                raise ValidationError(_TOO_LARGE % {"size": MAX_TEXT // 2**20})
            try:
                text = file.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                raise ValidationError(_("The file is not a text in UTF-8.")) from None
        if not text.strip() or "\0" in text:
            raise ValidationError(_("Paste a text, or choose a file with one."))
        if len(text) > MAX_TEXT:
            raise ValidationError(_TOO_LARGE % {"size": MAX_TEXT // 2**20})
        data["source"] = text.replace("\r\n", "\n")
        return data
