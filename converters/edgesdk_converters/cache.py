"""Steps that were done already, by content.

An entry's key is the sha256 of everything its result depends on: the source, the step, its options and the versions
of the tools. An entry that is damaged counts as absent. The oldest entries go when the folder grows past its budget.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from edgesdk_targets.bundle.archive import Limits, open_archive, pack
from edgesdk_targets.errors import BundleError, EdgeError
from edgesdk_targets.whole_file import write_whole

BUDGET_BYTES = 2 << 30


def default_folder() -> Path:
    """Return where steps are kept: `$EDGESDK_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("EDGESDK_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgesdk"


def key_of(*parts: object, tools: Iterable[str] = ()) -> str:
    """Return the key of a step: a hash over its parts (bytes, or anything JSON), its tools' versions and our own code."""
    digest = hashlib.sha256(_own_code())
    for part in (*parts, {name: version_of(name) for name in tools}):
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, default=str).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def version_of(package: str) -> str:
    """Return an installed package's version, or `absent`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@lru_cache(maxsize=1)
def _own_code() -> bytes:
    """Hash this package: a step that was changed makes another artifact."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.digest()


class StepCache:
    """Results of steps in a folder; None as folder keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder / "steps" if folder else None

    def get_or_run(self, key: str, run: Callable[[], Mapping[str, bytes]]) -> tuple[dict[str, bytes], bool]:
        """Return the step's files by role, and whether they came from the cache."""
        found = self._read(key)
        if found is not None:
            return found, True
        files = dict(run())
        self._write(key, files)
        return files, False

    def _read(self, key: str) -> dict[str, bytes] | None:
        if self._folder is None or not (path := self._folder / key).is_file():
            return None
        try:
            archive = open_archive(path, Limits())
        except BundleError:
            return None
        try:
            files = {name: archive.read(name) for name in archive.sizes}
            os.utime(path)
        except (BundleError, OSError):
            return None
        finally:
            archive.close()
        return files

    def _write(self, key: str, files: Mapping[str, bytes]) -> None:
        if self._folder is None:
            return
        try:
            write_whole(self._folder / key, pack(files))
            self._prune(self._folder)
        except (EdgeError, OSError):
            # A cache that cannot be written (a full disk) must not fail a conversion that can.
            return

    @staticmethod
    def _prune(folder: Path) -> None:
        entries = sorted((p.stat().st_mtime, p.stat().st_size, p) for p in folder.iterdir() if p.is_file())
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= BUDGET_BYTES:
                return
            path.unlink(missing_ok=True)
            total -= size
