"""What a bundle and a release of the agent have in common: an archive, a manifest that lists its files, and who signed that."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from typing_extensions import Self

from edgesdk_targets.bundle.archive import Archive, Limits, open_archive, pack
from edgesdk_targets.bundle.manifest import BundleFile
from edgesdk_targets.errors import BadBundle, BadHash, InputError, TooLarge
from edgesdk_targets.whole_file import disk_errors, made_parent, write_whole

MANIFEST = "manifest.json"
# Made over the manifest, so it cannot be listed in it.
SIGNATURE = "signature.json"
MAX_MANIFEST_BYTES = 4 << 20
MAX_SIGNATURE_BYTES = 1 << 16
_P = TypeVar("_P", bound="Package")


class PackageManifest(Protocol):
    """What every manifest says."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def files(self) -> Mapping[str, BundleFile]: ...


@dataclass(frozen=True, slots=True)
class Package:
    """An opened package whose files were all checked against the manifest.

    Attributes:
        digest: `sha256:…` of the manifest, which names the package's content.
    """

    path: Path
    manifest: PackageManifest
    digest: str
    _archive: Archive

    def read(self, name: str) -> bytes:
        """Return a file's content, checked again against its hash.

        Raises:
            BadHash: the content differs from the manifest.
        """
        data = self._archive.read(name)
        if hashlib.sha256(data).hexdigest() != self.manifest.files[name].sha256:
            raise BadHash(f"{name} in {self.path} differs from its manifest.", hint="Copy the bundle again.")
        return data

    def signature(self) -> bytes | None:
        """Return the content of `signature.json`, which nothing has checked yet; None where the package is not signed."""
        return self._archive.read(SIGNATURE) if SIGNATURE in self._archive.sizes else None

    def write_signed(self, path: Path, signature: bytes) -> None:
        """Write the same package with another `signature.json`; every other byte of its content stays, and its digest too.

        Args:
            path: a file, which may be this one; of an unpacked package its own folder.

        Raises:
            InputError, NoSpace: it cannot be written; what was there stays.
        """
        if self.path.is_dir():
            if path.absolute() != self.path.absolute():
                raise InputError(f"{self.path} is a folder; it is signed where it is.", hint="Leave -o away.")
            write_whole(path / SIGNATURE, signature)
            return
        files = {name: self.read(name) for name in self.manifest.files}
        write_whole(path, pack({MANIFEST: self._archive.read(MANIFEST), **files, SIGNATURE: signature}))

    def unpack(self, folder: Path) -> None:
        """Write all files below `folder`, which must not exist or be empty.

        Raises:
            InputError: there is something already, or the place cannot be written.
            BadHash: a file was altered since the package was opened.
            NoSpace: the disk is full; nothing is left behind.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is a file, or not empty.", hint="Give a new folder.")
        with disk_errors(folder), tempfile.TemporaryDirectory(prefix=".unpack-", dir=made_parent(folder)) as scratch:
            whole = Path(scratch) / "bundle"
            for name in self._archive.sizes:
                target = whole / name
                target.parent.mkdir(parents=True, exist_ok=True)
                # The manifest and its signature are not in the manifest's own table.
                listed = name in self.manifest.files
                target.write_bytes(self.read(name) if listed else self._archive.read(name))
            if folder.exists():
                folder.rmdir()
            whole.rename(folder)

    def close(self) -> None:
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_package(
    path: str | Path,
    limits: Limits | None,
    accept: Callable[[str, bytes | None], object] | None,
    made: Callable[[Path, bytes, str, Archive], _P],
) -> _P:
    """Open a package's file, or the folder it was unpacked to, and check all of it.

    Args:
        accept: is given the digest and the content of `signature.json` before anything of a stranger's is parsed, and
            raises to refuse the package.
        made: reads the manifest, and returns the package.

    Raises:
        BundleError: one of its kinds, by what is wrong.
    """
    path = Path(path)
    archive = open_archive(path, limits or Limits())
    try:
        if MANIFEST not in archive.sizes:
            raise BadBundle(f"{path} has no {MANIFEST}.", hint="Give a file made by `edgesdk convert`.")
        if archive.sizes[MANIFEST] > MAX_MANIFEST_BYTES:
            raise TooLarge(f"{MANIFEST} is larger than {MAX_MANIFEST_BYTES} bytes.", hint="Make the bundle again.")
        if archive.sizes.get(SIGNATURE, 0) > MAX_SIGNATURE_BYTES:
            raise TooLarge(f"{SIGNATURE} is larger than {MAX_SIGNATURE_BYTES} bytes.", hint="Do not use this file.")
        data = archive.read(MANIFEST)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if accept is not None:
            accept(digest, archive.read(SIGNATURE) if SIGNATURE in archive.sizes else None)
        package = made(path, data, digest, archive)
        _check_files(package, archive)
        return package
    except BaseException:
        archive.close()
        raise


def file_entry(data: bytes) -> BundleFile:
    """Return the manifest's entry for a file of this content."""
    return BundleFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _check_files(package: Package, archive: Archive) -> None:
    declared = package.manifest.files
    present = set(archive.sizes) - {MANIFEST}
    if missing := sorted(set(declared) - present):
        raise BadBundle(f"{package.path} lacks {missing[0]}.", hint="Copy the bundle again.")
    if extra := sorted(present - set(declared) - {SIGNATURE}):
        raise BadBundle(
            f"{package.path} holds {extra[0]}, which its manifest does not list.", hint="Do not use this file."
        )
    for name, entry in declared.items():
        if archive.sizes[name] != entry.size:
            raise BadHash(f"{name} in {package.path} has another size than its manifest says.", hint="Copy it again.")
        package.read(name)
