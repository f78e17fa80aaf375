"""Pictures and clips on disk, for so long and so many bytes: what is older goes, and above the quota the oldest goes.

A device's clock may be wrong. A file that is dated after now is not old, and is bounded by the quota; a clock that
jumped ahead deletes early, which is the side to err on for pictures.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

log = logging.getLogger(__name__)

KEPT_SUFFIXES = (".jpg", ".ts")
# What a process that was killed left unfinished.
_UNFINISHED = ".writing-"


class PictureStore:
    """A folder with an age and a quota.

    Args:
        folder: made where it is absent.
        keep_s: seconds; what is older is deleted.
        max_bytes: of all that is kept.
        wall: seconds since 1970.
    """

    def __init__(self, folder: Path, *, keep_s: float, max_bytes: int, wall: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._wall = wall
        self._counts = {"stored": 0, "stored_bytes": 0, "expired": 0, "over_quota": 0}

    def put(self, name: str, content: bytes) -> Path:
        """Write a file whole, and make room for it.

        Raises:
            NoSpace: the disk is full.
            InputError: the folder cannot be written.
        """
        path = self.folder / name
        write_whole(path, content, OWNER_ONLY)
        self.note(path)
        return path

    def note(self, path: Path) -> None:
        """Count a file that was put in place by somebody else, and make room."""
        self._counts["stored"] += 1
        self._counts["stored_bytes"] += path.stat().st_size
        self.sweep()

    def sweep(self) -> None:
        """Delete what is too old, what is unfinished since an hour, and the oldest above the quota."""
        now, files = self._wall(), []
        for entry in self._entries():
            status = entry.stat(follow_symlinks=False)
            age_s = now - status.st_mtime
            if entry.name.startswith(_UNFINISHED):
                if age_s > 3600:
                    self._delete(entry.path)
            elif entry.name.endswith(KEPT_SUFFIXES):
                if age_s > self._keep_s:
                    self._counts["expired"] += self._delete(entry.path)
                else:
                    files.append((status.st_mtime, entry.path, status.st_size))
        kept = sum(size for _, _, size in files)
        for _, path, size in sorted(files):
            if kept <= self._max_bytes:
                break
            kept -= size
            self._counts["over_quota"] += self._delete(path)

    def counts(self) -> Mapping[str, int]:
        """Return how many files and bytes were stored, and how many were deleted for age and for room."""
        return dict(self._counts)

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.folder) as entries:
                return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def _delete(self, path: str) -> bool:
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be deleted: %s", path, error.strerror)
            return False
        return True
