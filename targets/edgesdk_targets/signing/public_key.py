"""An Ed25519 public key: its one line of text, its id, and what it says of a signature; `cryptography` only in this file.

    ed25519 mXs0…k= box-1

The id is the beginning of the key's sha256: short enough to be read out, and nobody finds a second key with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from edgesdk_targets.errors import InputError, MissingExtra

ALGORITHM = "ed25519"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
_ID_DIGITS = 32
_ID = re.compile(rf"[0-9a-f]{{{_ID_DIGITS}}}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with.

    Attributes:
        raw: the 32 bytes of the key.
        name: for people; says nothing of whom the key belongs to.
    """

    raw: bytes
    name: str

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise InputError(
                f"An Ed25519 key has {KEY_BYTES} bytes, not {len(self.raw)}.", hint="Copy the whole line of the key."
            )
        if not NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name[:80]!r} is no name of a key.",
                hint="Use letters, digits and ._@+-, 64 at most, a letter or digit first.",
            )

    @property
    def id(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()[:_ID_DIGITS]

    def to_line(self) -> str:
        """Return the key as the one line that `from_line` reads."""
        return f"{ALGORITHM} {base64.b64encode(self.raw).decode()} {self.name}"

    @classmethod
    def from_line(cls, line: str) -> PublicKey:
        """Read a key from its line.

        Raises:
            InputError: it is no such line.
        """
        words = line.split()
        if len(words) != 3 or words[0] != ALGORITHM:
            raise InputError(
                f"{line[:40]!r}… is no public key.",
                hint=f"A key is a line such as `{ALGORITHM} BASE64 NAME`; `edgesdk bundle keys show NAME` prints it.",
            )
        try:
            raw = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"The key {words[2]} is not in base64.", hint="Copy the whole line of the key.") from error
        return cls(raw, words[2])

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` is this key's over `message`.

        Raises:
            MissingExtra: cryptography is not installed.
        """
        # 0.2 s of import on a small board: only when there is something to check.
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError as error:
            raise MissingExtra("cryptography", "enrol") from error
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def check_key_id(text: str) -> str:
    """Return a key's id as it is written.

    Raises:
        InputError: it is none.
    """
    if not _ID.fullmatch(text):
        raise InputError(
            f"{text[:80]!r} is no id of a key.",
            hint=f"An id has {_ID_DIGITS} hexadecimal digits: `edgesdk bundle keys list`.",
        )
    return text
