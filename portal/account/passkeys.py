"""The forms of passkeys, which refuse whatever no browser says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.webauthn import forms as allauth
from django import forms
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _


@contextmanager
def _refusing() -> Iterator[None]:
    """Raises ValidationError for strange types and nests, at which readers stop with other errors."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise forms.ValidationError(_("This is no passkey. Please try again.")) from None


class CredentialField(forms.JSONField):
    """What a browser says of a passkey, as JSON; it is not shown again."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        with _refusing():
            return super().to_python(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return InvalidJSONInput("")


class AddForm(allauth.AddWebAuthnForm):
    """A passkey that signs in by itself, unless somebody wants it besides the password only."""

    name = forms.CharField(
        label=_("Name"), max_length=60, required=False, help_text=_("For example the device that keeps it.")
    )
    passwordless = forms.BooleanField(
        label=_("Sign in with it instead of the password"), required=False, initial=True
    )
    credential = CredentialField()
    field_order = ["name", "passwordless", "credential"]

    def clean(self) -> dict[str, Any]:
        with _refusing():
            return super().clean()  # type: ignore[no-any-return]


class _Known(allauth.AuthenticateWebAuthnForm):
    """A passkey that has been added."""

    credential = CredentialField()

    def clean_credential(self) -> Any:
        with _refusing():
            return super().clean_credential()


class LoginForm(_Known, allauth.LoginWebAuthnForm):
    """Signs in without a password."""


class AuthenticateForm(_Known):
    """Signs in after the password."""


class ReauthenticateForm(_Known, allauth.ReauthenticateWebAuthnForm):
    """Shows once more who is there."""
