"""The secrets of second factors, encrypted as all others are."""

from __future__ import annotations

from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.utils.translation import gettext as _

from portal import encryption
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
