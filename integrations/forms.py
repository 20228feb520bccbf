"""Forms that templates describe: an organization's property values, and the document itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
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
    """The properties of a template as fields; stored secrets are never shown, and kept if left empty.

    `partial`: what is required may be missing, because each organization can still give it. Once valid,
    `values` are the own ones, and `together` those with the inherited ones and the defaults.
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
            placeholder = _("saved – leave empty to keep")
        elif set_above:
            placeholder = _("set for the whole account")
            hints.append(_("Empty: what is set for the whole account."))
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
        moved = properties.moved(self.compiled.properties, before, clean)
        for index, item in enumerate(self.compiled.properties):
            if item.label in errors:
                self.add_error(f"property-{index}", errors[item.label])
            elif moved and item.secret and item.label in before and not data.get(f"property-{index}"):
                self.add_error(
                    f"property-{index}",
                    _(
                        "Enter it again: %(label)s now leads to %(host)s, "
                        "and a stored secret does not move along."
                    )
                    % {"label": moved[0], "host": moved[1]},
                )
        self.values = {label: clean[label] for label in given if label in clean}
        self.together = clean
        return data


def _widget(item: Property, placeholder: str) -> forms.Widget:
    attrs = {"placeholder": placeholder, "autocomplete": "off"}
    if item.type == "choice":
        empty = [("", placeholder or _("choose"))]
        return UnfoldAdminSelectWidget(choices=empty + [(choice, choice) for choice in item.choices])
    if item.type == "boolean":
        choices = [("", placeholder or _("choose")), ("true", _("yes")), ("false", _("no"))]
        return UnfoldAdminSelectWidget(choices=choices)
    if item.type == "list":
        return UnfoldAdminTextareaWidget(attrs={**attrs, "rows": 3})
    if item.secret:
        return UnfoldAdminPasswordWidget(attrs={**attrs, "autocomplete": "new-password"})
    return UnfoldAdminTextInputWidget(attrs=attrs)


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A document as text, with what is wrong in it."""

    source = forms.CharField(
        label=gettext_lazy("Document"),
        strip=False,
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 24, "class": "document", "spellcheck": "false", "wrap": "off"}
        ),
        help_text=gettext_lazy(
            "One JSON document describes the service: what to ask for, how to send, how to read."
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
                _("The document is not saved: %(count)d problems are shown above.") % {"count": count},
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
        """Number, text and problems of the lines around each problem."""
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
