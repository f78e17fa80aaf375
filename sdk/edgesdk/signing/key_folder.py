"""Where the keys live: one folder of the user, 0700, with two files a key.

    NAME.key   the private key, 0600; whoever has it can put a model on your devices
    NAME.pub   the public one: the line that devices get

A private key that others may read is refused, as ssh does, because then it is not known who signs.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgesdk.signing.private_key import PrivateKey
from edgesdk_targets.errors import InputError
from edgesdk_targets.signing.public_key import NAME, PublicKey
from edgesdk_targets.signing.trusted_keys import TrustedKeys, read_trusted_keys, write_trusted_keys
from edgesdk_targets.whole_file import OWNER_ONLY, disk_errors, write_whole

_FOLDER_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LARGEST_BYTES = 1 << 16


def usual_folder() -> Path:
    """Return the user's folder of keys: `$XDG_CONFIG_HOME/edgesdk/keys`, by default below `~/.config`."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    # A relative path there is invalid by the specification, and would follow the working directory.
    config = Path(given) if given.startswith("/") else Path.home() / ".config"
    return config / "edgesdk" / "keys"


class KeyFolder:
    """The keys of one folder, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, name: str, passphrase: str = "") -> PrivateKey:
        """Make a key of a new name and write both its files.

        Raises:
            InputError: there is a key of this name, or the folder cannot be written.
            NoSpace: the disk is full.
            MissingExtra: cryptography is not installed.
        """
        key = PrivateKey.new(name)
        if self._private(name).exists() or self._public(name).exists():
            raise InputError(
                f"There is a key {name} in {self.path}; nobody could sign with it again if it were replaced.",
                hint="Choose another name.",
            )
        with disk_errors(self.path):
            self.path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        write_whole(self._private(name), key.to_pem(passphrase), OWNER_ONLY)
        write_trusted_keys(self._public(name), TrustedKeys.of(key.public))
        return key

    def public_keys(self) -> tuple[PublicKey, ...]:
        """Return the keys there are, by name. Raises InputError."""
        try:
            found = sorted(self.path.glob("*.pub"))
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}.", hint="Check it.") from error
        return tuple(key for path in found for key in read_trusted_keys([path]).good)

    def public(self, name: str) -> PublicKey:
        """Return the public key of a name. Raises InputError."""
        self._check(name, self._public(name))
        return read_trusted_keys([self._public(name)]).good[0]

    def has_private(self, name: str) -> bool:
        return self._private(name).exists()

    def private(self, name: str, passphrase: str = "") -> PrivateKey:
        """Return the private key of a name.

        Raises:
            InputError: there is none, others may read it, or it is damaged; PassphraseNeeded among them.
            MissingExtra: cryptography is not installed.
        """
        path = self._private(name)
        self._check(name, path)
        try:
            with path.open("rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
                pem = stream.read(_LARGEST_BYTES)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check its rights.") from error
        if mode & _OTHERS:
            raise InputError(
                f"{path} can be read by others ({stat.S_IMODE(mode):04o}).",
                hint=f"Make it yours alone, `chmod 600 {path}`; if somebody may have had it, revoke it.",
            )
        return PrivateKey.from_pem(pem, name, passphrase)

    def _check(self, name: str, path: Path) -> None:
        if not NAME.fullmatch(name) or not path.exists():
            known = ", ".join(key.name for key in self.public_keys()) or "none"
            raise InputError(
                f"There is no key {name[:80]!r} in {self.path}; there are: {known}.",
                hint="Make one: `edgesdk bundle keys new NAME`.",
            )

    def _private(self, name: str) -> Path:
        return self.path / f"{name}.key"

    def _public(self, name: str) -> Path:
        return self.path / f"{name}.pub"
