"""What can be rolled out: the bundles and releases of the agent in one folder, by their digest, and what each says of itself."""

from __future__ import annotations

import io
import logging
import os
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk_targets.agent_release.agent_release import AGENT_SUFFIX, AgentRelease, Kind, open_release
from edgesdk_targets.bundle.archive import SUFFIX
from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.chunk_list import chunks_of
from edgesdk_targets.bundle.package import Package
from edgesdk_targets.errors import EdgeError, InputError, Unsigned
from edgesdk_targets.signing.check import signatures_of
from edgesdk_targets.whole_file import made_parent, replacing, write_all

_BLOCK = 1 << 20
_SUFFIXES: dict[Kind, str] = {"bundle": SUFFIX, "agent": AGENT_SUFFIX}
# What finds out which release runs, and the name of the wheel that it is in.
_FINDS_ITSELF, _OWN_WHEEL = "edgesdk_agent/update/environment/running_agent.py", "edgesdk-"
_log = logging.getLogger("edgesdk.fleet.rollout")


@dataclass(frozen=True, slots=True)
class Shelved:
    """A bundle on the shelf, or a release of the agent.

    Attributes:
        release: as its signature states it, 0 where it has none; signed_by: ids of the keys. Devices check both.
        variants: of a bundle, target, runtime and precision of each; metrics: as the converter measured them.
        chunks: the list that devices fetch it by.
        needs: of an agent, the `python`, `machine` and `glibc` that its wheels are for.
        says_which: an agent says in its birth which release it is; one that does not would count as silent wherever it runs.
    """

    path: Path
    digest: str
    name: str
    version: str
    release: int
    size: int
    signed_by: tuple[str, ...]
    variants: tuple[dict[str, str], ...]
    metrics: dict[str, Any]
    chunks: bytes
    kind: Kind = "bundle"
    needs: Mapping[str, str] = field(default_factory=dict)
    says_which: bool = True

    @property
    def targets(self) -> frozenset[str]:
        return frozenset(one["target"] for one in self.variants)

    @property
    def suffix(self) -> str:
        """The end of its file's name."""
        return _SUFFIXES[self.kind]

    def unfit(self, target: str, hardware: Mapping[str, str]) -> str:
        """Return why it is nothing for a device, as far as that said what it is; the device itself looks again.

        Args:
            hardware: as in its birth.
        """
        if self.kind == "bundle" and target and target not in self.targets:
            return f"the bundle has nothing for {target}, only for {', '.join(sorted(self.targets))}"
        machine, python = (str(hardware.get(fact, "")) for fact in ("machine", "python"))
        if self.kind == "agent" and machine and machine != self.needs["machine"]:
            return f"the agent is for {self.needs['machine']}, and not for {machine}"
        if self.kind == "agent" and python and python.split(".")[:2] != self.needs["python"].split("."):
            return f"the agent is for Python {self.needs['python']}, and not for {python}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return what people want to know of it."""
        return {
            "digest": self.digest, "kind": self.kind, "name": self.name, "version": self.version, "release": self.release,
            "size_bytes": self.size, "signed_by": list(self.signed_by), "variants": list(self.variants),
            "metrics": self.metrics, "needs": dict(self.needs), "file": self.path.name,
        }  # fmt: skip


class Shelf:
    """A folder of bundles and releases. A file is read once, and again when it has changed; one that is neither is passed over.

    Args:
        folder: made when the first bundle is put there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[tuple[int, int], Shelved | None]] = {}
        self._lock = threading.Lock()

    def bundles(self) -> list[Shelved]:
        """Return all, by name and release."""
        # Only what a look into the folder shows: nothing from outside ever becomes a path.
        paths = sorted(path for one in _SUFFIXES.values() for path in self.folder.glob(f"*{one}"))
        found = [one for path in paths if path.is_file() and (one := self._read(path)) is not None]
        return sorted(found, key=lambda one: (one.name, one.release, one.path.name))

    def find(self, digest: str) -> Shelved | None:
        """Return what is signed of a digest, of several the highest release."""
        signed = [one for one in self.bundles() if one.digest == digest and one.release]
        return max(signed, key=lambda one: one.release, default=None)

    def put(self, bundle: Path) -> Shelved:
        """Copy a signed bundle, or release of the agent, here, unless it is here.

        Raises:
            Unsigned: no device would take it. BundleError: it is none, or damaged.
            InputError, NoSpace: it cannot be read, or the folder not be written.
        """
        read = shelved(bundle)
        if not read.release:
            raise Unsigned(f"{bundle} is not signed, and no device takes it.", hint="edgesdk bundle sign")
        here = next((one for one in self.bundles() if (one.digest, one.release) == (read.digest, read.release)), None)
        if here is not None:
            return here
        # With some of the digest: another content under the same name, version and release does not replace it.
        place = self.folder / f"{read.name}-{read.version}-{read.release}-{read.digest[7:15]}{read.suffix}"
        try:
            with bundle.open("rb") as source, replacing(made_parent(place) / place.name) as handle:
                while block := source.read(_BLOCK):
                    write_all(handle, block)
        except OSError as error:
            raise InputError(f"{bundle} cannot be read: {error.strerror or error}.", hint="Check the file.") from error
        return shelved(place)

    def _read(self, path: Path) -> Shelved | None:
        try:
            stat = os.stat(path)  # noqa: PTH116  (as a value of two numbers, whatever it is a link to)
        except FileNotFoundError:  # taken away since the folder was looked at
            return None
        version = (stat.st_size, stat.st_mtime_ns)
        with self._lock:
            known = self._known.get(path)
            if known is None or known[0] != version:
                known = version, _or_none(path)
                self._known[path] = known
            return known[1]


def shelved(path: Path) -> Shelved:
    """Read a file of either kind. Raises BundleError, InputError: it is none, or cannot be read."""
    with open_release(path) as bundle:
        signed, manifest = signatures_of(bundle), bundle.manifest
        release = 0 if signed is None else signed.read_statement().release
        chunks = chunks_of(bundle, release)
        return Shelved(
            path=path, digest=bundle.digest, name=manifest.name, version=manifest.version, release=release,
            size=chunks.size, signed_by=() if signed is None else tuple(one.key for one in signed.signatures),
            chunks=chunks.to_bytes(), kind=chunks.kind, **_described(bundle),
        )  # fmt: skip


def _described(package: Package) -> dict[str, Any]:
    """Return what only one of the kinds has."""
    if isinstance(package, AgentRelease):
        found = package.manifest
        return {
            "variants": (),
            "metrics": {},
            "needs": {"python": found.python, "machine": found.arch, "glibc": found.glibc},
            "says_which": _says_which(package),
        }
    assert isinstance(package, Bundle)  # noqa: S101  (for the type)
    variants = tuple(
        {"target": one.target, "runtime": one.runtime.value, "precision": one.precision.value, "status": one.status}
        for one in package.manifest.variants
    )
    return {"variants": variants, "metrics": package.manifest.metrics}


def _says_which(release: AgentRelease) -> bool:
    """Tell whether an agent's own program knows which release it is, by what is in its wheel: no version number tells."""
    for name in release.manifest.files:
        if not name.rpartition("/")[2].startswith(_OWN_WHEEL):
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(release.read(name))) as wheel:
                return _FINDS_ITSELF in wheel.namelist()
        except zipfile.BadZipFile:
            return False
    return False


def _or_none(path: Path) -> Shelved | None:
    try:
        return shelved(path)
    except EdgeError as error:
        _log.warning("%s is passed over: %s", path, error.message)
        return None
