"""The TUF repository of a fleet: a folder of signed metadata that says which bundles are released, for any web server.

    metadata/1.root.json       whose keys count for what; signed by several people, offline
    metadata/N.targets.json    which bundles are released: name, size, sha256; signed offline
    metadata/N.snapshot.json   which targets belong together     } signed often, by a key that is online
    metadata/timestamp.json    which snapshot is the newest one  }
    metadata/root.draft.json   a root that not enough people have signed yet

A bundle's name there is its digest, so that it may lie anywhere. `tuf` only in this file of the workstation's side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from edgesdk.signing.private_key import PrivateKey
from edgesdk_targets.agent_release.agent_release import open_release
from edgesdk_targets.bundle.archive import SUFFIX
from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.signing.public_key import PublicKey
from edgesdk_targets.whole_file import write_whole

_DRAFT = "root.draft.json"
_SPARSE = timedelta(days=365)
# Whoever holds a server can keep a device at what was newest so long ago.
_OFTEN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Roles:
    """Whose keys count for what.

    Attributes:
        root: change the keys, `threshold` of them together; targets: release bundles; online: say what is newest.
    """

    root: tuple[PublicKey, ...]
    threshold: int
    targets: PublicKey
    online: PublicKey


class TufRepository:
    """One repository's folder.

    Args:
        now: UTC; what is signed expires so long after.

    Raises:
        MissingExtra: tuf is not installed.
    """

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        _api()
        self._metadata = folder / "metadata"
        self._now = now or datetime.now(timezone.utc)

    def draft_root(self, roles: Roles) -> int:
        """Write the next root, which counts once enough people signed it, and return its version.

        Raises:
            InputError: the threshold asks for more keys than there are, or for none.
        """
        if not 1 <= roles.threshold <= len({key.id for key in roles.root}):
            raise InputError(
                f"{roles.threshold} of {len(roles.root)} keys of the root cannot sign.", hint="Name other keys."
            )
        api = _api()
        version = self._newest("root") + 1
        root = api.Root(version=version, expires=self._now + _SPARSE, consistent_snapshot=True)
        root.roles["root"].threshold = roles.threshold
        asked = {
            "root": roles.root,
            "targets": (roles.targets,),
            "snapshot": (roles.online,),
            "timestamp": (roles.online,),
        }
        for role, keys in asked.items():
            for key in keys:
                root.add_key(_tuf_key(key), role)
        self._write(_DRAFT, api.Metadata(root))
        return version

    def sign_root(self, key: PrivateKey) -> int:
        """Sign the draft, and return how many signatures are still missing; at 0 it is the root.

        Raises:
            InputError: there is no draft, or this key does not count for it.
        """
        draft = self._read(_DRAFT, "Begin with `edgesdk bundle tuf root`.")
        before = self._newest("root")
        old = draft if not before else self._read(f"{before}.root.json", "")
        signer = _signer(key)
        if signer.public_key.keyid not in {*old.signed.roles["root"].keyids, *draft.signed.roles["root"].keyids}:
            raise InputError(f"{key.public.name} is no key of the root.", hint="Sign with one that is.")
        draft.sign(signer, append=True)
        missing = sum(_missing(by.signed, draft) for by in {id(one): one for one in (old, draft)}.values())
        if missing:
            self._write(_DRAFT, draft)
            return missing
        self._write(f"{draft.signed.version}.root.json", draft)
        (self._metadata / _DRAFT).unlink()
        return 0

    def release(self, bundle: Path, targets: PrivateKey, online: PrivateKey) -> str:
        """Release a signed bundle, and return its name in the repository.

        Raises:
            InputError: the keys do not count here, or there is no root yet; BundleError: it is no bundle.
        """
        api = _api()
        with open_release(bundle) as opened:
            name = f"{opened.digest.partition(':')[2]}{SUFFIX}"
        file = api.TargetFile.from_file(name, str(bundle), ["sha256"])
        self._sign_targets(targets, online, lambda released: released.update({name: file}))
        return name

    def withdraw(self, name: str, targets: PrivateKey, online: PrivateKey) -> None:
        """Release a bundle no more. Raises InputError: it is not released, or as `release`."""

        def take_away(released: dict[str, Any]) -> None:
            if released.pop(name, None) is None:
                raise InputError(f"{name} is not released.", hint="Name one that is.")

        self._sign_targets(targets, online, take_away)

    def renew(self, online: PrivateKey, targets: PrivateKey | None = None) -> None:
        """Say what is newest, for a week from now; with their key the targets, for a year. Raises InputError: as `release`."""
        if targets is not None:
            self._sign_targets(targets, online, lambda _released: None)
            return
        api = _api()
        snapshot = api.Snapshot(meta={"targets.json": api.MetaFile(max(self._newest("targets"), 1))})
        version = self._newest("snapshot") + 1
        self._sign("snapshot", snapshot, version, online, _OFTEN)
        beside = self._metadata / "timestamp.json"
        last = self._read("timestamp.json", "").signed.version if beside.exists() else 0
        self._sign("timestamp", api.Timestamp(snapshot_meta=api.MetaFile(version)), last + 1, online, _OFTEN)

    def _sign_targets(
        self, targets: PrivateKey, online: PrivateKey, change: Callable[[dict[str, Any]], object]
    ) -> None:
        """Sign what is released anew, changed, and say that this is newest."""
        newest = self._newest("targets")
        signed = self._read(f"{newest}.targets.json", "").signed if newest else _api().Targets()
        change(signed.targets)
        self._sign("targets", signed, newest + 1, targets, _SPARSE)
        self.renew(online)

    def _sign(self, role: str, signed: Any, version: int, key: PrivateKey, lasts: timedelta) -> None:
        """Write a version of a role."""
        root = self._read(f"{self._newest('root')}.root.json", "Enough people must sign the root first.").signed
        signer = _signer(key)
        if signer.public_key.keyid not in root.roles[role].keyids:
            raise InputError(f"{key.public.name} does not count for {role} here.", hint="Sign with the key that does.")
        signed.version, signed.expires = version, self._now + lasts
        metadata = _api().Metadata(signed)
        metadata.sign(signer)
        self._write("timestamp.json" if role == "timestamp" else f"{version}.{role}.json", metadata)

    def _newest(self, role: str) -> int:
        """Return the highest version of a role; 0 where there is none."""
        names = (path.name.partition(".")[0] for path in self._metadata.glob(f"*.{role}.json"))
        return max((int(name) for name in names if name.isdigit()), default=0)

    def _read(self, name: str, hint: str) -> Any:
        try:
            return _api().Metadata.from_bytes((self._metadata / name).read_bytes())
        except OSError as error:
            raise InputError(f"There is no {name} in {self._metadata}.", hint=hint or "Is it the folder?") from error
        except Exception as error:  # tuf's own kinds, of which a damaged file raises several
            raise InputError(f"{self._metadata / name} is damaged.", hint="Take it from your backup.") from error

    def _write(self, name: str, metadata: Any) -> None:
        from tuf.api.serialization.json import JSONSerializer

        write_whole(self._metadata / name, metadata.to_bytes(JSONSerializer(compact=False)))


def _missing(by: Any, draft: Any) -> int:
    """Return how many signatures a root still asks for on a draft."""
    result = by.get_verification_result("root", draft.signed_bytes, draft.signatures)
    return max(0, int(result.threshold) - len(result.signed))


def _tuf_key(key: PublicKey) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.signer import SSlibKey

    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.raw))


def _signer(key: PrivateKey) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    return CryptoSigner(load_pem_private_key(key.to_pem(), None))


def _api() -> Any:
    try:
        from tuf.api import metadata
    except ImportError as error:
        raise MissingExtra("tuf", "tuf") from error
    return metadata
