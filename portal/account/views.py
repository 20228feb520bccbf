"""The pages on which people change their address, accept invitations, and ask for a new password."""

from __future__ import annotations

from typing import Any

from allauth.account import views as allauth
from allauth.account.adapter import get_adapter
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from portal import mail, throttling
from portal.account.signed_in import SignedIn
from portal.models import Invitation, User

CHANGES_PER_HOUR = 5
LINK_SECONDS = 24 * throttling.HOUR
_SALT = "portal.change_address"


class AddressForm(forms.Form):
    """The new address, and the password of whoever is signed in."""

    email = forms.EmailField(
        label=gettext_lazy("New email address"), widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        label=gettext_lazy("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self._user = user

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        if email == self._user.email:
            raise forms.ValidationError(_("This is your address already."))
        return email

    def clean(self) -> None:
        password = self.cleaned_data.get("password")
        if password and not self.errors and not get_adapter().reauthenticate(self._user, password):
            self.add_error("password", _("This is not your password."))


@sensitive_post_parameters("password")
@login_required
def change_address(request: SignedIn) -> HttpResponse:
    """Sends a link to the new address, whoever has it; nothing changes before that link is opened."""
    if not mail.is_configured():
        return render(request, "account/no_mail.html", {"address": True})
    form = AddressForm(request.user, request.POST if request.method == "POST" else None)
    sent_to = ""
    if form.is_valid():
        if throttling.count(f"change-address:{request.user.pk}", CHANGES_PER_HOUR, throttling.HOUR) is None:
            if _send_link(request.user, form.cleaned_data["email"]):
                sent_to = form.cleaned_data["email"]
            else:
                form.add_error(None, _("The mail could not be sent. Please try again later."))
        else:
            form.add_error(None, _("You have asked for many links. Please try again in an hour."))
    status = 422 if form.errors else 200
    return render(request, "account/change_address.html", {"form": form, "sent_to": sent_to}, status=status)


def _send_link(user: User, email: str) -> bool:
    # Mail goes out in both cases, so that neither the page nor its time tells whether the address exists.
    if User.objects.filter(email=email).exists():
        return mail.send(
            email,
            _("Your email address at Patchbay"),
            _(
                "Somebody wants to sign in to Patchbay with your email address. It belongs to your own user, "
                "so nothing has changed. If it was you, sign in with this address:\n\n%(url)s"
            )
            % {"url": mail.url("account_login")},
        )
    key = signing.dumps([user.pk, user.email, email], salt=_SALT)
    return mail.send(
        email,
        _("Confirm your email address"),
        _(
            "%(name)s wants to sign in to Patchbay with this email address. If that is you, open this link "
            "within a day:\n\n%(url)s\n\nIf not, ignore this mail."
        )
        % {"name": user, "url": mail.url("account_confirm_email", key)},
    )


@login_required
def confirm_address(request: SignedIn, key: str) -> HttpResponseBase:
    """Asks, and changes the address of the user for whom the link was made, once."""
    try:
        pk, old, new = signing.loads(key, salt=_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        return _gone(request)
    user = request.user
    if (pk, old) != (user.pk, user.email):
        return _gone(request)
    if request.method != "POST":
        return render(request, "account/confirm_address.html", {"new": new})
    user.email = new
    try:
        with transaction.atomic():
            user.save(update_fields=["email"])
    except IntegrityError:  # somebody else has got this address since the link was sent
        user.email = old
        return _gone(request)
    mail.send(
        old,
        _("Your email address has changed"),
        _(
            "You now sign in to Patchbay with %(new)s. If it was not you who changed this, tell your "
            "administrator at once."
        )
        % {"new": new},
    )
    messages.success(request, _("From now on you sign in with %(address)s.") % {"address": new})
    return redirect("account_email")


class NewUserForm(forms.Form):
    """What somebody who is new here tells of themselves."""

    name = forms.CharField(label=gettext_lazy("Your name"), max_length=120)
    password = forms.CharField(
        label=gettext_lazy("Choose a password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=gettext_lazy("The password again"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, invitation: Invitation, data: Any = None) -> None:
        super().__init__(data, initial={"name": invitation.name})
        self._email = invitation.email

    def clean(self) -> None:
        password, again = self.cleaned_data.get("password"), self.cleaned_data.get("again")
        if password and again and password != again:
            self.add_error("again", _("The passwords differ."))
        elif password:
            try:
                validate_password(password, User(email=self._email, name=self.cleaned_data.get("name", "")))
            except forms.ValidationError as error:
                self.add_error("password", error)

    def make(self) -> User:
        return User.objects.create_user(
            self._email, self.cleaned_data["password"], name=self.cleaned_data["name"]
        )


@sensitive_post_parameters("password", "again")
def accept_invitation(request: HttpRequest, key: str) -> HttpResponseBase:
    """Gives the role to the user who has the address and is signed in, or to a new user."""
    invitation = Invitation.objects.find(key)
    owner = User.objects.filter(email=invitation.email).first() if invitation else None
    if invitation is None or (owner is not None and not owner.is_active):
        return _gone(request)
    context: dict[str, Any] = {"invitation": invitation, "owner": owner}
    if owner is None:
        form = NewUserForm(invitation, request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                with transaction.atomic():
                    invitation.accept(form.make())
            except IntegrityError:  # pressed twice
                return redirect("invitation", key)
            messages.success(request, _("Welcome! Sign in with your address and your new password."))
            return redirect("account_login")
        return render(
            request, "account/invitation.html", context | {"form": form}, status=422 if form.errors else 200
        )
    if request.user == owner and request.method == "POST":
        invitation.accept(owner)
        messages.success(request, _("You have accepted the invitation."))
        return redirect("home")
    return render(request, "account/invitation.html", context)


@require_POST
@login_required
def hide_first_run(request: SignedIn) -> HttpResponse:
    """Hides the list of first steps from the start page of the administration, for this user."""
    User.objects.filter(pk=request.user.pk).update(hides_first_run=True)
    return redirect("admin:index")


def reset_password(request: HttpRequest) -> HttpResponseBase:
    """allauth's page, or what to do instead where no mail can be sent."""
    if not mail.is_configured():
        return render(request, "account/no_mail.html")
    try:
        return allauth.password_reset(request)  # type: ignore[no-any-return]
    except mail.ERRORS as error:
        mail.failed(error)
        return render(request, "account/no_mail.html", {"failed": True}, status=503)


def _gone(request: HttpRequest) -> HttpResponse:
    return render(request, "account/gone.html", status=404)
