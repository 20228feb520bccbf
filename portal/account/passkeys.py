"""The form that adds a passkey."""

from __future__ import annotations

from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms
from django.utils.translation import gettext_lazy as _


class AddForm(AddWebAuthnForm):
    """A passkey that signs in by itself, unless somebody wants it besides the password only."""

    name = forms.CharField(
        label=_("Name"), max_length=60, required=False, help_text=_("For example the device that keeps it.")
    )
    passwordless = forms.BooleanField(
        label=_("Sign in with it instead of the password"), required=False, initial=True
    )
    field_order = ["name", "passwordless", "credential"]
