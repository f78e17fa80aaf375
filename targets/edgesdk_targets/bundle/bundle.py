"""Open, check, read and write a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.bundle.archive import Archive, Limits, pack
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.bundle.package import MANIFEST, Package, file_entry, open_package
from edgesdk_targets.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Bundle(Package):
    """An opened bundle whose files were all checked against the manifest."""

    manifest: Manifest

    def variant_files(self, variant: Variant) -> dict[str, bytes]:
        """Return the content of a variant's files by role."""
        return {role: self.read(path) for role, path in variant.files.items()}


def open_bundle(
    path: str | Path, limits: Limits | None = None, *, accept: Callable[[str, bytes | None], object] | None = None
) -> Bundle:
    """Open a bundle file, or the folder it was unpacked to, and check all of it.

    Args:
        accept: is given the digest and the content of `signature.json` before anything of a stranger's is parsed, and
            raises to refuse the bundle.

    Raises:
        BundleError: one of its kinds, by what is wrong.
    """
    return open_package(path, limits, accept, read_bundle)


def read_bundle(path: Path, manifest: bytes, digest: str, archive: Archive) -> Bundle:
    """Return a bundle by its manifest. Raises UnknownSchema, BadBundle."""
    return Bundle(path, Manifest.from_bytes(manifest), digest, archive)


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write a bundle, whole or not at all, and return its digest.

    Args:
        manifest: its `files` table is replaced by what `files` holds.
        files: path in the bundle → content.

    Raises:
        NoSpace: the disk is full.
        InputError: the place cannot be written.
    """
    table = {name: file_entry(data) for name, data in sorted(files.items())}
    raw = Manifest.model_validate(manifest.model_dump(by_alias=True) | {"files": table}).to_bytes()
    content = pack({MANIFEST: raw, **files})
    write_whole(path, content)
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"
