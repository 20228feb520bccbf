"""The secrets of second factors, encrypted as all others are."""

from __future__ import annotations

from allauth.mfa.adapter import DefaultMFAAdapter

from portal import encryption

# How each token of Fernet begins: its version, and the first bytes of its time.
TOKEN = "gAAAAA"  # noqa: S105 (the beginning of all tokens)
# Where django-allauth keeps secrets within `Authenticator.data`.
NAMES = ("secret", "seed")


class Adapter(DefaultMFAAdapter):
    """Encrypts what django-allauth keeps of a second factor; what version 0.1 has stored is plain."""

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        if not encrypted_text.startswith(TOKEN):
            return encrypted_text
        return encryption.decrypt(encrypted_text.encode()).decode()
