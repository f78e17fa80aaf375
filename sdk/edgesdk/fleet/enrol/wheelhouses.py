"""Installers for devices, as `scripts/wheelhouse` writes them: one folder a target, served as one archive."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 1 << 18
_MARK = "wheelhouse.env"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Wheelhouses:
    """A folder of installers.

    Args:
        folder: holds one folder for each target, or is one itself and then serves every target; None for none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, name: str) -> Path | None:
        """Return the installer of a name: a target's, or `any`."""
        if self._folder is None or not _NAME.fullmatch(name) or not self._folder.is_dir():
            return None
        if (self._folder / _MARK).is_file():
            return self._folder
        found = {path.name: path for path in self._folder.iterdir() if (path / _MARK).is_file()}
        return found.get(name) or (next(iter(found.values())) if name == "any" and len(found) == 1 else None)

    @staticmethod
    def archive(folder: Path) -> Iterator[bytes]:
        """Give the files of an installer as a tar archive, without holding more than a block of it."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size, entry.mode = path.stat().st_size, 0o644
            yield entry.tobuf(tarfile.PAX_FORMAT)
            left = entry.size
            with path.open("rb") as stream:
                while left and (block := stream.read(min(_BLOCK, left))):
                    left -= len(block)
                    yield block
            # Whatever becomes of the file meanwhile, the archive keeps its form.
            yield bytes(left + -entry.size % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)
