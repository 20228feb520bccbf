"""Forms for an organization's property values and for a template's document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from integrations import properties
from integrations.language.document import Template as Compiled
from integrations.language.document import compile_document
from integrations.language.errors import DocumentError, Problem
from integrations.language.properties import Property, check_values
from integrations.models import Template


class ValuesForm(forms.Form):
    """A field for each property of a template; stored secrets are never shown, and kept if left empty.

    With `partial`, required values may be missing, because each organization can still enter them. Once the
    form is valid, `values` are its own values, and `combined` also has the inherited ones and the defaults.
    """

    def __init__(
        self,
        compiled: Compiled,
        stored: Mapping[str, Any],
        inherited: Mapping[str, Any],
        *args: Any,
        partial: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.compiled, self.stored, self.inherited, self.partial = compiled, stored, inherited, partial
        for index, item in enumerate(compiled.properties):
            self.fields[f"property-{index}"] = self._field(item)

    def _field(self, item: Property) -> forms.Field:
        set_here, set_above = item.label in self.stored, item.label in self.inherited
        hints = [item.help]
        placeholder = ""
        if item.secret and set_here:
            placeholder = _("Saved. Leave empty to keep it.")
        elif set_above:
            placeholder = _("Set for the whole account")
            hints.append(_("Leave empty to use the value of the account."))
        widget = _widget(item, placeholder)
        initial = None if item.secret else self.stored.get(item.label, None if set_above else item.default)
        if isinstance(initial, list):
            initial = "\n".join(map(str, initial))
        return forms.CharField(
            label=item.label,
            required=False,
            strip=True,
            initial=initial,
            widget=widget,
            help_text=" ".join(filter(None, hints)),
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        given = {}
        for index, item in enumerate(self.compiled.properties):
            value = data.get(f"property-{index}")
            if value not in (None, ""):
                given[item.label] = value
            elif item.secret and item.label in self.stored:
                given[item.label] = self.stored[item.label]
        clean, errors = check_values(self.compiled.properties, {**self.inherited, **given})
        if self.partial:
            errors = {label: reason for label, reason in errors.items() if label in given}
        before = {**self.inherited, **self.stored}
        moved = properties.moved_origin(self.compiled.properties, before, clean)
        for index, item in enumerate(self.compiled.properties):
            if item.label in errors:
                self.add_error(f"property-{index}", errors[item.label])
            elif moved and item.secret and item.label in before and not data.get(f"property-{index}"):
                self.add_error(
                    f"property-{index}",
                    _(
                        "Enter this value again. %(label)s has changed to %(host)s, and a stored secret is "
                        "not sent to another host."
                    )
                    % {"label": moved[0], "host": moved[1]},
                )
        self.values = {label: clean[label] for label in given if label in clean}
        self.combined = clean
        return data


def _widget(item: Property, placeholder: str) -> forms.Widget:
    attrs = {"placeholder": placeholder, "autocomplete": "off"}
    if item.type == "choice":
        empty = [("", placeholder or _("Choose…"))]
        return UnfoldAdminSelectWidget(choices=empty + [(choice, choice) for choice in item.choices])
    if item.type == "boolean":
        choices = [("", placeholder or _("Choose…")), ("true", _("Yes")), ("false", _("No"))]
        return UnfoldAdminSelectWidget(choices=choices)
    if item.type == "list":
        return UnfoldAdminTextareaWidget(attrs={**attrs, "rows": 3})
    if item.secret:
        return UnfoldAdminPasswordWidget(attrs={**attrs, "autocomplete": "new-password"})
    return UnfoldAdminTextInputWidget(attrs=attrs)


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A template's document as text, and the problems in it."""

    source = forms.CharField(
        label=gettext_lazy("Document"),
        strip=False,
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 24, "class": "document", "spellcheck": "false", "wrap": "off"}
        ),
        help_text=gettext_lazy(
            "The JSON document that describes the provider: which values it needs, how to send messages, and "
            "how to read webhooks."
        ),
    )

    class Meta:
        model = Template
        fields = ["account"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.problems: list[Problem] = []
        published = self.instance.published if self.instance.pk else None
        if "source" in self.fields and published is not None:
            self.fields["source"].initial = published.source
            self.problems = list(published.compiled.warnings)

    def clean(self) -> Any:
        data = super().clean() or self.cleaned_data
        if "source" not in data:
            return data
        try:
            compiled = compile_document(data["source"])
        except DocumentError as error:
            self.problems = error.problems
            count = len([problem for problem in error.problems if problem.severity == "error"])
            self.add_error(
                "source",
                ngettext(
                    "The document has not been saved. The problem is shown above.",
                    "The document has not been saved. The %(count)d problems are shown above.",
                    count,
                )
                % {"count": count},
            )
            return data
        self.problems = list(compiled.warnings)
        if "account" in data:
            self.instance.account = data["account"]
        try:
            self.instance.check_id(compiled.id)
        except ValidationError as error:
            self.add_error("source", error)
        return data

    @property
    def marked_lines(self) -> list[tuple[int, str, list[Problem]]]:
        """The lines around each problem: number, text, and problems."""
        text = self.data.get("source") if self.is_bound else self.fields["source"].initial
        lines = str(text or "").replace("\r\n", "\n").split("\n")
        shown = {
            near
            for problem in self.problems
            for near in range((problem.line or 1) - 1, (problem.line or 1) + 2)
            if 1 <= near <= len(lines)
        }
        return [
            (number, lines[number - 1][:300], [item for item in self.problems if (item.line or 1) == number])
            for number in sorted(shown)
        ]


__all__ = ["TemplateForm", "ValuesForm"]
