"""The bundles that devices may fetch when they are enrolled: the files of one folder, by name and by digest."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from edgesdk_targets.enrolment import BundleToFetch
from edgesdk_targets.errors import InputError

_SUFFIX = ".edgebundle"


class BundleShelf:
    """A folder of bundles. A file's digest is computed once, and again when the file has changed.

    Args:
        folder: None where there are none to fetch.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, tuple[tuple[int, int], BundleToFetch]] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> BundleToFetch:
        """Return a bundle by its file's name; `.edgebundle` may be left out.

        Raises:
            InputError: there is none of this name.
        """
        for candidate in (name, name + _SUFFIX):
            path = self._file(candidate)
            if path is not None:
                return self._described(path)
        raise InputError(f"There is no bundle {name[:100]!r} to fetch.", hint="Put it into the folder of --bundles.")

    def file_of(self, sha256: str) -> Path | None:
        """Return the file whose content has this digest."""
        for path in self._files():
            if self._described(path).sha256 == sha256:
                return path
        return None

    def _file(self, name: str) -> Path | None:
        return next((path for path in self._files() if path.name == name), None)

    def _files(self) -> list[Path]:
        # Only what a look into the folder shows: no name from outside ever becomes a path.
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.suffix == _SUFFIX and path.is_file())

    def _described(self, path: Path) -> BundleToFetch:
        stat = path.stat()
        version = (stat.st_size, stat.st_mtime_ns)
        with self._lock:
            known = self._known.get(path.name)
            if known is None or known[0] != version:
                digest = _digest(path)
                known = version, BundleToFetch(name=path.name, sha256=digest, size_bytes=stat.st_size)
                self._known[path.name] = known
            return known[1]


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()
