"""The form of an organization's property values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from integrations import origins, properties
from integrations.language.document import Template as Compiled
from integrations.language.properties import Property, check_values
from integrations.models import AccessToken, PropertyValues
from integrations.properties import Credentials
from integrations.setup import Entered


class ValuesForm(forms.Form):
    """A field for each property of a template; stored secrets are never shown, and kept if left empty.

    It says where each secret will be sent, and remembers what it has said in the field `named`: only that is
    confirmed with what is entered, and the addresses that are entered themselves. With `partial`, required
    values may be missing, because each organization can still enter them. Once the form is valid, `entered`
    is what to store, and `credentials` also has the inherited values and the defaults.
    """

    def __init__(
        self,
        compiled: Compiled,
        own: PropertyValues | None,
        inherited: PropertyValues | None,
        *args: Any,
        fixed: Mapping[str, Any] | None = None,
        token: AccessToken | None = None,
        partial: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.compiled, self.partial = compiled, partial
        # Templates cannot read what begins with an underscore.
        self._own, self._inherited, self._token, self._fixed = own, inherited, token, fixed or {}
        self.stored = properties.shown(compiled, own)
        self.above = properties.shown(compiled, inherited)
        self.reach = self._reach(properties.combined(compiled, own, inherited).values)
        for index, item in enumerate(compiled.properties):
            self.fields[f"property-{index}"] = self._field(item)
        self.fields["named"] = forms.JSONField(required=False, widget=forms.HiddenInput)
        self.initial["named"] = [
            [label, origin] for label, found in self.reach.items() for origin in found if origin
        ]

    def _reach(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        reached = origins.reach(self.compiled, values, self._fixed)
        return {label: sorted(found) for label, found in reached.items()}

    def _field(self, item: Property) -> forms.Field:
        set_above = item.label in self.above.saved or item.label in self.above.values
        hints = [item.help]
        placeholder = ""
        if item.label in self.stored.saved:
            placeholder = _("Saved. Leave empty to keep it.")
        elif item.label in self.stored.cleared or (item.label in self.above.cleared and not set_above):
            hints.append(_("Enter it again: it is no longer kept secret, so the saved one is not used."))
        elif set_above:
            placeholder = _("Set for the whole account")
            hints.append(_("Leave empty to use the value of the account."))
        if goes := self.reach.get(item.label):
            where = ", ".join(origin or _("the address that you enter here") for origin in goes)
            hints.append(_("It is used for requests to %(origins)s.") % {"origins": where})
        initial = None
        if not item.secret and item.label not in self.stored.cleared:
            initial = self.stored.values.get(item.label, None if set_above else item.default)
        if isinstance(initial, list):
            initial = "\n".join(map(str, initial))
        widget = _widget(item, placeholder, lines=str(initial or "").count("\n") + 1)
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
        typed: dict[str, Any] = {}
        kept: dict[str, Any] = {}
        for index, item in enumerate(self.compiled.properties):
            value = str(data.get(f"property-{index}") or "").replace("\r\n", "\n")  # as forms send line ends
            if value:
                typed[item.label] = value
            elif self._own is not None and item.label in self.stored.saved:
                kept[item.label] = self._own.values[item.label]
        given = typed | kept
        before = properties.combined(self.compiled, None, self._inherited)
        clean, errors = check_values(self.compiled.properties, {**before.values, **given})
        if self.partial:
            errors = {label: reason for label, reason in errors.items() if label in given}
        for label in before.cleared - given.keys() if not self.partial else ():
            errors[label] = _("Enter this value again.")
        for index, item in enumerate(self.compiled.properties):
            if item.label in errors:
                self.add_error(f"property-{index}", errors[item.label])
        values = {label: clean[label] for label in typed if label in clean} | {
            label: value for label, value in kept.items() if label in clean
        }
        self.entered = Entered(values, self._confirmed(clean, typed, data.get("named")))
        self.credentials = self._candidate(values)
        return data

    def _confirmed(
        self, clean: Mapping[str, Any], typed: Mapping[str, Any], named: Any
    ) -> dict[str, set[str]]:
        """The origins for each secret that was entered: those that the page has named or asked for."""
        addresses = {
            origins.origin_of(str(clean[item.label]))
            for item in self.compiled.properties
            if item.type == "url" and item.label in typed and item.label in clean
        }
        addresses.discard("")
        said = named if isinstance(named, list) else []
        grant = self.compiled.grant
        fresh = set(typed)
        if grant is not None and (self._token is None or grant.reads & fresh & self.reach.keys()):
            fresh.add(properties.ACCESS_TOKEN)
        return {
            label: {origin for origin in found if origin in addresses or [label, origin] in said}
            for label, found in self._reach(clean).items()
            if label in fresh
        }

    def _candidate(self, values: Mapping[str, Any]) -> Credentials:
        """The credentials as they would be if the values were saved."""
        row = PropertyValues(pk=self._own.pk if self._own else None)
        if self._own is not None:
            row.values, row.secret_origins = self._own.values, self._own.secret_origins
        properties.change(row, self.compiled, values)
        for label, found in self.entered.confirmed.items():
            row.confirm(label, found, None)
        return properties.combined(self.compiled, row, self._inherited)


def _widget(item: Property, placeholder: str, lines: int) -> forms.Widget:
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
    if lines > 1:  # such as a public key: a field of one line would join them
        return UnfoldAdminTextareaWidget(attrs={**attrs, "rows": min(lines, 6)})
    return UnfoldAdminTextInputWidget(attrs=attrs)
