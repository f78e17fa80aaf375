"""Where the last seconds of the streams lie: in memory, unless the configuration names a folder.

A ring is written all the time: at 4 Mbit/s 43 GB a day for each camera, which wears a card out within months. So it lies in
a file system in memory, of which it takes a quarter of what is free at most; on a disk only where its owner says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.errors import InputError
from edgesdk_targets.file_system import is_in_memory
from edgesdk_targets.whole_file import disk_errors

log = logging.getLogger(__name__)

# Of what is free there; the rest is for whoever else counts on it.
_SHARE = 4
# Less holds no clip of a usual camera.
_LEAST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class RingPlace:
    """Where rings lie.

    Attributes:
        folder: of all cameras' rings.
        bytes_each: of each camera's ring, at most.
        in_memory: whether it is a file system in memory.
    """

    folder: Path
    bytes_each: int
    in_memory: bool

    def leave(self, cameras: Iterable[str]) -> None:
        """Remove the folders, which are empty by now."""
        for folder in (*(self.folder / name for name in cameras), self.folder):
            with suppress(OSError):
                folder.rmdir()


def ring_place(
    configured: Path | None, owner: Path, cameras: int, bytes_each: int, candidates: Sequence[Path] | None = None
) -> RingPlace:
    """Return where the rings of an agent lie; the folder is there, and nobody else's.

    Args:
        configured: a folder that the configuration names, or None.
        owner: the folder of clips, by which agents on one machine are told apart.
        cameras: how many rings; bytes_each: of each, as configured.
        candidates: folders to look at; the usual ones unless given.

    Raises:
        InputError: no file system in memory has room, or the folder belongs to somebody else.
    """
    if configured is not None:
        return RingPlace(configured, bytes_each, is_in_memory(configured))
    for place in _usual() if candidates is None else candidates:
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK) and is_in_memory(place)):
            continue
        room = shutil.disk_usage(place).free // _SHARE // max(1, cameras)
        if room < _LEAST_BYTES:
            continue
        if room < bytes_each:
            log.info("The ring for clips has %d MB for each camera, as %s holds no more", room >> 20, place)
        name = hashlib.sha256(str(owner.absolute()).encode()).hexdigest()[:12]
        return RingPlace(_own(place / f"edgesdk-ring-{name}"), min(bytes_each, room), in_memory=True)
    raise InputError(
        "No file system in memory has room for the last seconds of the cameras, of which clips are cut.",
        hint="Set clips.ring_folder: a folder on a disk that bears to be written all the time.",
    )


def _usual() -> tuple[Path, ...]:
    """Return systemd's own folders for this service and user, and what every Linux has."""
    named = (os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0], os.environ.get("XDG_RUNTIME_DIR", ""))
    return (*(Path(one) for one in named if one.startswith("/")), Path("/dev/shm"))  # noqa: S108  (checked in `_own`)


def _own(folder: Path) -> Path:
    """Make a folder that only this user reads.

    Raises:
        InputError: one of this name is somebody else's: everybody may write where it lies.
    """
    with disk_errors(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise InputError(f"{folder} is not this agent's alone.", hint="Remove it, or set clips.ring_folder.")
    return folder
