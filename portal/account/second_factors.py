"""Second factors: their secrets, encrypted as all others are, who has one, and how a lost one is removed."""

from __future__ import annotations

from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from portal import encryption, mail
from portal.ids import new_id
from portal.models import User

# How each token of Fernet begins: its version, and the first bytes of its time.
TOKEN = "gAAAAA"  # noqa: S105 (the beginning of all tokens)
# Where django-allauth keeps secrets within `Authenticator.data`.
NAMES = ("secret", "seed")


class Adapter(DefaultMFAAdapter):
    """Encrypts what django-allauth keeps of a second factor; what version 0.1 has stored is plain."""

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the host of PATCHBAY_PUBLIC_URL, whatever the Host header says."""
        return {"id": urlsplit(settings.PUBLIC_URL).hostname or "", "name": "Patchbay"}

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return _("Passkey") if number == 1 else _("Passkey %(number)d") % {"number": number}

    def get_totp_issuer(self) -> str:
        return f"Patchbay ({urlsplit(settings.PUBLIC_URL).hostname})"

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        if not encrypted_text.startswith(TOKEN):
            return encrypted_text
        return encryption.decrypt(encrypted_text.encode()).decode()


def of_users() -> QuerySet[Authenticator]:
    """What counts as a second factor; recovery codes only stand in for one."""
    kinds = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    found: QuerySet[Authenticator] = Authenticator.objects.filter(type__in=kinds)
    return found


def has_one(user: User) -> bool:
    """Whether the user has an authenticator app or a passkey."""
    return of_users().filter(user=user).exists()


def remove(user: User) -> bool:
    """Removes the second factors that somebody has lost, and ends their sessions.

    The password stays. The audit has an entry for each factor. Returns whether a mail tells them.
    """
    with transaction.atomic():
        Authenticator.objects.filter(user=user).delete()
        User.objects.filter(pk=user.pk).update(session_mark=new_id())
    return mail.is_configured() and mail.send(
        user.email,
        _("Your second factor was removed"),
        _(
            "%(name)s, your second factor at Patchbay was removed by an administrator, and you were signed "
            "out everywhere. Sign in with your password, and set up a new one:\n\n%(url)s\n\nIf you did not "
            "ask for this, change your password, and tell your administrator at once."
        )
        % {"name": user, "url": mail.url("mfa_index")},
    )
