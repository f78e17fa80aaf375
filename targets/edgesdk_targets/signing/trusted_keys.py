"""Which keys are trusted here: a text file with a line a key, and a line for each that is trusted no more.

    # keys whose bundles this device runs
    ed25519 mXs0…k= box-1
    ed25519 9fQa…0= spare-in-the-safe
    revoked 3f2c…   laptop stolen

Files are joined by writing one after the other; a key's own `.pub` file is such a file with one line. `revoked` wins,
wherever it stands: nobody brings a revoked key back by naming it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk_targets.bounded_file import read_bounded
from edgesdk_targets.errors import InputError
from edgesdk_targets.signing.public_key import ALGORITHM, PublicKey, check_key_id
from edgesdk_targets.whole_file import write_whole

REVOKED = "revoked"
_LARGEST_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Keys by their id, and the ids that are revoked with the reason.

    Attributes:
        keys: all that were named, the revoked ones among them, so that a message can name them.
        revoked: id → why; may name keys that are not in `keys`.
    """

    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    revoked: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, *keys: PublicKey) -> TrustedKeys:
        return cls({key.id: key for key in keys})

    @property
    def good(self) -> tuple[PublicKey, ...]:
        """The keys that a bundle may be signed with."""
        return tuple(key for key_id, key in self.keys.items() if key_id not in self.revoked)

    def joined(self, other: TrustedKeys) -> TrustedKeys:
        return TrustedKeys({**self.keys, **other.keys}, {**self.revoked, **other.revoked})

    def without(self, key_id: str, why: str) -> TrustedKeys:
        """Return them with one key revoked."""
        return TrustedKeys(self.keys, {**self.revoked, key_id: _one_line(why)})

    def to_text(self) -> str:
        lines = [key.to_line() for key in self.keys.values()]
        lines += [f"{REVOKED} {key_id} {why}".rstrip() for key_id, why in self.revoked.items()]
        return "".join(f"{line}\n" for line in lines)


def parse_trusted_keys(text: str, source: str = "<text>") -> TrustedKeys:
    """Read the lines of a file of trusted keys.

    Raises:
        InputError: a line is neither a key nor a revocation; the message names it. Nothing is guessed: a line that is
            left out could be the one that revokes.
    """
    keys: dict[str, PublicKey] = {}
    revoked: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        kind, _, rest = stripped.partition(" ")
        try:
            if kind == REVOKED:
                key_id, _, why = rest.strip().partition(" ")
                revoked[check_key_id(key_id)] = _one_line(why)
            else:
                key = PublicKey.from_line(stripped)
                keys[key.id] = key
        except InputError as error:
            raise InputError(f"{source}:{number}: {error.message}", hint=error.hint) from error
    return TrustedKeys(keys, revoked)


def read_trusted_keys(paths: Iterable[Path]) -> TrustedKeys:
    """Read and join files of trusted keys.

    Raises:
        InputError: a file is missing, too large, not such a file, a private key, or none of its keys is good.
    """
    found, names = TrustedKeys(), []
    for path in paths:
        found = found.joined(parse_trusted_keys(_text(path), str(path)))
        names.append(str(path))
    if not found.good:
        why = "all keys are revoked" if found.keys else "there is no key"
        raise InputError(
            f"Nothing can be trusted by {', '.join(names) or 'no file'}: {why}.",
            hint="Put the line that `edgesdk bundle keys show NAME` prints into the file.",
        )
    return found


def write_trusted_keys(path: Path, keys: TrustedKeys) -> None:
    """Write a file of trusted keys, whole or not at all. Raises NoSpace, InputError."""
    write_whole(path, keys.to_text().encode())


def _text(path: Path) -> str:
    lines = f"A file of keys has lines that begin with `{ALGORITHM}`."
    raw = read_bounded(path, _LARGEST_BYTES, absent="Name a file of public keys, or NAME.pub.", larger=lines)
    if b"PRIVATE KEY" in raw:
        raise InputError(
            f"{path} is a private key, which belongs on the signer's machine alone.",
            hint=f"Give the public one: {path.with_suffix('.pub').name}.",
        )
    try:
        return raw.decode()
    except ValueError as error:
        raise InputError(f"{path} is no file of keys.", hint=lines) from error


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:200]
