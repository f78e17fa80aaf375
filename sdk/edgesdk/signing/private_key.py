"""An Ed25519 private key: made, written with a passphrase or without, read again, and what it signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.signing.public_key import PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class PassphraseNeeded(InputError):
    """The key is kept under a passphrase, and none or another was given."""


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """A key that bundles are signed with. It is never printed: `repr` says whose it is, not what."""

    _key: Ed25519PrivateKey
    public: PublicKey

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.name}, {self.public.id})"

    @classmethod
    def new(cls, name: str) -> PrivateKey:
        """Make a key.

        Raises:
            InputError: the name is none.
            MissingExtra: cryptography is not installed.
        """
        ed25519, _ = _cryptography()
        return cls._named(ed25519.Ed25519PrivateKey.generate(), name)

    @classmethod
    def from_pem(cls, pem: bytes, name: str, passphrase: str = "") -> PrivateKey:
        """Read a key.

        Raises:
            PassphraseNeeded: it is kept under a passphrase, and this is not it.
            InputError: it is no Ed25519 private key.
            MissingExtra: cryptography is not installed.
        """
        ed25519, serialization = _cryptography()
        try:
            found = serialization.load_pem_private_key(pem, passphrase.encode() or None)
        except TypeError as error:
            # cryptography's way to say that a passphrase is missing, or given where there is none.
            if not passphrase:
                raise PassphraseNeeded(f"The key {name} has a passphrase.", hint=_GIVE_IT) from error
            return cls.from_pem(pem, name)
        except ValueError as error:
            if passphrase:
                raise PassphraseNeeded(f"This is not the passphrase of {name}.", hint=_GIVE_IT) from error
            raise InputError(
                f"The key {name} is damaged.", hint="Take it from your backup, or make a new one."
            ) from error
        if not isinstance(found, ed25519.Ed25519PrivateKey):
            raise InputError(
                f"The key {name} is of another kind; bundles are signed with Ed25519.",
                hint="Make one: `edgesdk bundle keys new NAME`.",
            )
        return cls._named(found, name)

    @classmethod
    def _named(cls, key: Ed25519PrivateKey, name: str) -> PrivateKey:
        return cls(key, PublicKey(key.public_key().public_bytes_raw(), name))

    def to_pem(self, passphrase: str = "") -> bytes:
        """Return the key as PEM (PKCS #8), under the passphrase where there is one."""
        _, serialization = _cryptography()
        kept: Any = serialization.NoEncryption()
        if passphrase:
            kept = serialization.BestAvailableEncryption(passphrase.encode())
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._key.sign(message)


_GIVE_IT = "Give it when you are asked, or in the environment variable EDGESDK_KEY_PASSPHRASE."


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingExtra("cryptography", "enrol") from error
    return ed25519, serialization
