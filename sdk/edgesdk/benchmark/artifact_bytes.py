"""How many bytes an artifact has: as a runtime reads it, and as a bundle stores it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import ZipFile

from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.bundle.package import MANIFEST


@dataclass(frozen=True, slots=True)
class ArtifactBytes:
    """Bytes of one variant's files.

    Attributes:
        unpacked: as a runtime reads them.
        deflated: as they lie in the bundle.
    """

    unpacked: int
    deflated: int


def artifact_bytes(bundle: Path | IO[bytes], variant: str | None = None) -> ArtifactBytes:
    """Count the bytes of one variant's files.

    Args:
        bundle: of our own making, which is not checked again.
        variant: its id; None for the first.
    """
    with ZipFile(bundle) as archive:
        variants = Manifest.from_bytes(archive.read(MANIFEST)).variants
        chosen = next(one for one in variants if variant in {None, one.id})
        entries = [archive.getinfo(path) for path in set(chosen.files.values())]
    return ArtifactBytes(sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries))
