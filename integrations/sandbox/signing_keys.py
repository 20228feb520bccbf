"""The key pairs that a provider signs with, made when they are first needed."""

from __future__ import annotations

from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


class SigningKeys:
    """One pair for each algorithm. The portal gets private ones where it is to sign its own requests."""

    @cached_property
    def ed25519(self) -> Ed25519PrivateKey:
        """The key for `verify` of the type ed25519."""
        return Ed25519PrivateKey.generate()

    @cached_property
    def _pairs(self) -> dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]:
        return {}

    def _pair(self, algorithm: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
        if algorithm not in self._pairs:
            self._pairs[algorithm] = (
                rsa.generate_private_key(65537, 2048)
                if algorithm == "RS256"
                else ec.generate_private_key(ec.SECP256R1())
            )
        return self._pairs[algorithm]

    def private(self, algorithm: str) -> str:
        """The private key for RS256 or ES256, as PEM."""
        key = self._pair(algorithm)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def public(self, algorithm: str) -> str:
        """The public key for RS256 or ES256, as PEM."""
        key = self._pair(algorithm).public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
